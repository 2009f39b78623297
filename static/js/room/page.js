// What every part of the room's page shares: where things are, who reads, and how the server is asked.
export const { $, $$, link, times, timeElement, toast } = window.uq;
export const room = $("[data-room]");
export const list = $("[data-lines]", room), scroller = $("[data-scroller]", room);
export const form = $("[data-composer]", room); // null for who may not write
export const field = form?.elements.text;
export const me = { handle: room.dataset.handle.replace(/^@/, ""), user: Number(room.dataset.user) };
export const base = room.dataset.base;
export const newest = room.dataset.newest === "true"; // else the page is a window into the past, and not live

export const at = (h) => "@" + String(h || "?").replace(/^@+/, "");
export const find = (id) => $(`.line[data-id="${Number(id)}"]`, list);
export function el(tag, cls, text) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
}

// ask calls the room and never throws: no answer has status 0.
export async function ask(path, { method = "GET", form: body, json, timeout = 15000, accept = "application/json" } = {}) {
  const url = new URL(path, location.origin);
  for (const [k, v] of new URLSearchParams(room.dataset.socketQuery)) url.searchParams.set(k, v);
  try {
    const headers = { Accept: accept };
    if (json) headers["Content-Type"] = "application/json";
    const res = await fetch(url, { method, body: json ? JSON.stringify(json) : body && new URLSearchParams(body), headers, signal: AbortSignal.timeout(timeout) });
    const text = await res.text();
    let data = text;
    if (res.headers.get("Content-Type")?.includes("json")) data = JSON.parse(text);
    return { ok: res.ok, status: res.status, data, detail: data?.detail || `the room answers ${res.status}`, wait: Number(res.headers.get("Retry-After")) * 1000 || 0 };
  } catch {
    return { ok: false, status: 0, data: null, detail: "no answer; try again", wait: 0 };
  }
}

// What is kept in this tab across a reload: the draft, and lines that were not acknowledged.
const keyOf = (what) => `uq-room-${base}-${me.user}-${what}`;
export function remember(what, value) {
  try {
    if (value) sessionStorage.setItem(keyOf(what), JSON.stringify(value));
    else sessionStorage.removeItem(keyOf(what));
  } catch { /* a browser that keeps nothing */ }
}
export function recall(what) {
  try { return JSON.parse(sessionStorage.getItem(keyOf(what))); } catch { return null; }
}

// fresh is the page as the server has it now.
export async function fresh() {
  const res = await ask(base, { accept: "text/html" });
  return res.ok && typeof res.data === "string" ? new DOMParser().parseFromString(res.data, "text/html") : null;
}
