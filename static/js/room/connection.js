// The live connection: a WebSocket, or an event stream where WebSockets do not get through. What is wrong is found out
// and said; what was missed comes first, by seq; a link that died without a word is noticed.
import { $, ask, base, link, room } from "./page.js";
import { heard, position, reload } from "./events.js";
import * as people from "./people.js";

const quiet = 25000; // ms without a frame, after which the server is asked whether something was missed
let ws = null, stream = null, timer = 0, steady = 0;
let tries = 0;     // since the connection last held for half a minute
let refused = 0;   // sockets that never opened although the server answers
let stopped = false, lastFrame = 0, checking = false;
let overSSE = false;

const sse = "WebSockets do not get through to this page (a proxy between you and the server takes them away), so it is live over an event stream instead.";

function backoff() { return 100 + Math.random() * Math.min(20000, 500 * 2 ** Math.min(tries++, 6)); }
function later(ms, why) {
  link("down", why);
  clearTimeout(timer);
  timer = setTimeout(connect, ms);
}
function stop(why) {
  stopped = true;
  drop();
  link("stopped", why);
}
function drop() {
  clearTimeout(timer);
  clearTimeout(steady);
  if (ws) { ws.onclose = ws.onmessage = ws.onopen = null; ws.close(); }
  stream?.abort();
  ws = stream = null;
}

export function connect() {
  if (stopped) return;
  drop();
  if (overSSE) listen();
  else open();
}
function opened(note) {
  lastFrame = Date.now();
  steady = setTimeout(() => { tries = 0; }, 30000);
  link("live", note, note ? "live by event stream" : "");
  people.look();
}

// frame takes one event and does what it asks for.
async function frame(data) {
  lastFrame = Date.now();
  let ev;
  try { ev = JSON.parse(data); } catch { return; }
  if (!ev) return;
  const then = heard(ev);
  if (then === "again") connect();
  else if (then === "lost") await anew();
}
// anew loads the room's lines again and listens from there.
async function anew() {
  drop();
  if (await reload()) connect();
  else later(backoff(), "The room could not be loaded again. Trying…");
}

function open() {
  const url = new URL(room.dataset.socket, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.search = room.dataset.socketQuery;
  url.searchParams.set("after", position.after);
  if (position.epoch) url.searchParams.set("epoch", position.epoch);
  const mine = ws = new WebSocket(url);
  let was = false;
  const slow = setTimeout(() => { if (!was && ws === mine) { mine.onclose = null; mine.close(); closed({ code: 1006 }, false); } }, 12000);
  mine.onopen = () => { was = true; clearTimeout(slow); refused = 0; opened(); };
  mine.onmessage = (e) => { if (ws === mine) frame(e.data); };
  mine.onclose = (e) => { clearTimeout(slow); if (ws === mine) closed(e, was); };
}

const reasons = {
  3001: "The server is restarting; this page comes back by itself.",
  3005: "Your session ran out. Trying to go on…",
  3008: "This page fell behind. Catching up…",
  3010: "Something was missed. Catching up…",
  3012: "The server heard nothing of this page for a while. Connecting again…",
  3013: "Too much came from this page; it waits a moment.",
};
async function closed(e, was) {
  ws = null;
  clearTimeout(steady);
  if ((e.code >= 3500 && e.code < 4000) || (e.code >= 4500 && e.code < 5000)) {
    stop(`The room closed the connection: ${e.reason || "code " + e.code}. Reload to try again.`);
    return;
  }
  if (!navigator.onLine) { later(backoff(), "You are offline. Lines you write are kept and sent later."); return; }
  if (was) { later(e.code === 3008 || e.code === 3010 ? 100 : backoff(), reasons[e.code] || (e.reason ? `Connection lost (${e.reason}). Trying again…` : "Connection lost. Trying again…")); return; }
  await diagnose();
}

// diagnose finds out why no socket opens: the server itself is asked.
async function diagnose() {
  const res = await ask(base, { timeout: 8000 });
  if (stopped || ws || stream) return;
  if (res.ok) {
    if (++refused >= 2) { overSSE = true; connect(); return; }
    later(200 + Math.random() * 300, "");
  } else if (res.status === 401) stop("Your session ended. Sign in again to go on; what you wrote is kept.");
  else if (res.status === 403 || res.status === 404) stop(`This room is not open to you: ${res.detail}.`);
  else if (res.status === 429) later(res.wait || backoff(), "The server slows this page down. It waits a moment…");
  else if (res.status === 503) later(Math.max(res.wait, backoff()), "The server is busy or restarting. Trying again…");
  else if (res.status) later(backoff(), `The server answers ${res.status}. Trying again…`);
  else later(backoff(), navigator.onLine ? "The server cannot be reached. Trying again…" : "You are offline. Lines you write are kept and sent later.");
}

// listen reads the room's event stream. It begins with what is new, so the lines are loaded again once it is open.
async function listen() {
  const mine = stream = new AbortController();
  let was = false;
  try {
    const url = new URL(base + "/events", location.origin);
    url.search = room.dataset.socketQuery;
    const res = await fetch(url, { headers: { Accept: "text/event-stream" }, signal: mine.signal });
    if (stream !== mine) return;
    if (!res.ok) { stream = null; await diagnose(); return; }
    if (!(await reload()) && stream === mine) throw new Error("no lines");
    was = true;
    opened(sse);
    const parts = res.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; stream === mine;) {
      const { done, value } = await parts.read();
      if (done) break;
      lastFrame = Date.now();
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const text of events) {
        const data = text.split("\n").filter((l) => l.startsWith("data: ")).map((l) => l.slice(6)).join("\n");
        if (data && stream === mine) await frame(data);
      }
    }
  } catch { /* said below */ }
  if (stream !== mine) return;
  mine.abort();
  stream = null;
  if (was) later(backoff(), navigator.onLine ? "Connection lost. Trying again…" : "You are offline. Lines you write are kept and sent later.");
  else await diagnose();
}

// check notices a link that died without a word: any frame counts as life; without one the server is asked how far the room is.
async function check(now) {
  if (stopped || checking || document.hidden || !(ws?.readyState === WebSocket.OPEN || stream)) return;
  if (!now && Date.now() - lastFrame < quiet) return;
  checking = true;
  const had = position.after, res = await ask(base, { timeout: 8000 });
  if (res.ok && res.data.seq > position.after && position.after === had) await new Promise((r) => setTimeout(r, 3000)); // it may be on its way
  checking = false;
  if (res.status === 0 || (res.ok && (res.data.seq > position.after && position.after === had || res.data.epoch !== position.epoch))) {
    if (res.status) connect();
    else { drop(); later(backoff(), navigator.onLine ? "The server cannot be reached. Trying again…" : "You are offline. Lines you write are kept and sent later."); }
    return;
  }
  lastFrame = Date.now();
  people.look();
}

export function start() {
  addEventListener("online", () => { tries = refused = 0; if (ws?.readyState !== WebSocket.OPEN) connect(); else check(true); });
  addEventListener("offline", () => { drop(); later(backoff(), "You are offline. Lines you write are kept and sent later."); });
  addEventListener("pagehide", drop);
  addEventListener("pageshow", (e) => { if (e.persisted) connect(); });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (!ws && !stream) connect();
    else if (Date.now() - lastFrame > 5000) check(true);
  });
  setInterval(check, 5000);
  connect();
}
