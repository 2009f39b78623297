// Completion of names: after an @ those who are here or spoke here are offered.
import { $, $$, ask, base, el, field, form, list, me } from "./page.js";
import * as people from "./people.js";

const box = form && $("[data-names]", form);
let members = null, at = -1, from = 0;

async function load() {
  members = [];
  const res = await ask(base + "/members?limit=200");
  if (res.ok) members = res.data.map((m) => m.handle.replace(/^@/, ""));
  if (document.activeElement === field) offer();
}
function known() {
  const spoke = $$(".line-head b", list).map((b) => b.textContent.replace(/^@/, "")).reverse();
  return [...new Set([...people.names(), ...spoke, ...(members || [])])].filter((n) => n && n !== me.handle);
}
function close() {
  box.hidden = true;
  box.replaceChildren();
  at = -1;
  field.removeAttribute("aria-activedescendant");
  field.removeAttribute("aria-controls");
}
function offer() {
  const before = field.value.slice(0, field.selectionStart);
  const m = /(?:^|[^\p{L}\p{N}_@.+-])@([\p{L}\p{N}._+-]*)$/u.exec(before);
  if (!m || field.selectionStart !== field.selectionEnd) { close(); return; }
  if (!members) load();
  from = before.length - m[1].length;
  const part = m[1].toLowerCase();
  const found = known().filter((n) => n.toLowerCase().startsWith(part)).slice(0, 6);
  if (!found.length || (found.length === 1 && found[0].toLowerCase() === part)) { close(); return; }
  box.replaceChildren(...found.map((n, i) => {
    const li = el("li", "", "@" + n);
    li.id = "name-" + i;
    li.dataset.name = n;
    return li;
  }));
  box.hidden = false;
  field.setAttribute("aria-controls", "names");
  choose(0);
}
function choose(i) {
  at = (i + box.children.length) % box.children.length;
  [...box.children].forEach((li, n) => li.classList.toggle("is-chosen", n === at));
  field.setAttribute("aria-activedescendant", "name-" + at);
}
function take(name) {
  const end = field.selectionStart;
  field.setRangeText(name + " ", from, end, "end");
  close();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

export function start() {
  field.addEventListener("input", offer);
  field.addEventListener("blur", () => setTimeout(close, 150));
  box.addEventListener("mousedown", (e) => {
    const li = e.target.closest("[data-name]");
    if (li) { e.preventDefault(); take(li.dataset.name); }
  });
  field.addEventListener("keydown", (e) => {
    if (box.hidden || e.isComposing) return;
    if (e.key === "ArrowDown") choose(at + 1);
    else if (e.key === "ArrowUp") choose(at - 1);
    else if (e.key === "Enter" || e.key === "Tab") take(box.children[at].dataset.name);
    else if (e.key === "Escape") close();
    else return;
    e.preventDefault();
    e.stopImmediatePropagation();
  }, { capture: true });
}
