// What the modules of the mail pages share: finding elements, and posting a form's fields without leaving the page.
export const { $, $$, toast, times } = window.uq;

// post sends fields as a form does, and returns the answer; what is refused is said in a toast and gives null.
export async function post(url, fields) {
  try {
    const r = await fetch(url, { method: "POST", headers: { Accept: "application/json" }, body: fields instanceof FormData ? fields : new URLSearchParams(fields) });
    const answer = await r.json().catch(() => ({}));
    if (r.ok) return answer;
    toast(answer.detail || `The service answers ${r.status}.`, "bad");
  } catch {
    toast("That did not get through: there is no connection.", "bad");
  }
  return null;
}

// typing says whether a key belongs to a field or a dialog.
export function typing(e) {
  return e.ctrlKey || e.metaKey || e.altKey || e.isComposing || e.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog[open]");
}
