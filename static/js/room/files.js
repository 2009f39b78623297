// Files to send: chosen, pasted or dropped, uploaded at once with their progress, and taken along by the next line.
import { $, base, el, field, form, room, toast } from "./page.js";
import { size } from "./lines.js";

const box = form && $("[data-loads]", form), most = 10, largest = 20 * 1024 * 1024;
let loads = [], then = null;

function show() { box.hidden = !loads.length; }
function required() { field.required = !loads.length; }
function remove(load) {
  load.request?.abort();
  load.li.remove();
  loads = loads.filter((l) => l !== load);
  if (load.done) fetch(`${base}/attachments/${load.done.id}`, { method: "DELETE" }).catch(() => null);
  show();
  required();
  settled();
}
function settled() {
  if (loads.some((l) => !l.done) || !then) return;
  const go = then;
  then = null;
  go();
}

function add(file) {
  if (loads.length >= most) { toast(`A line takes at most ${most} files.`, "bad"); return; }
  if (file.size > largest) { toast(`${file.name} is larger than ${size(largest)}.`, "bad"); return; }
  if (!file.size) { toast(`${file.name} is empty.`, "bad"); return; }
  const li = el("li", "load"), bar = el("progress", "progress"), away = el("button", "btn ghost icon-only", "✕");
  bar.max = file.size;
  bar.value = 0;
  bar.setAttribute("aria-label", "Upload of " + file.name);
  away.type = "button";
  away.setAttribute("aria-label", "Take away " + file.name);
  const load = { li, done: null, request: new XMLHttpRequest() };
  away.addEventListener("click", () => { remove(load); field.focus(); });
  li.append(el("span", "clip", file.name), el("span", "faint small nowrap", size(file.size)), bar, away);
  box.append(li);
  loads.push(load);
  show();
  required();
  upload(load, file, bar);
}

function upload(load, file, bar) {
  const r = load.request, url = new URL(base + "/attachments", location.origin);
  for (const [k, v] of new URLSearchParams(room.dataset.socketQuery)) url.searchParams.set(k, v);
  url.searchParams.set("name", file.name || "picture.png");
  r.open("POST", url);
  r.responseType = "json";
  r.setRequestHeader("Accept", "application/json");
  r.setRequestHeader("Content-Type", "application/octet-stream");
  r.upload.addEventListener("progress", (e) => { bar.value = e.loaded; });
  r.addEventListener("load", () => {
    if (r.status < 300 && r.response?.id) {
      load.done = r.response;
      bar.remove();
      load.li.classList.add("is-done");
      settled();
    } else failed(load, r.response?.detail || `the room answers ${r.status}`);
  });
  r.addEventListener("error", () => failed(load, "no answer; try again"));
  r.send(file);
}
function failed(load, why) {
  toast(`${$(".clip", load.li).textContent}: ${why}.`, "bad");
  then = null;
  remove(load);
}

// busy reports files that are still on their way, and does what is wanted when all are there.
export function busy(after) {
  if (!loads.some((l) => !l.done)) return false;
  then = after;
  return true;
}
// take returns the files that are there, for a line to take along.
export function take() {
  const all = loads.map((l) => l.done);
  loads.forEach((l) => l.li.remove());
  loads = [];
  if (box) { show(); required(); }
  return all;
}

export function start() {
  const input = $("[data-files]", form), note = $("[data-drop]", room);
  if (!input) return;
  input.addEventListener("change", () => { [...input.files].forEach(add); input.value = ""; field.focus(); });
  field.addEventListener("paste", (e) => {
    if (!e.clipboardData?.files.length) return;
    e.preventDefault();
    [...e.clipboardData.files].forEach(add);
  });
  const has = (e) => e.dataTransfer?.types.includes("Files");
  room.addEventListener("dragover", (e) => { if (has(e)) { e.preventDefault(); note.hidden = false; } });
  room.addEventListener("dragleave", (e) => { if (!room.contains(e.relatedTarget)) note.hidden = true; });
  room.addEventListener("drop", (e) => {
    if (!has(e)) return;
    e.preventDefault();
    note.hidden = true;
    [...e.dataTransfer.files].forEach(add);
    field.focus();
  });
}
