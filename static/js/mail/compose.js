// Writing a mail: it is saved by itself a moment after each change, files go up as they are chosen, dropped or pasted, and a
// version that another window saved is never written over. What the network keeps from being saved is kept in this tab.
import { $, $$, toast } from "./page.js";

const form = $("[data-compose-form]"), saved = $("[data-saved]"), list = $("[data-files]"), bar = $("[data-progress]");
const keep = `uq-mail:${location.pathname}`;
let changed = false, sending = false, busy = null, timer = 0, queue = [];

const draft = () => form.elements.draft;
const say = (text) => { saved.textContent = text; };

// fields are the form's, without files: those go up by themselves.
function fields(what) {
  const data = new FormData(form);
  data.delete("attachments");
  data.set("do", what);
  return data;
}

// remember keeps what is typed in this tab until it is saved, should the page end before.
function remember() {
  const typed = {};
  for (const n of ["to", "cc", "bcc", "subject", "text"]) typed[n] = form.elements[n].value;
  try { sessionStorage.setItem(keep, JSON.stringify({ draft: draft().value, from: location.search, typed })); } catch { /* it is saved in a moment */ }
}
function forget() { try { sessionStorage.removeItem(keep); } catch { /* nothing to forget */ } }
function recall() {
  let old;
  try { old = JSON.parse(sessionStorage.getItem(keep) || "null"); } catch { return; }
  if (!old || old.from !== location.search || old.draft !== draft().value) return;
  let any = false;
  for (const n in old.typed) if (form.elements[n] && form.elements[n].value !== old.typed[n]) { form.elements[n].value = old.typed[n]; any = true; }
  if (any) { toast("What you had typed is back."); later(300); }
}

// go posts the form, with progress, and answers {ok, status, body}.
function go(data) {
  return new Promise((done) => {
    const x = new XMLHttpRequest();
    x.open("POST", form.action);
    x.setRequestHeader("Accept", "application/json");
    x.upload.onprogress = (e) => { if (!bar.hidden && e.lengthComputable) bar.value = 100 * e.loaded / e.total; };
    x.onloadend = () => {
      let body = {};
      try { body = JSON.parse(x.responseText); } catch { /* no answer of ours */ }
      done({ ok: x.status >= 200 && x.status < 300, status: x.status, body });
    };
    x.send(data);
  });
}

// wrong shows the reason beside each field.
function wrong(body) {
  for (const p of $$(".field-error", form)) p.remove();
  for (const el of $$("[aria-invalid]", form)) { el.removeAttribute("aria-invalid"); el.removeAttribute("aria-describedby"); }
  let first;
  for (const e of body.errors || []) {
    const el = form.elements[e.field], at = el?.closest?.(".line-field, .field");
    if (!at) continue;
    const p = document.createElement("p");
    p.className = "field-error";
    p.id = e.field + "-error";
    p.textContent = `${e.field} ${e.detail}`;
    at.after(p);
    el.setAttribute("aria-invalid", "true");
    el.setAttribute("aria-describedby", p.id);
    el.closest("details")?.setAttribute("open", "");
    first ||= el;
  }
  if (first) first.focus();
  else toast(body.detail || "The mail could not be sent.", "bad");
}

function conflict(body) {
  $("[data-conflict-why]").textContent = body.detail || "";
  $("[data-conflict]").hidden = false;
  say("Not saved");
}

// own are the files that went up from this window, by their rows in the list.
const own = new WeakMap();
const chosen = () => $$(".file", list).filter((li) => $("input", li).checked);

function row() {
  const li = document.createElement("li"), label = document.createElement("label"), box = document.createElement("input"), name = document.createElement("span"), size = document.createElement("span");
  li.className = "file";
  label.className = "check";
  Object.assign(box, { type: "checkbox", checked: true });
  name.className = "clip";
  size.className = "small faint nowrap";
  label.append(box, name);
  li.append(label, size);
  list.append(li);
  return li;
}

// draw makes the list that of the stored draft: each version numbers its parts anew, and has not what was taken out. rows
// are those that were sent, in the order of the stored files; what went up beside them comes last.
function draw(stored, rows, files) {
  const gone = $$(".file", list).filter((li) => !rows.includes(li)), focus = gone.some((li) => li.contains(document.activeElement));
  for (const li of gone) li.remove();
  stored.forEach((f, i) => {
    const li = rows[i] || row();
    if (!rows[i]) own.set(li, files[i - rows.length]);
    Object.assign($("input", li), { name: "keep", value: f.part });
    $(".clip", li).textContent = f.name || "unnamed";
    $(".small", li).textContent = f.size < 1000 ? `${f.size} B` : f.size < 1e6 ? `${(f.size / 1e3).toFixed(1)} kB` : `${(f.size / 1e6).toFixed(1)} MB`;
  });
  if (focus) ($("input", list) || $("[data-attach]")).focus();
}

// save stores the draft, with files if there are some to go up; one save at a time, and never beside a send.
async function save() {
  clearTimeout(timer);
  if (sending) return false;
  if (busy) { await busy; if (!changed && !queue.length) return true; return save(); }
  const files = queue, rows = chosen(), data = fields("save");
  queue = [];
  for (const f of files) data.append("attachments", f, f.name);
  changed = false;
  bar.hidden = files.length === 0;
  bar.value = 0;
  say(files.length ? "Uploading…" : "Saving…");
  busy = go(data);
  const r = await busy;
  busy = null;
  bar.hidden = true;
  if (r.ok) {
    draft().value = r.body.draft;
    const at = new URL(location.href);
    at.search = r.body.next.slice(r.body.next.indexOf("?"));
    history.replaceState(null, "", at);
    draw(r.body.files, rows, files);
    if (changed) remember(); else forget();
    say(`Saved at ${new Date().toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })}`);
    return true;
  }
  changed = true;
  if (r.status === 409) { queue = files.concat(queue); conflict(r.body); return false; }
  if (r.status === 413 || r.status === 422) { toast(r.body.detail || "This cannot be saved.", "bad"); say("Not saved"); return false; }
  queue = files.concat(queue);
  say(r.status ? `Not saved: the service answers ${r.status}. Trying again…` : "Not saved: no connection. Trying again…");
  later(5000);
  return false;
}
function later(ms) { clearTimeout(timer); timer = setTimeout(save, ms); }

form.addEventListener("input", (e) => {
  if (e.target.matches("[type=file]")) return;
  changed = true;
  remember();
  later($$(".file", list).length ? 5000 : 1500);
});

// --- files ---
function attach(files) {
  const max = Number(form.dataset.max) * 0.72; // as they travel they are a third larger
  let sum = 0;
  for (const f of [...files, ...queue]) sum += f.size;
  if (sum > max) { toast(`That is more than a mail can carry: ${(max / 1e6).toFixed(0)} MB of files.`, "bad"); return; }
  queue.push(...files);
  save();
}
$("[data-attach]").addEventListener("change", (e) => { attach([...e.target.files]); e.target.value = ""; });
document.addEventListener("paste", (e) => {
  const files = [...e.clipboardData.files];
  if (!files.length || e.clipboardData.getData("text/plain")) return;
  e.preventDefault();
  attach(files);
});
const zone = $("[data-files-drop]");
form.addEventListener("dragover", (e) => { if ([...e.dataTransfer.types].includes("Files")) { e.preventDefault(); zone.classList.add("is-over"); } });
form.addEventListener("dragleave", (e) => { if (!form.contains(e.relatedTarget)) zone.classList.remove("is-over"); });
form.addEventListener("drop", (e) => {
  zone.classList.remove("is-over");
  if (!e.dataTransfer.files.length) return;
  e.preventDefault();
  attach([...e.dataTransfer.files]);
});

// --- sending ---
form.addEventListener("submit", async (e) => {
  e.preventDefault();
  const what = e.submitter?.value || "send";
  if (what === "save") { save(); return; }
  if (sending) return;
  clearTimeout(timer);
  if (busy) await busy;
  const data = fields(what), at = form.elements.send_at;
  for (const f of queue) data.append("attachments", f, f.name);
  if (at.value) data.set("send_at", at.value);
  sending = true;
  say(what === "send" ? "Sending…" : "Discarding…");
  const r = await go(data);
  sending = false;
  if (r.ok) {
    changed = false;
    forget();
    location.assign(new URL(form.action).pathname.replace(/\/compose$/, "") + r.body.next);
    return;
  }
  say("Not sent");
  if (r.status === 409) conflict(r.body); else wrong(r.body);
}, true);

// The other version's files are not this one's any more: what went up from this window goes up again.
$("[data-keep-new]").addEventListener("click", () => {
  const rows = draft().value ? chosen() : [], lost = rows.filter((li) => !own.has(li));
  queue = rows.filter((li) => own.has(li)).map((li) => own.get(li)).concat(queue);
  if (lost.length) toast(`Attach again what was there before: ${lost.map((li) => $(".clip", li).textContent).join(", ")}.`, "bad");
  if (rows.length) list.replaceChildren();
  draft().value = "";
  $("[data-conflict]").hidden = true;
  changed = true;
  save();
});
document.addEventListener("keydown", (e) => {
  if (!(e.ctrlKey || e.metaKey)) return;
  if (e.key === "Enter") { e.preventDefault(); form.requestSubmit($("button[value=send]", form)); }
  if (e.key === "s") { e.preventDefault(); save(); }
});
addEventListener("beforeunload", () => { if (changed) remember(); });
addEventListener("online", () => { if (changed) later(200); });
recall();
