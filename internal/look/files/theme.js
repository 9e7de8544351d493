// The scheme is the system's, until the reader chooses another one. Loaded in
// the head, so that a kept choice holds before anything is painted.
(() => {
  const key = "pharos.theme";
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const system = () => (systemDark.matches ? "dark" : "light");
  const shown = () => root.dataset.theme || system();

  // Storage throws where the reader has turned it off; then the choice lasts
  // as long as the page.
  const kept = (() => { try { return localStorage.getItem(key); } catch { return null; } })();
  const keep = (theme) => {
    try {
      if (theme) localStorage.setItem(key, theme); else localStorage.removeItem(key);
    } catch { /* see above */ }
  };

  if (kept === "light" || kept === "dark") root.dataset.theme = kept;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("[data-theme-switch]");
    const words = button.querySelector("span");
    const name = () => { words.textContent = shown() === "dark" ? "Light scheme" : "Dark scheme"; };
    button.addEventListener("click", () => {
      const next = shown() === "dark" ? "light" : "dark";
      if (next === system()) { delete root.dataset.theme; keep(null); } else { root.dataset.theme = next; keep(next); }
      name();
    });
    systemDark.addEventListener("change", name);
    name();
    button.hidden = false;
  });
})();
