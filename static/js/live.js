// Keeps a page alive: listens to its stream of events, writes the ticker, and asks for a fresh copy of each part that an
// event concerns (data-refresh holds the beginnings of the event types). Event data is only ever shown as text.
// Loaded before htmx, whose sse extension connects, resumes by the last id, and backs off.
(() => {
  "use strict";
  const { $, $$, link, timeElement } = window.uq;

  // One refresh for a burst of events, soon after the first and never more than one a second.
  const due = new Map(), done = new WeakMap();
  function refresh(el) {
    if (due.has(el)) return;
    due.set(el, setTimeout(() => {
      due.delete(el);
      done.set(el, Date.now());
      if (el.isConnected && window.htmx) htmx.trigger(el, "uq-refresh");
    }, Math.max((done.get(el) || 0) + 1000 - Date.now(), 100 + Math.random() * 300)));
  }
  function refreshAll() { $$("[data-refresh]").forEach(refresh); }

  // The drawing of the service that an event belongs to is taken from the bar at the top.
  const home = { mail: "/proxy/email/", chat: "/proxy/chat/rooms", game: "/proxy/game/", ticket: "/proxy/chat/inbox" };
  const str = (v) => (v === undefined || v === null ? "" : String(v));
  // describe says in words what happened; a type that is not known here is shown by its name alone.
  function describe(ev) {
    const who = str(ev.handle || ev.user || ev.user_id);
    switch (ev.type) {
      case "mail.received": return `Mail from ${str(ev.from_name || ev.from_address || ev.from) || "somebody"}: ${str(ev.subject) || "(no subject)"}`;
      case "chat.message.created": return `${who}: ${str(ev.text).slice(0, 160)}`;
      case "chat.room.created": return `Room opened: ${str(ev.name)}`;
      case "ticket.created": return `Ticket opened: ${str(ev.subject)}`;
      case "game.leaderboard.updated": return `${who} set a new best in ${str(ev.mode)}`;
      case "game.match.found": return "A match was found";
      case "service.up": return `${str(ev.service || ev.name)} is up`;
      case "service.down": return `${str(ev.service || ev.name)} is down: ${str(ev.detail)}`;
      case "auth.user.created": return `New aboard: ${str(ev.email) || who}`;
    }
    if (ev.ticket_id && ev.type.startsWith("ticket.")) return `Ticket #${str(ev.ticket_id)} ${ev.type.slice(7).replace("_", " ")}`;
    return str(ev.text || ev.subject || ev.name) || str(ev.type);
  }
  function tick(ev) {
    const list = $("[data-ticker]");
    if (!list || !/^(mail\.(received|sent|bounced)|chat\.(message|room)\.created|ticket\.|game\.|service\.|auth\.|trend\.|moderation\.)/.test(ev.type)) return;
    $("[data-ticker-empty]")?.remove();
    const li = document.createElement("li");
    li.className = "is-new";
    const dot = document.createElement("span");
    const tone = /\.(down|bounced)$|_breached$/.test(ev.type) ? "tone-bad" : /\.(up|solved)$/.test(ev.type) ? "tone-ok" : "";
    dot.className = "dot-icon " + tone;
    const kin = $(`.switcher a[href*="${home[ev.type.split(".")[0]] || "/helm"}"] svg`);
    if (kin) dot.append(kin.cloneNode(true));
    const text = document.createElement("span");
    text.textContent = describe(ev);
    const type = document.createElement("span");
    type.className = "type";
    type.textContent = ev.type;
    text.append(type);
    li.append(dot, text, timeElement("clock", ev.ts));
    list.prepend(li);
    while (list.children.length > 50) list.lastElementChild.remove();
  }

  function heard(data) {
    let ev;
    try { ev = JSON.parse(data); } catch { return; }
    if (typeof ev?.type !== "string") return;
    if (ev.recovered === false) { refreshAll(); return; }
    tick(ev);
    for (const el of $$("[data-refresh]")) {
      const id = el.dataset.refreshId;
      if (id && ev.ticket_id !== undefined && String(ev.ticket_id) !== id) continue;
      if (el.dataset.refresh.split(" ").some((p) => ev.type.startsWith(p))) refresh(el);
    }
  }

  // --- event streams, by htmx ---
  let opened = false;
  document.addEventListener("htmx:sse:before:message", (e) => {
    e.preventDefault(); // never swapped in: it is data, not a part of the page
    heard(e.detail.message.data);
  });
  document.addEventListener("htmx:sse:after:connection", () => {
    link("live");
    if (opened) refreshAll(); // the stream resumes by id; the parts may have missed what was not theirs
    opened = true;
  });
  document.addEventListener("htmx:sse:before:connection", (e) => { if (e.detail.connection.attempt > 0) link("down"); });
  document.addEventListener("htmx:sse:error", (e) => {
    const s = e.detail.status;
    link("down", s === 401 || s === 403 ? "Your session ended. Sign in again to go on." : s ? `The service answers ${s}. Trying again…` : "");
  });
  // The first connection is not repeated by the extension, so that is done here.
  const isStream = (e) => e.detail.ctx?.sourceElement?.matches?.("[data-live]");
  function again(el, why) {
    link("down", why);
    setTimeout(() => htmx.trigger(el, "uq-connect"), 2000 + Math.random() * 4000);
  }
  document.addEventListener("htmx:error", (e) => { if (isStream(e)) again(e.detail.ctx.sourceElement); });
  document.addEventListener("htmx:before:response", (e) => {
    const el = e.detail.ctx.sourceElement, r = e.detail.ctx.response.raw;
    if (isStream(e) && !r.ok) {
      if (r.status >= 500 || r.status === 429) again(el, `The service answers ${r.status}. Trying again…`);
      else link("stopped", r.status === 401 || r.status === 403 ? "This page is not live: sign in again." : `This page is not live: the service answers ${r.status}.`);
    }
    // An answer from elsewhere (a sign-in page, say) must not take the place of a part of this one.
    if ((r.redirected || !r.headers.get("Content-Type")?.startsWith("text/html")) && el.matches?.("[data-refresh]")) e.preventDefault();
  });

  // --- a WebSocket of events: own code, since its frames carry what players posted and must stay data ---
  function socket(el) {
    let tries = 0, timer = 0;
    function open() {
      const url = new URL(el.dataset.liveWs, location.href);
      url.protocol = url.protocol.replace("http", "ws");
      const ws = new WebSocket(url);
      ws.onopen = () => { link("live"); if (tries) refreshAll(); tries = 0; };
      ws.onmessage = (e) => heard(e.data);
      ws.onclose = (e) => {
        if ((e.code >= 3500 && e.code < 4000) || e.code >= 4500) { link("stopped", `The service ended this connection (${e.reason || e.code}).`); return; }
        link("down");
        clearTimeout(timer);
        timer = setTimeout(open, Math.min(20000, 500 * 2 ** tries++) * (0.7 + Math.random() * 0.6));
      };
    }
    addEventListener("online", () => { if (tries) { clearTimeout(timer); tries = 1; open(); } });
    open();
  }
  $$("[data-live-ws]").forEach(socket);
})();
