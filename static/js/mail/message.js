// One message: its keyboard, and printing. A key does what the button or link with the same name does.
import { $, $$, typing } from "./page.js";

let going = 0; // after g comes the name of a page: app.js opens it
document.addEventListener("keydown", (e) => {
  if (typing(e) || e.key === "Shift") return;
  if (Date.now() - going < 1500) { going = 0; return; }
  if (e.key === "g") { going = Date.now(); return; }
  const el = $$("[data-key-do]").find((x) => x.dataset.keyDo === e.key);
  if (!el) return;
  e.preventDefault();
  el.click();
});
document.addEventListener("click", (e) => { if (e.target.closest("[data-print]")) print(); });
const back = $("[data-back]");
document.addEventListener("keydown", (e) => { if (!typing(e) && e.key === "Escape") back?.click(); });
