// Events of the room, in the order of their seq and each once; and the room anew, where a part is missing.
import { $, $$, at, el, find, fresh, list, me, room, times } from "./page.js";
import { chip, days, isOwn, line, mineIs, place, write } from "./lines.js";
import { atEnd, came, toEnd, trim } from "./scroll.js";
import * as people from "./people.js";
import * as read from "./read.js";

// position is how far the page has come: what came after it is asked for.
export const position = { after: Number(room.dataset.after), epoch: room.dataset.epoch };
let gapAt = -1;

// heard takes one event; "again" asks for what came after the position, "lost" for the room anew.
export function heard(ev) {
  if (ev.recovered === false) return "lost";
  if (ev.epoch) {
    if (position.epoch && ev.epoch !== position.epoch) return "lost";
    position.epoch = ev.epoch;
  }
  if (ev.seq) {
    if (ev.seq <= position.after) return "had"; // had it already
    if (position.after && ev.seq > position.after + 1) {
      if (gapAt === position.after) return "lost";
      gapAt = position.after;
      return "again";
    }
    position.after = ev.seq;
  }
  (on[ev.type] || (() => {}))(ev);
  if (ev.seq) read.seen();
  return "taken";
}

const on = {
  "chat.message.created"(ev) {
    const end = atEnd(), li = line(ev);
    const mine = ev.nonce ? $(`.line[data-key="${CSS.escape(String(ev.nonce))}"]`, list)
      : isOwn(ev) && $$(".line.is-sending", list).find((l) => $(".line-text", l).textContent === ev.text);
    const old = mine || find(ev.message_id), focused = old?.contains(document.activeElement);
    old?.remove(); // the optimistic copy: the real one takes its true place
    li.classList.add("is-new");
    place(li);
    if (focused) li.focus({ preventScroll: true });
    if (document.hidden && !isOwn(ev)) read.away(li);
    stopped(ev.user_id);
    people.spoke(ev.user_id);
    if (end || mine) toEnd();
    else came();
    trim();
  },
  "chat.message.edited"(ev) {
    const li = find(ev.message_id);
    if (!li) return;
    write($(".line-text", li), ev.text);
    const edit = $("[data-edit] textarea", li);
    if (edit && edit !== document.activeElement) edit.value = ev.text;
    if (!$(".state-word", li)) $(".line-head", li).append(el("span", "state-word", "edited"));
    li.classList.toggle("is-mention", Boolean(me.user) && Boolean(ev.mentions?.includes(me.user)));
  },
  "chat.message.deleted"(ev) {
    const li = find(ev.message_id);
    if (!li) return;
    const focused = li.contains(document.activeElement);
    li.classList.add("is-gone");
    $(".line-text", li).textContent = "This line was removed.";
    $$("[data-tools], [data-marks], .line-files", li).forEach((e) => e.remove());
    if (focused) li.focus({ preventScroll: true });
  },
  "chat.message.reacted"(ev) {
    const li = find(ev.message_id);
    if (li) chip(li, ev.emoji, ev.count, me.user && ev.user_id === me.user ? Boolean(ev.added) : mineIs(li, ev.emoji));
  },
  "chat.presence"(ev) {
    if (ev.state === "typing") typing(ev);
    else people.soon();
  },
  "chat.room.updated"(ev) { if (ev.archived !== undefined) location.reload(); else people.soon(); },
  "chat.room.archived"() { location.reload(); }, // the draft is kept
  "moderation.actioned"(ev) { if (me.user && ev.user_id === me.user && /mute$/.test(ev.action)) location.reload(); else people.soon(); },
};

// Who is writing.
const writing = new Map(), note = $("[data-typing]", room);
function typing(ev) {
  if (ev.user_id === me.user) return;
  clearTimeout(writing.get(ev.user_id)?.timer);
  writing.set(ev.user_id, { name: at(ev.handle), timer: setTimeout(() => stopped(ev.user_id), 5000) });
  tell();
}
function stopped(user) {
  if (!writing.has(user)) return;
  clearTimeout(writing.get(user).timer);
  writing.delete(user);
  tell();
}
function tell() {
  const names = [...writing.values()].map((w) => w.name);
  note.textContent = !names.length ? "" : names.length === 1 ? names[0] + " is writing…"
    : names.length < 4 ? names.slice(0, -1).join(", ") + " and " + names.at(-1) + " are writing…" : names.length + " people are writing…";
}

// reload takes the room's lines anew; what is being written, and lines on their way, stay.
export async function reload() {
  const doc = await fresh(), now = doc && $("[data-room]", doc);
  if (!now || now.dataset.newest !== "true") return false;
  const waiting = $$(".line.is-sending, .line.is-failed", list), end = atEnd();
  list.setAttribute("aria-live", "off");
  list.replaceChildren(...$$("[data-lines] > *", now));
  if (list.children.length) $("[data-room-empty]", room)?.remove();
  position.after = Number(now.dataset.after);
  position.epoch = now.dataset.epoch;
  gapAt = -1;
  days();
  waiting.forEach(place);
  times(list);
  people.take(doc);
  if (end) toEnd();
  setTimeout(() => list.setAttribute("aria-live", "polite"), 500);
  read.seen();
  return true;
}
