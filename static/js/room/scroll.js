// Place in the text: at the end while the reader is there, else where they are; earlier lines as they scroll up.
import { $, $$, ask, base, find, list, room, scroller, times } from "./page.js";
import { days, line } from "./lines.js";

const jump = $("[data-jump]", room), what = $("[data-jump-what]", room);
let waiting = 0; // lines that came while the reader was elsewhere

export const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
export function toEnd() {
  scroller.scrollTop = scroller.scrollHeight;
  jump.hidden = true;
  waiting = 0;
}
export function came() {
  what.textContent = ++waiting === 1 ? "1 new line" : waiting + " new lines";
  jump.hidden = false;
}

// to shows a line and puts the focus on it; false when it is not on the page.
export function to(id) {
  const li = find(id);
  if (!li) return false;
  li.scrollIntoView({ block: "center" });
  li.focus({ preventScroll: true });
  li.classList.remove("is-new");
  void li.offsetWidth; // so that the animation begins anew
  li.classList.add("is-new");
  return true;
}

let older = room.dataset.older === "true", loading = false;
async function earlier() {
  if (!older || loading) return;
  const first = $(".line[data-id]", list);
  if (!first) return;
  loading = true;
  const res = await ask(`${base}/messages?limit=50&before=${first.dataset.id}`);
  loading = false;
  if (!res.ok) return; // the link stays and can be followed
  list.setAttribute("aria-live", "off"); // what was said long ago is not read out
  const height = scroller.scrollHeight;
  list.prepend(...res.data.map(line).reverse());
  days();
  times(list);
  scroller.scrollTop += scroller.scrollHeight - height;
  setTimeout(() => list.setAttribute("aria-live", "polite"), 500);
  setOlder(res.data.length === 50);
}
function setOlder(on) {
  older = on;
  const p = $("[data-older-link]", room);
  if (p) p.hidden = !on;
}
// trim keeps a page that is open for days from growing without end.
export function trim() {
  const all = $$(".line", list);
  if (all.length < 800 || !atEnd() || !$("[data-older-link]", room)) return;
  for (const li of all.slice(0, 300)) li.remove();
  days();
  setOlder(true);
  toEnd();
}

export function start() {
  jump.addEventListener("click", toEnd);
  scroller.addEventListener("scroll", () => { if (atEnd()) { jump.hidden = true; waiting = 0; } }, { passive: true });
  const wanted = /^#line-(\d+)$/.exec(location.hash), first = $("[data-fresh]", list);
  toEnd();
  if (wanted) to(wanted[1]);
  else if (first) scroller.scrollTop = Math.min(scroller.scrollTop, first.offsetTop - scroller.clientHeight / 3);
  const p = $("[data-older-link]", room);
  if (p) {
    p.addEventListener("click", (e) => { if (e.target.closest("a")) { e.preventDefault(); earlier(); } });
    new IntersectionObserver((all) => { if (all.some((x) => x.isIntersecting)) earlier(); }, { root: scroller, rootMargin: "200px 0px 0px 0px" }).observe(p);
  }
  list.addEventListener("click", (e) => {
    const a = e.target.closest("[data-to]");
    if (a && to(a.dataset.to)) e.preventDefault();
  });
}
