// The live room: shows new lines in the order of their seq without repeats, resumes after an interruption by seq and
// epoch, and sends at once with a key that makes a repeat harmless. Everything is shown as text, never as HTML.
(() => {
  "use strict";
  const { $, $$, link, times, timeElement, toast } = window.uq;
  const room = $("[data-room]");
  if (!room) return;
  const list = $("[data-lines]", room), scroller = $("[data-scroller]", room), jump = $("[data-jump]", room);
  const form = $("[data-composer]", room);
  const me = { handle: room.dataset.handle.replace(/^@/, ""), user: Number(room.dataset.user) };
  let after = Number(room.dataset.after), epoch = room.dataset.epoch;

  // --- place in the text: stay at the end when there, else leave the reader where they are ---
  const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  const toEnd = () => { scroller.scrollTop = scroller.scrollHeight; jump.hidden = true; };
  jump.addEventListener("click", toEnd);
  scroller.addEventListener("scroll", () => { if (atEnd()) jump.hidden = true; }, { passive: true });
  toEnd();

  // --- lines ---
  const el = (tag, cls, text) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const excerpt = (li) => $(".line-head b", li).textContent + ": " + $(".line-text", li).textContent;
  // The tools of a new line are those of line 0 with its own id; what is for its writer alone is left out for others.
  function tools(li, id) {
    const from = $("[data-new-tools]", room);
    li.id = "line-" + id;
    if (!from || $("[data-tools]", li)) return;
    const t = from.firstElementChild.cloneNode(true);
    for (const f of $$("form", t)) f.action = f.getAttribute("action").replace("/messages/0/", `/messages/${Number(id)}/`);
    $("[data-reply]", t).href = $("[data-reply]", t).getAttribute("href").replace("=0", "=" + Number(id));
    if (!li.classList.contains("is-own")) $$("[data-own]", t).forEach((f) => f.remove());
    else $("textarea", t).value = $(".line-text", li).textContent;
    li.append(t);
  }
  const at = (h) => "@" + String(h || "?").replace(/^@+/, "");
  // The same colours and letters as the server gives (templates/funcs.go: hue, initials).
  function hue(name) {
    let h = 0x811c9dc5;
    for (const b of new TextEncoder().encode(name.toLowerCase().replace(/^@/, ""))) h = Math.imul(h ^ b, 0x01000193) >>> 0;
    return h % 8;
  }
  const initials = (name) => name.replace(/^[@ ]+/, "").split("@")[0].split(/[^\p{L}\p{N}]+/u).filter(Boolean).slice(0, 2).map((w) => [...w][0].toUpperCase()).join("") || "·";
  function line(ev) {
    const li = el("li", "line is-new");
    if (ev.seq) li.dataset.seq = ev.seq;
    if (ev.message_id) li.dataset.id = ev.message_id;
    const name = String(ev.handle || "");
    if ((me.user && ev.user_id === me.user) || (!me.user && me.handle && name.replace(/^@/, "") === me.handle)) li.classList.add("is-own");
    const av = el("span", "avatar av-" + hue(name), initials(name));
    av.setAttribute("aria-hidden", "true");
    const head = el("div", "line-head");
    head.append(el("b", "clip", at(name)), timeElement("clock", ev.ts || ev.created_at));
    const text = el("div", "line-text", ev.text);
    text.dir = "auto";
    const marks = el("p", "line-marks");
    marks.dataset.marks = "";
    li.append(av, head, text, marks);
    const to = ev.reply_to && find(ev.reply_to);
    if (to) {
      const a = el("a", "line-reply clip", excerpt(to));
      a.href = "#" + to.id;
      text.before(a);
    }
    if (ev.message_id) tools(li, ev.message_id);
    return li;
  }
  // Days are the reader's own; the server could only part the lines by days in UTC.
  const dayOf = (li) => new Date($("time", li).dateTime).toDateString();
  function dayBefore(li) {
    const d = el("li", "day");
    d.dataset.day = dayOf(li);
    d.append(timeElement("day", $("time", li).dateTime));
    li.before(d);
  }
  $$(".day", list).forEach((d) => d.remove());
  $$(".line", list).forEach((li, i, all) => { if (!i || dayOf(all[i - 1]) !== dayOf(li)) dayBefore(li); });
  // place puts a line where its seq belongs: nearly always the end; lines on their way have none and stay below.
  function place(li) {
    $("[data-room-empty]", room)?.remove();
    const seq = Number(li.dataset.seq) || Infinity;
    const prev = $$(".line", list).findLast((l) => seq === Infinity || Number(l.dataset.seq) < seq);
    const next = prev?.nextElementSibling;
    if (next?.dataset.day === dayOf(li)) next.after(li);
    else if (prev) prev.after(li);
    else list.prepend(li);
    if (li.previousElementSibling?.dataset.day !== dayOf(li) && (!prev || dayOf(prev) !== dayOf(li))) dayBefore(li);
    if (list.children.length > 800 && atEnd()) for (let i = 0; i < 200; i++) list.firstElementChild.remove();
  }
  const find = (id) => $(`.line[data-id="${Number(id)}"]`, list);

  // --- events ---
  let gapAt = -1;
  function heard(ev) {
    if (ev.recovered === false) { location.reload(); return; } // told that a part is missing: take the page anew
    if (ev.epoch) {
      if (epoch && ev.epoch !== epoch) { location.reload(); return; }
      epoch = ev.epoch;
    }
    if (ev.seq) {
      if (ev.seq <= after) return; // had it already
      if (after && ev.seq > after + 1 && gapAt !== after) { gapAt = after; connect(); return; } // a gap: ask once more from here
      after = ev.seq;
    }
    const end = atEnd();
    if (ev.type === "chat.message.created") {
      const fresh = line(ev);
      const mine = ev.nonce ? $(`.line[data-key="${CSS.escape(String(ev.nonce))}"]`, list)
        : fresh.classList.contains("is-own") && $$(".line.is-sending", list).find((l) => $(".line-text", l).textContent === ev.text);
      (mine || find(ev.message_id))?.remove(); // the optimistic copy: the real one takes its true place
      place(fresh);
      if (end || mine) toEnd(); else jump.hidden = false;
    } else if (ev.type === "chat.message.edited" || ev.type === "chat.message.deleted") {
      const li = find(ev.message_id);
      if (!li) return;
      const gone = ev.type.endsWith("deleted");
      li.classList.toggle("is-gone", gone);
      $(".line-text", li).textContent = gone ? "This line was removed." : ev.text;
      if (!gone && !$(".state-word", li)) $(".line-head", li).append(el("span", "state-word", "edited"));
      if (gone) $$("[data-tools], [data-marks]", li).forEach((e) => e.remove());
    } else if (ev.type === "chat.message.reacted") {
      const marks = find(ev.message_id) && $("[data-marks]", find(ev.message_id));
      if (!marks) return;
      let mark = $$("[data-emoji]", marks).find((m) => m.dataset.emoji === ev.emoji);
      if (!ev.count) { mark?.remove(); return; }
      if (!mark) { mark = el("span", "tag"); mark.dataset.emoji = ev.emoji; marks.append(mark); }
      mark.textContent = ev.emoji + " " + ev.count;
    } else if (ev.type === "chat.presence" && ev.state === "typing" && ev.user_id !== me.user) {
      clearTimeout(quiet);
      typing.textContent = at(ev.handle) + " is writing…";
      quiet = setTimeout(() => { typing.textContent = ""; }, 5000);
    }
    if (ev.seq) seen();
  }
  // Tell how far one has read, a moment after the newest line, while somebody looks.
  let looking = 0, told = 0, quiet = 0;
  const typing = $("[data-typing]", room), base = location.pathname;
  const say = (what, body) => fetch(base + what, { method: "POST", body: new URLSearchParams(body), headers: { Accept: "application/json" } }).catch(() => null);
  function seen() {
    clearTimeout(looking);
    looking = setTimeout(() => { if (!document.hidden && after > told) say("/read", { seq: told = after }); }, 1500);
  }
  document.addEventListener("visibilitychange", seen);
  seen();
  // Forms of lines: the answer is the event.
  list.addEventListener("submit", async (e) => {
    e.preventDefault();
    const res = await fetch(e.target.action, { method: "POST", body: new URLSearchParams(new FormData(e.target, e.submitter)), headers: { Accept: "application/json" } }).catch(() => null);
    if (res?.ok) { e.target.closest("details").open = false; if (e.target.action.endsWith("/report")) toast("The room's moderators will see it."); return; }
    toast((await res?.json().catch(() => null))?.detail || "This did not work; try again.", "bad");
  });

  // --- connection: backoff with jitter; what was missed comes first, by seq ---
  let ws = null, tries = 0, timer = 0;
  function connect() {
    clearTimeout(timer);
    if (ws) { ws.onclose = null; ws.close(); }
    const url = new URL(room.dataset.socket, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = room.dataset.socketQuery;
    url.searchParams.set("after", after);
    if (epoch) url.searchParams.set("epoch", epoch);
    ws = new WebSocket(url);
    ws.onopen = () => { tries = 0; link("live"); };
    ws.onmessage = (e) => { let ev; try { ev = JSON.parse(e.data); } catch { return; } if (ev) heard(ev); };
    ws.onclose = (e) => {
      if ((e.code >= 3500 && e.code < 4000) || (e.code >= 4500 && e.code < 5000)) {
        link("stopped", `The room closed the connection: ${e.reason || "code " + e.code}. Reload to try again.`);
        return;
      }
      const wait = Math.min(20000, 400 * 2 ** Math.min(tries++, 6)) * (0.7 + Math.random() * 0.6);
      link("down", !navigator.onLine ? "You are offline. Lines you write are kept and sent later."
        : e.code === 3008 ? "This page fell behind. Catching up…" : e.reason ? `Connection lost (${e.reason}). Trying again…` : "");
      timer = setTimeout(connect, wait);
    };
  }
  addEventListener("online", () => { if (ws?.readyState !== WebSocket.OPEN) { tries = 0; connect(); } });
  addEventListener("pagehide", () => { if (ws) { ws.onclose = null; ws.close(); } });
  addEventListener("pageshow", (e) => { if (e.persisted) connect(); });
  connect();

  // --- sending ---
  if (!form) return;
  const field = form.elements.text;
  let queue = Promise.resolve(); // one after another, so that lines keep the order in which they were written
  const pause = (ms) => new Promise((r) => { setTimeout(r, ms); addEventListener("online", r, { once: true }); });
  const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

  function fail(li, why, body, key) {
    li.classList.remove("is-sending");
    li.classList.add("is-failed");
    $(".state-word", li).textContent = "not sent: " + why;
    const again = el("button", "btn", "Send again");
    again.type = "button";
    again.addEventListener("click", () => { again.remove(); li.classList.remove("is-failed"); li.classList.add("is-sending"); $(".state-word", li).textContent = "sending"; post(li, body, key); });
    li.append(again);
  }
  async function send(li, body, key) {
    for (let n = 0; ; n++) {
      let res;
      try {
        res = await fetch(form.action, { method: "POST", body: new URLSearchParams(body), headers: { Accept: "application/json" } });
      } catch { res = null; } // no answer: it may have arrived, so the same key is sent again
      if (res?.ok) {
        const answer = await res.json().catch(() => ({}));
        const real = answer.id && find(answer.id);
        if (real && real !== li) { li.remove(); return; } // its event was here first
        li.classList.remove("is-sending");
        $(".state-word", li)?.remove();
        if (answer.id) { li.dataset.id = answer.id; tools(li, answer.id); }
        return;
      }
      if (res && res.status !== 409 && res.status !== 429 && res.status < 500) {
        const problem = await res.json().catch(() => ({}));
        fail(li, problem.detail || `the room answers ${res.status}`, body, key);
        return;
      }
      if (n >= 6) { fail(li, "no answer", body, key); return; }
      $(".state-word", li).textContent = "sending again";
      await pause(Math.max(Number(res?.headers.get("Retry-After")) * 1000 || 0, Math.min(15000, 600 * 2 ** n) * (0.7 + Math.random() * 0.6)));
    }
  }
  function post(li, body, key) { queue = queue.then(() => send(li, body, key)).catch(() => toast("The line could not be sent.", "bad")); }

  form.addEventListener("submit", (e) => {
    e.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    const body = Object.fromEntries(new FormData(form));
    body.text = text;
    const key = newKey();
    body.nonce = key;
    const li = line({ handle: me.handle || "you", user_id: me.user, text, reply_to: body.reply_to });
    if (!body.reply_to) delete body.reply_to;
    answer();
    li.classList.add("is-own", "is-sending");
    li.dataset.key = key;
    $(".line-head", li).append(el("span", "state-word", "sending"));
    place(li);
    toEnd();
    field.value = "";
    field.focus();
    post(li, body, key);
  });
  function answer(li) {
    form.elements.reply_to.value = li ? li.dataset.id : "";
    $("[data-answers-what]", form).textContent = li ? excerpt(li) : "";
    $("[data-answers]", form).hidden = !li;
    if (li) field.focus();
  }
  $("[data-answers-not]", form).addEventListener("click", (e) => { e.preventDefault(); answer(); });
  list.addEventListener("click", (e) => {
    if (!e.target.closest("[data-reply]")) return;
    e.preventDefault();
    e.target.closest("details").open = false;
    answer(e.target.closest(".line"));
  });
  let typed = 0;
  field.addEventListener("input", () => { if (Date.now() - typed > 3000) { typed = Date.now(); say("/typing", {}); } });
  field.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); form.requestSubmit(); }
  });
  times();
})();
