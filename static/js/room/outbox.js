// Lines on their way: shown at once, sent one after another in the order in which they were written, each with a key
// that makes a repeat harmless. What was not acknowledged is kept across a reload of the page.
import { $, ask, el, find, form, me, recall, remember, toast } from "./page.js";
import { line, place, tools } from "./lines.js";
import { toEnd } from "./scroll.js";

let waiting = []; // bodies, the oldest first
let queue = Promise.resolve();
const keep = () => remember("outbox", waiting.length ? waiting : null);
function settle(body) {
  waiting = waiting.filter((b) => b.nonce !== body.nonce);
  keep();
}
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
const pause = (ms) => new Promise((r) => { setTimeout(r, ms); addEventListener("online", r, { once: true }); });

function fail(li, why, body) {
  li.classList.remove("is-sending");
  li.classList.add("is-failed");
  $(".state-word", li).textContent = "not sent: " + why;
  const row = el("div", "line-retry");
  const again = el("button", "btn slim", "Send again"), away = el("button", "btn ghost slim", "Discard");
  again.type = away.type = "button";
  again.addEventListener("click", () => {
    row.remove();
    li.classList.remove("is-failed");
    li.classList.add("is-sending");
    $(".state-word", li).textContent = "sending";
    post(li, body);
  });
  away.addEventListener("click", () => { settle(body); li.remove(); });
  row.append(again, away);
  li.append(row);
}

async function send(li, body) {
  for (let n = 0; ; n++) {
    if (!navigator.onLine) await new Promise((r) => addEventListener("online", r, { once: true }));
    const res = await ask(form.action, { method: "POST", json: { ...body, attachments: body.attachments?.map((f) => f.id) } }); // no answer: it may have arrived, so the same key is sent again
    if (res.ok) {
      settle(body);
      const real = res.data.id && find(res.data.id);
      if (real && real !== li) { li.remove(); return; } // its event was here first
      li.classList.remove("is-sending");
      $(".state-word", li)?.remove();
      if (res.data.id) { li.dataset.id = res.data.id; tools(li, res.data.id); }
      return;
    }
    if (res.status && res.status !== 409 && res.status !== 429 && res.status < 500) { fail(li, res.detail, body); return; }
    if (n >= 6) { fail(li, "no answer", body); return; }
    $(".state-word", li).textContent = res.status === 429 ? "waiting: " + res.detail : "sending again";
    await pause(Math.max(res.wait, Math.min(15000, 600 * 2 ** n) * (0.7 + Math.random() * 0.6)));
  }
}
function post(li, body) { queue = queue.then(() => send(li, body)).catch(() => toast("The line could not be sent.", "bad")); }

function show(body) {
  const li = line({ handle: me.handle || "you", user_id: me.user, text: body.text, reply_to: body.reply_to, attachments: body.attachments });
  li.classList.add("is-own", "is-sending");
  li.dataset.key = body.nonce;
  $(".line-head", li).append(el("span", "state-word", "sending"));
  place(li);
  toEnd();
  post(li, body);
}

// put takes a new line.
export function put(body) {
  body.nonce = newKey();
  waiting.push(body);
  keep();
  show(body);
}
// start sends what an earlier page did not get acknowledged.
export function start() {
  waiting = recall("outbox") || [];
  waiting.forEach(show);
}
