// What every page has: local times, the theme switch, menus, the keyboard, copying, toasts and the connection bar.
// Every page works without it. It offers window.uq to live.js and to the room's modules.
(() => {
  "use strict";
  const root = document.documentElement;
  const $ = (sel, from = document) => from.querySelector(sel);
  const $$ = (sel, from = document) => [...from.querySelectorAll(sel)];

  // --- times: the server writes UTC, the reader sees their own zone ---
  const fmt = (o) => new Intl.DateTimeFormat(undefined, o);
  const full = fmt({ dateStyle: "medium", timeStyle: "short" });
  const long = fmt({ dateStyle: "full", timeStyle: "medium" });
  const clock = fmt({ hour: "2-digit", minute: "2-digit" });
  const day = fmt({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
  const date = fmt({ day: "numeric", month: "short", year: "numeric" });
  function ago(t) {
    const s = (Date.now() - t) / 1000;
    if (s < -60) return full.format(t);
    if (s < 45) return "just now";
    if (s < 3600) return Math.max(1, Math.round(s / 60)) + " min ago";
    if (s < 86400) return Math.floor(s / 3600) + " h ago";
    const d = Math.floor(s / 86400);
    return d < 7 ? d + (d === 1 ? " day ago" : " days ago") : date.format(t);
  }
  function timeText(mode, t) {
    return mode === "ago" ? ago(t) : mode === "clock" ? clock.format(t) : mode === "day" ? day.format(t) : full.format(t);
  }
  function times(from = document) {
    for (const el of $$("time[data-time]", from)) {
      const t = new Date(el.dateTime);
      if (isNaN(t)) continue;
      const text = timeText(el.dataset.time, t);
      if (el.textContent !== text) el.textContent = text;
      el.title = long.format(t);
    }
  }
  function timeElement(mode, iso) {
    const el = document.createElement("time");
    const t = new Date(iso || Date.now());
    el.dateTime = (isNaN(t) ? new Date() : t).toISOString();
    el.dataset.time = mode;
    el.textContent = timeText(mode, new Date(el.dateTime));
    return el;
  }

  // --- toasts ---
  function toast(text, kind = "") {
    const box = $("[data-toasts]");
    if (!box) return;
    const el = document.createElement("div");
    el.className = "toast " + kind;
    const span = document.createElement("span");
    span.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "btn ghost icon-only";
    close.setAttribute("aria-label", "Dismiss");
    close.textContent = "✕";
    close.addEventListener("click", () => el.remove());
    el.append(span, close);
    box.append(el);
    while (box.children.length > 3) box.firstElementChild.remove();
    setTimeout(() => { if (!el.matches(":hover, :focus-within")) el.remove(); }, 8000);
  }

  // --- the connection: one bar that says what is wrong and why, one badge where a page has it ---
  let wasDown = false, timer = 0;
  function link(state, why = "", word = "") {
    const bar = $("[data-linkbar]");
    clearTimeout(timer);
    if (state === "down" && bar.hidden) { // an interruption shorter than this is nobody's business
      timer = setTimeout(showLink, 1200, bar, state, why, word);
      return;
    }
    showLink(bar, state, why, word);
  }
  function showLink(bar, state, why, word) {
    for (const b of $$("[data-live-badge]")) {
      b.textContent = word || { live: "live", down: "reconnecting", stopped: "stopped" }[state];
      b.title = state === "live" ? why : "";
      b.classList.toggle("tone-ok", state === "live");
      b.classList.toggle("tone-warn", state === "down");
      b.classList.toggle("tone-bad", state === "stopped");
    }
    bar.classList.toggle("is-bad", state === "stopped");
    bar.classList.toggle("is-ok", state === "live");
    if (state === "live") {
      bar.hidden = !wasDown && !why;
      if (why) {
        bar.textContent = why;
        timer = setTimeout(() => { bar.hidden = true; }, 15000);
      } else if (wasDown) {
        bar.textContent = "Connected again. Nothing was missed.";
        timer = setTimeout(() => { bar.hidden = true; }, 2500);
      }
      wasDown = false;
      return;
    }
    wasDown = true;
    const text = why || (navigator.onLine ? "The connection was lost. Trying again…" : "You are offline. What you see may be old.");
    if (bar.textContent !== text || bar.hidden) bar.textContent = text;
    bar.hidden = false;
  }
  addEventListener("offline", () => link("down", "You are offline. What you see may be old."));
  addEventListener("online", () => { if (!$("[data-live], [data-live-ws], [data-room]")) link("live"); });

  // --- theme switch: automatic → light → dark ---
  const themes = ["auto", "light", "dark"];
  const words = { auto: "automatic", light: "light", dark: "dark" };
  function showTheme() {
    for (const b of $$("[data-theme-switch]")) {
      const label = "Theme: " + words[root.dataset.theme || "auto"];
      b.setAttribute("aria-label", label);
      b.title = label;
    }
  }
  function nextTheme() {
    const now = themes[(themes.indexOf(root.dataset.theme || "auto") + 1) % 3];
    if (now === "auto") delete root.dataset.theme; else root.dataset.theme = now;
    try { if (now === "auto") localStorage.removeItem("uq-theme"); else localStorage.setItem("uq-theme", now); } catch { /* not remembered */ }
    showTheme();
    toast("Theme: " + words[now]);
  }

  // --- copying ---
  async function copy(button) {
    const source = $("pre, output", button.parentElement) || button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.classList.add("done");
      button.setAttribute("aria-label", "Copied");
      setTimeout(() => { button.classList.remove("done"); button.setAttribute("aria-label", "Copy"); }, 1600);
    } catch {
      getSelection().selectAllChildren(source);
      toast("Selected. Press Ctrl+C to copy it.");
    }
  }

  // --- clicks ---
  document.addEventListener("click", (e) => {
    const t = e.target.closest("[data-copy], [data-theme-switch], [data-open-dialog]");
    if (t?.matches("[data-copy]")) copy(t);
    else if (t?.matches("[data-theme-switch]")) nextTheme();
    else if (t) document.getElementById(t.dataset.openDialog)?.showModal();
    for (const m of $$("[data-menu][open]")) if (!m.contains(e.target)) m.open = false;
    if (e.target instanceof HTMLDialogElement) e.target.close(); // the backdrop is the dialog itself
  });

  // A form is sent once: a second click while the first is on its way would do it twice.
  document.addEventListener("submit", (e) => {
    const b = e.submitter;
    if (e.defaultPrevented || e.target.method === "dialog") return;
    if (e.target.dataset.sent) { e.preventDefault(); return; }
    if (e.target.method !== "post") return;
    e.target.dataset.sent = "1";
    b?.classList.add("is-busy");
  });
  addEventListener("pageshow", () => {
    for (const f of $$("form[data-sent]")) delete f.dataset.sent;
    for (const b of $$("form .is-busy")) b.classList.remove("is-busy");
  });

  // --- keyboard: "/" search, "g" and a letter to go somewhere, "?" help ---
  let going = 0;
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    if (e.key === "Escape") {
      for (const m of $$("[data-menu][open]")) { m.open = false; $("summary", m).focus(); }
      return;
    }
    if (e.target.closest("input, textarea, select, [contenteditable], dialog[open]")) return; // a closed dialog may keep the focus for a moment
    if (Date.now() - going < 1500) {
      going = 0;
      const a = $$("a[data-key]").find((x) => x.dataset.key === e.key.toLowerCase());
      if (a) { e.preventDefault(); a.click(); }
    } else if (e.key === "/") {
      const f = $("[data-search], #text");
      if (f) { e.preventDefault(); f.focus(); }
    } else if (e.key === "c" && $("[data-write]")) {
      e.preventDefault();
      $("[data-write]").focus();
    } else if (e.key === "?") {
      $("#help")?.showModal();
    } else if (e.key === "g") {
      going = Date.now();
    }
  });

  document.addEventListener("htmx:after:swap", () => times());
  setInterval(times, 30000);
  times();
  showTheme();
  window.uq = { $, $$, times, timeElement, toast, link };
})();
