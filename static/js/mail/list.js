// The list of a folder: choosing, acting on what is chosen, the keyboard, and dragging onto a folder. What is chosen and
// where one stands is kept by the message's number, so that mail which arrives changes neither.
import { $, $$, post, toast, typing } from "./page.js";

const bulk = () => $("#bulk"), rows = () => $$(".mail[data-id]"), list = () => $("#inbox");
const chosen = new Set();
let at = "", last = "";

function show() {
  for (const li of rows()) {
    const on = chosen.has(li.dataset.id), box = $("input[name=ids]", li);
    li.classList.toggle("is-chosen", on);
    li.classList.toggle("is-at", li.dataset.id === at);
    if (box.checked !== on) box.checked = on;
    li.draggable = true;
  }
  const here = rows().filter((li) => chosen.has(li.dataset.id)).length, all = $("[data-all]");
  if (all) {
    all.checked = here > 0 && here === rows().length;
    all.indeterminate = here > 0 && here < rows().length;
  }
  const words = $("[data-chosen]");
  if (words) words.textContent = here ? `${here} chosen` : "none chosen";
}

function choose(id, on) { if (on) chosen.add(id); else chosen.delete(id); }

// stand moves the place in the list, and the focus with it.
function stand(li) {
  if (!li) return;
  at = li.dataset.id;
  $("[data-open]", li)?.focus({ preventScroll: true });
  li.scrollIntoView({ block: "nearest" });
  show();
}
function standing() { return rows().find((li) => li.dataset.id === at); }

// targets are the chosen messages, or the one that one stands on.
function targets() {
  const ids = rows().map((li) => li.dataset.id).filter((id) => chosen.has(id));
  return ids.length ? ids : standing() ? [at] : [];
}

const done = { read: "marked read", unread: "marked unread", star: "starred", unstar: "without a star", archive: "archived", spam: "moved to the junk", ham: "moved to the inbox", delete: "deleted", move: "moved", label: "labelled" };
const leaves = new Set(["archive", "spam", "ham", "delete", "move"]);

async function act(what, ids, more = {}) {
  const form = bulk();
  if (!form) return;
  if (!ids.length) { toast("Choose a message first."); return; }
  const fields = new URLSearchParams(new FormData(form));
  for (const k of ["ids", "do", "folder", "label", "next"]) fields.delete(k);
  for (const id of ids) fields.append("ids", id);
  fields.set("do", what);
  for (const k in more) fields.set(k, more[k]);
  const all = rows(), i = all.findIndex((li) => li.dataset.id === at);
  const answer = await post(form.action, fields);
  if (!answer) return;
  toast(`${ids.length} ${done[what] || "changed"}`, "ok");
  if (leaves.has(what)) {
    const gone = new Set(ids);
    if (gone.has(at)) at = (all.slice(i + 1).find((li) => !gone.has(li.dataset.id)) || all.slice(0, i).reverse().find((li) => !gone.has(li.dataset.id)))?.dataset.id || "";
    for (const id of ids) chosen.delete(id);
  }
  fresh();
}

// fresh takes a new copy of the list; htmx does it when the page is live.
function fresh() {
  if (window.htmx && list()) htmx.trigger(list(), "uq-refresh");
  else location.reload();
}

document.addEventListener("submit", (e) => {
  if (e.target !== bulk()) return;
  e.preventDefault();
  const what = e.submitter?.value, more = {};
  if (what === "move") more.folder = $("[data-move]").value;
  if (what === "label") more.label = $("[data-label]").value;
  if (what === "move" && !more.folder || what === "label" && !more.label) { toast(what === "move" ? "Choose the folder first." : "Write the label first."); return; }
  act(what, targets(), more);
  if (what === "label") $("[data-label]").value = "";
}, true);

document.addEventListener("change", (e) => {
  if (e.target.matches("[data-all]")) for (const li of rows()) choose(li.dataset.id, e.target.checked);
  else if (e.target.matches("input[name=ids]")) choose(e.target.value, e.target.checked);
  else if (e.target.matches("[data-move]") && e.target.value && e.isTrusted && targets().length) act("move", targets(), { folder: e.target.value }).then(() => { e.target.value = ""; });
  else return;
  show();
});

// A click with Shift chooses all between.
document.addEventListener("click", (e) => {
  const box = e.target.closest("input[name=ids]");
  if (!box) return;
  const all = rows().map((li) => li.dataset.id), i = all.indexOf(last), j = all.indexOf(box.value);
  if (e.shiftKey && i >= 0) for (const id of all.slice(Math.min(i, j), Math.max(i, j) + 1)) choose(id, box.checked);
  last = box.value;
  show();
});

document.addEventListener("focusin", (e) => {
  const li = e.target.closest?.(".mail[data-id]");
  if (li && li.dataset.id !== at) { at = li.dataset.id; show(); }
});

let going = 0; // after g comes the name of a page: app.js opens it
document.addEventListener("keydown", (e) => {
  if (typing(e) || e.key === "Shift") return;
  if (Date.now() - going < 1500) { going = 0; return; }
  if (e.key === "g") { going = Date.now(); return; }
  const all = rows(), i = all.indexOf(standing());
  const keys = {
    j: () => stand(all[Math.min(i + 1, all.length - 1)]), k: () => stand(all[Math.max(i - 1, 0)]),
    o: () => $("[data-open]", standing() || document.createElement("i"))?.click(),
    x: () => { if (standing()) { choose(at, !chosen.has(at)); show(); } },
    e: () => act("archive", targets()), "#": () => act("delete", targets()), Delete: () => act("delete", targets()),
    "!": () => act($("button[value=ham]", bulk()) ? "ham" : "spam", targets()),
    s: () => { const li = standing(); act(targets().length === 1 && li && "starred" in li.dataset ? "unstar" : "star", targets()); },
    u: () => act("unread", targets()), I: () => act("read", targets()),
    v: () => $("[data-move]")?.focus(), l: () => $("[data-label]")?.focus(),
    c: () => $("[data-compose]")?.click(),
  };
  if (!keys[e.key]) return;
  e.preventDefault();
  keys[e.key]();
});

// Dragging: what is chosen, or the one row, onto a folder.
let dragged = [];
document.addEventListener("dragstart", (e) => {
  const li = e.target.closest?.(".mail[data-id]");
  if (!li) return;
  dragged = chosen.has(li.dataset.id) ? targets() : [li.dataset.id];
  e.dataTransfer.effectAllowed = "move";
  e.dataTransfer.setData("text/plain", dragged.length === 1 ? $("[data-open]", li).textContent : `${dragged.length} messages`);
  for (const r of rows()) r.classList.toggle("is-dragged", dragged.includes(r.dataset.id));
});
document.addEventListener("dragend", () => {
  dragged = [];
  for (const r of $$(".is-dragged, .is-over")) r.classList.remove("is-dragged", "is-over");
});
const over = (e) => dragged.length && e.target.closest?.("[data-drop]");
document.addEventListener("dragover", (e) => { const a = over(e); if (a) { e.preventDefault(); a.classList.add("is-over"); } });
document.addEventListener("dragleave", (e) => e.target.closest?.("[data-drop]")?.classList.remove("is-over"));
document.addEventListener("drop", (e) => {
  const a = over(e);
  if (!a) return;
  e.preventDefault();
  act("move", dragged, { folder: a.dataset.drop });
});

document.addEventListener("htmx:after:swap", () => { if (at && !standing()) at = ""; show(); });
show();
