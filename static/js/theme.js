// Runs before the page is drawn: applies the remembered theme, so that nothing flashes, and says that scripts work.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("uq-theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch { /* storage is switched off: the browser's own preference counts */ }
})();
