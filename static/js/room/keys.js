// The keyboard: from line to line, and what is done with the one that has the focus.
import { $, $$, field, list, scroller } from "./page.js";
import { answer, answers } from "./composer.js";

const all = () => $$(".line", list);
function go(li) {
  if (!li) return;
  li.focus({ preventScroll: true });
  li.scrollIntoView({ block: "nearest" });
}
function open(li, css) {
  const t = $("[data-tools]", li), inside = t && $(css, t);
  if (!inside) return false;
  t.open = true;
  inside.focus();
  if (inside.select && inside.value) inside.setSelectionRange(inside.value.length, inside.value.length);
  return true;
}
function shut(li) {
  const t = $("[data-tools]", li);
  if (!t?.open) return false;
  t.open = false;
  li.focus({ preventScroll: true });
  return true;
}

function onLine(e, li) {
  const lines = all(), i = lines.indexOf(li);
  switch (e.key) {
    case "ArrowUp": go(lines[i - 1]); break;
    case "ArrowDown": if (i === lines.length - 1) field?.focus(); else go(lines[i + 1]); break;
    case "Home": go(lines[0]); break;
    case "End": go(lines.at(-1)); break;
    case "r": $("[data-reply]", li)?.click(); break;
    case "e": if (!open(li, "[data-edit] textarea")) return; break;
    case "+": if (!open(li, "button[name=emoji]")) return; break;
    case "Escape": if (!shut(li)) field?.focus(); break;
    default: return;
  }
  e.preventDefault();
  e.stopPropagation();
}

export function start() {
  list.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const li = e.target.closest(".line");
    if (!li) return;
    if (e.target === li) { onLine(e, li); return; }
    if (e.key === "Escape") { e.preventDefault(); e.stopPropagation(); shut(li); go(li); return; }
    if (e.key === "Enter" && !e.shiftKey && e.target.matches("[data-edit] textarea")) { e.preventDefault(); e.target.form.requestSubmit(); return; }
    if (!e.target.matches("input, textarea") && /^(Arrow(Up|Down)|[re+])$/.test(e.key)) onLine(e, li);
  });
  scroller.addEventListener("keydown", (e) => {
    if (e.target !== scroller || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "ArrowUp" || e.key === "ArrowDown") { e.preventDefault(); go(all().at(-1)); }
  });
  field?.addEventListener("keydown", (e) => {
    if (e.isComposing || e.ctrlKey || e.metaKey || e.altKey || e.shiftKey) return;
    if (e.key === "ArrowUp" && !field.value) { e.preventDefault(); go(all().at(-1)); }
    if (e.key === "Escape") { if (answers()) answer(); else field.blur(); }
  });
  // One set of tools is open at a time.
  list.addEventListener("toggle", (e) => { if (e.target.open) for (const t of $$("[data-tools][open]", list)) if (t !== e.target) t.open = false; }, true);
  document.addEventListener("click", (e) => { for (const t of $$("[data-tools][open]", list)) if (!t.contains(e.target)) t.open = false; });
}
