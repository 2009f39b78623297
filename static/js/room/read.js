// How far the reader has read: told a moment after the newest line, while somebody looks.
import { ask, base } from "./page.js";
import { mark } from "./lines.js";
import { position } from "./events.js";

const title = document.title;
let timer = 0, told = 0, missed = 0;

export function seen() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (!document.hidden && position.after > told) ask(base + "/read", { method: "POST", form: { seq: told = position.after } });
  }, 1500);
}
// away notes a line that came while nobody looked: the title counts, and the first has the separator before it.
export function away(li) {
  if (!missed++) mark(li);
  document.title = `(${missed}) ${title}`;
}
export function start() {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    missed = 0;
    document.title = title;
    seen();
  });
  seen();
}
