// Who is here, who belongs here, and what may be done about it.
import { $, ask, base, fresh, me, room } from "./page.js";

const aside = $("[data-people]"), count = $("[data-online-count]", room);
let timer = 0, known = "";

// take puts the people of a fresh page in the place of those that are shown, unless somebody is at work there.
export function take(doc, force) {
  const now = $("[data-people]", doc);
  if (!now || !aside) return;
  $("[data-about]", room).textContent = $("[data-about]", doc).textContent;
  count.textContent = $("[data-online-count]", doc).textContent;
  if (!force && (aside.matches(":focus-within") || $("details[open]", aside))) return;
  aside.replaceChildren(...now.children);
}
export async function refresh(force) {
  const doc = await fresh();
  if (doc) take(doc, force);
}
// soon is one refresh for a burst of changes.
export function soon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 800 + Math.random() * 700);
}
// look asks who is here now.
export async function look() {
  const res = await ask(base + "/presence");
  if (!res.ok) return;
  count.textContent = res.data.online;
  const now = res.data.online + " " + res.data.users.map((u) => u.user_id).join(" ");
  if (now !== known && known) soon();
  known = now;
}
// spoke notes that somebody is here who is not shown as such.
export function spoke(user) {
  if (!aside || !user || (user === me.user)) return;
  const shown = $(`[data-person="${Number(user)}"]`, aside);
  if (!shown?.parentElement.querySelector(".is-here")) soon();
}
export const names = () => [...(aside?.querySelectorAll("[data-person]") || [])].map((e) => e.textContent.replace(/^@/, ""));
