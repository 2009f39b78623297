// A list of cases by the keyboard: arrows go from row to row, a letter does what its button does.
(() => {
  "use strict";
  const rows = [...document.querySelectorAll("[data-keys] > li")];
  for (const r of rows) r.tabIndex = -1;
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || !rows.length || e.target.closest("input, textarea, select, dialog[open]")) return;
    const at = rows.indexOf(document.activeElement?.closest("[data-keys] > li"));
    if (e.key === "ArrowDown" || e.key === "j") rows[Math.min(at + 1, rows.length - 1)].focus();
    else if (e.key === "ArrowUp" || e.key === "k") rows[Math.max(at - 1, 0)].focus();
    else {
      const b = at >= 0 && [...rows[at].querySelectorAll("[data-act-key]")].find((x) => x.dataset.actKey === e.key);
      if (!b) return;
      b.click();
    }
    e.preventDefault();
  });
  rows[0]?.focus({ preventScroll: true });
})();
