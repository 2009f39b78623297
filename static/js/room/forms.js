// Forms of lines and of people: posted in place. What they changed comes back as an event.
import { ask, list, toast } from "./page.js";
import * as people from "./people.js";

async function post(e, done) {
  e.preventDefault();
  const form = e.target, b = e.submitter;
  b?.classList.add("is-busy");
  const action = b?.getAttribute("formaction") || form.getAttribute("action");
  const res = await ask(action, { method: "POST", form: new FormData(form, b) });
  b?.classList.remove("is-busy");
  if (res.ok) done(form, action);
  else toast(res.detail[0].toUpperCase() + res.detail.slice(1) + ".", "bad");
}

export function start() {
  list.addEventListener("submit", (e) => post(e, (form, action) => {
    const t = form.closest("details"), li = form.closest(".line");
    if (t) {
      const inside = t.contains(document.activeElement);
      t.open = false;
      if (inside) li.focus({ preventScroll: true });
    }
    if (action.endsWith("/pin")) toast("Pinned.", "ok");
    if (action.endsWith("/report")) toast("The room's moderators will see it.");
  }));
  document.addEventListener("submit", (e) => {
    if (e.target.matches("[data-people] [data-act]")) post(e, () => { toast("Done.", "ok"); people.refresh(true); });
  }, { capture: true });
}
