// Lines: made from events and from the API alike, and put where their seq belongs. Everything that somebody wrote is
// shown as text, never as HTML.
import { $, $$, at, base, el, find, list, me, room, timeElement } from "./page.js";

export const excerpt = (li) => $(".line-head b", li).textContent + ": " + ($(".line-text", li).textContent || $(".line-files .clip", li)?.textContent || $(".line-files img", li)?.alt || "");
export const isOwn = (m) => (me.user ? m.user_id === me.user : Boolean(me.handle) && String(m.handle || "").replace(/^@/, "") === me.handle);

// The same colours and letters as the server gives (templates/funcs.go: hue, initials).
function hue(name) {
  let h = 0x811c9dc5;
  for (const b of new TextEncoder().encode(name.toLowerCase().replace(/^@/, ""))) h = Math.imul(h ^ b, 0x01000193) >>> 0;
  return h % 8;
}
const initials = (name) => name.replace(/^[@ ]+/, "").split("@")[0].split(/[^\p{L}\p{N}]+/u).filter(Boolean).slice(0, 2).map((w) => [...w][0].toUpperCase()).join("") || "·";

// write shows a text with its web addresses as links; what usually ends a sentence belongs to no address.
export function write(into, text) {
  into.replaceChildren();
  let from = 0;
  for (const m of String(text).matchAll(/https?:\/\/[^\s<>"'`]+/g)) {
    const to = m[0].replace(/[.,;:!?*_~)\]]+$/, "");
    into.append(text.slice(from, m.index));
    const a = el("a", "", to);
    a.href = to;
    a.rel = "noopener noreferrer nofollow ugc";
    a.target = "_blank";
    into.append(a);
    from = m.index + to.length;
  }
  into.append(String(text).slice(from));
}

// The tools of a new line are those of line 0 with its own id; what is not for this reader is left out.
export function tools(li, id) {
  const from = $("[data-new-tools]", room);
  li.id = "line-" + id;
  if (!from || $("[data-tools]", li)) return;
  const t = from.firstElementChild.cloneNode(true);
  for (const f of $$("form", t)) f.action = f.getAttribute("action").replace("/messages/0/", `/messages/${Number(id)}/`);
  $("[data-reply]", t).href = $("[data-reply]", t).getAttribute("href").replace("=0", "=" + Number(id));
  const own = li.classList.contains("is-own");
  if (own) $("textarea", t).value = $(".line-text", li).textContent;
  else $("[data-edit]", t)?.remove();
  if (!own && room.dataset.moderates !== "true") $("[data-delete]", t)?.remove();
  li.append(t);
}

// chip shows how many gave an emoji to a line, as a button that gives or takes back one's own.
export function chip(li, emoji, count, mine) {
  const marks = $("[data-marks]", li);
  if (!marks) return;
  const had = $$("[data-emoji]", marks).find((m) => m.dataset.emoji === emoji);
  const old = had?.closest("form") || had;
  if (!count) { old?.remove(); return; }
  const action = $("[data-tools] form", li)?.getAttribute("action");
  const b = el(action ? "button" : "span", "chip" + (mine ? " is-mine" : ""), emoji + " " + count);
  b.dataset.emoji = emoji;
  let chip = b;
  if (action) {
    b.type = "submit";
    b.setAttribute("aria-pressed", String(mine));
    chip = el("form", "chip-form");
    chip.method = "post";
    chip.action = action.replace(/\/messages\/(\d+)\/.*$/, "/messages/$1/react");
    for (const [name, value] of [["emoji", emoji], ...(mine ? [["remove", "true"]] : [])]) {
      const input = el("input");
      input.type = "hidden";
      input.name = name;
      input.value = value;
      chip.append(input);
    }
    chip.append(b);
  }
  const focused = had && had === document.activeElement;
  if (old) old.replaceWith(chip);
  else marks.append(chip);
  if (focused) b.focus();
}
export const mineIs = (li, emoji) => $$("[data-emoji]", li).some((m) => m.dataset.emoji === emoji && m.classList.contains("is-mine"));

// line makes an element of a line, from its event or from the API.
export function line(m) {
  const id = m.message_id || m.id, name = String(m.handle || "");
  const li = el("li", "line");
  li.tabIndex = -1;
  if (m.seq) li.dataset.seq = m.seq;
  if (isOwn(m)) li.classList.add("is-own");
  if (me.user && m.mentions?.includes(me.user)) li.classList.add("is-mention");
  const av = el("span", "avatar av-" + hue(name), initials(name));
  av.setAttribute("aria-hidden", "true");
  const head = el("div", "line-head");
  head.append(el("b", "clip", at(name)), timeElement("clock", m.ts || m.created_at));
  const text = el("div", "line-text");
  text.dir = "auto";
  write(text, m.deleted ? "This line was removed." : m.text);
  li.append(av, head, text);
  if (m.edited_at) head.append(el("span", "state-word", "edited"));
  if (m.reply_to) quote(li, m.reply_to);
  if (m.deleted) li.classList.add("is-gone");
  if (m.attachments?.length && !m.deleted) li.append(files(m.attachments));
  const marks = el("div", "line-marks");
  marks.dataset.marks = "";
  if (!m.deleted) li.append(marks);
  if (id) {
    li.dataset.id = id;
    if (m.deleted) li.id = "line-" + id;
    else tools(li, id);
  }
  for (const r of m.reactions || []) chip(li, r.emoji, r.count, r.mine);
  return li;
}

// files shows pictures, and offers what else goes with a line to be saved; before it is sent a file is a name.
function files(all) {
  const box = el("div", "line-files");
  for (const f of all) {
    const a = el(f.id ? "a" : "span", f.width ? "picture" : "file");
    if (f.id) a.href = `${base}/attachments/${Number(f.id)}`;
    if (f.width && f.id) {
      const img = el("img"), scale = Math.min(1, 320 / f.width, 240 / f.height);
      img.width = Math.max(1, Math.floor(f.width * scale));
      img.height = Math.max(1, Math.floor(f.height * scale));
      img.decoding = "async";
      img.alt = f.name;
      img.src = a.href;
      a.setAttribute("aria-label", "Open " + f.name);
      a.append(img);
    } else {
      if (f.id) a.download = "";
      a.append(el("span", "clip", f.name), el("span", "faint small nowrap", size(f.size)));
    }
    box.append(a);
  }
  return box;
}
export const size = (n) => (n < 1000 ? n + " B" : n < 1e6 ? (n / 1e3).toFixed(1) + " kB" : (n / 1e6).toFixed(1) + " MB");

// quote puts the line that another answers above it; one that is not on the page is a link to where it stands.
function quote(li, id) {
  const to = find(id);
  const a = el("a", "line-reply clip", to ? excerpt(to) : "an earlier line");
  a.href = to ? "#" + to.id : `${base}?around=${Number(id)}#line-${Number(id)}`;
  a.dataset.to = id;
  $(".line-text", li).before(a);
}

// Days are the reader's own; the server could only part the lines by days in UTC.
const dayOf = (li) => new Date($("time", li).dateTime).toDateString();
function dayBefore(li) {
  const d = el("li", "day");
  d.dataset.day = dayOf(li);
  d.append(timeElement("day", $("time", li).dateTime));
  (li.previousElementSibling?.matches("[data-fresh]") ? li.previousElementSibling : li).before(d);
}
export function days() {
  $$(".day[data-day]", list).forEach((d) => d.remove());
  $$(".line", list).forEach((li, i, all) => { if (!i || dayOf(all[i - 1]) !== dayOf(li)) dayBefore(li); });
}

// place puts a line where its seq belongs: nearly always the end; lines on their way have none and stay below.
export function place(li) {
  $("[data-room-empty]", room)?.remove();
  const seq = Number(li.dataset.seq) || Infinity;
  let prev = list.lastElementChild;
  while (prev && !(prev.matches(".line") && (seq === Infinity || Number(prev.dataset.seq) < seq))) prev = prev.previousElementSibling;
  const next = prev?.nextElementSibling;
  if (next?.dataset.day === dayOf(li)) next.after(li);
  else if (prev) prev.after(li);
  else list.prepend(li);
  if (li.previousElementSibling?.dataset.day !== dayOf(li) && (!prev || dayOf(prev) !== dayOf(li))) dayBefore(li);
}

// mark puts the separator of what is new before a line.
export function mark(li) {
  $$("[data-fresh]", list).forEach((e) => e.remove());
  const f = el("li", "day fresh", "New since you were here");
  f.dataset.fresh = "";
  li.before(f);
}
