// The field in which a line is written: its draft is kept, it can answer a line, and it tells that somebody writes.
import { $, ask, base, field, form, list, recall, remember } from "./page.js";
import { excerpt } from "./lines.js";
import * as files from "./files.js";
import * as outbox from "./outbox.js";

const box = $("[data-answers]", form || undefined);
export function answer(li) {
  form.elements.reply_to.value = li ? li.dataset.id : "";
  $("[data-answers-what]", form).textContent = li ? excerpt(li) : "";
  box.hidden = !li;
  if (li) field.focus();
  draft();
}
export const answers = () => Boolean(form?.elements.reply_to.value);

function draft() {
  const text = field.value, to = form.elements.reply_to.value;
  remember("draft", text || to ? { text, to, what: $("[data-answers-what]", form).textContent } : null);
}
function restore() {
  const kept = recall("draft");
  if (!kept || field.value) return;
  field.value = kept.text;
  if (!kept.to || form.elements.reply_to.value) return;
  form.elements.reply_to.value = kept.to;
  $("[data-answers-what]", form).textContent = kept.what;
  box.hidden = false;
}

export function start(live) {
  restore();
  let typed = 0;
  field.addEventListener("input", () => {
    draft();
    if (live && field.value && Date.now() - typed > 3000) { typed = Date.now(); ask(base + "/typing", { method: "POST", form: {} }); }
  });
  field.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); form.requestSubmit(); }
  });
  $("[data-answers-not]", form).addEventListener("click", (e) => { e.preventDefault(); answer(); field.focus(); });
  list.addEventListener("click", (e) => {
    if (!e.target.closest("[data-reply]")) return;
    e.preventDefault();
    e.target.closest("details").open = false;
    answer(e.target.closest(".line"));
  });
  form.addEventListener("submit", (e) => {
    if (!live) { remember("draft", null); return; } // from the past the form leads back to the present
    e.preventDefault();
    if (files.busy(() => form.requestSubmit())) return; // it is sent when they are there
    const text = field.value.trim(), taken = files.take();
    if (!text && !taken.length) return;
    const { user_id: user, handle, reply_to: to } = Object.fromEntries(new FormData(form)), body = { text };
    if (user) body.user_id = Number(user);
    if (handle) body.handle = handle;
    if (to) body.reply_to = Number(to);
    if (taken.length) body.attachments = taken;
    field.value = "";
    answer();
    field.focus();
    outbox.put(body);
  });
  if (live) {
    outbox.start();
    files.start();
  }
}
