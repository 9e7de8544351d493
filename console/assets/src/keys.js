// Keys: what a hand does without a mouse. They are listed by "?".
const places = { o: "/", l: "/logs", t: "/traces", a: "/alerts" };

const rows = () => [...document.querySelectorAll("[data-row]")].filter((r) => r.offsetParent);

function step(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((r) => r === document.activeElement || r.contains(document.activeElement));
  const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
  const target = next.matches("a,button,summary,[tabindex]") ? next : next.querySelector("a,button,summary,[tabindex]") || next;
  target.focus();
  next.scrollIntoView({ block: "nearest" });
}

export function keys() {
  let leader = 0;
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input,textarea,select,[contenteditable]")) return;
    if (performance.now() - leader < 1500 && places[e.key]) { leader = 0; location.assign(places[e.key]); return; }
    switch (e.key) {
      case "?": document.getElementById("keys").showModal(); break;
      case "/": { const box = document.querySelector("[data-search]"); if (!box) return; box.focus(); break; }
      case "j": step(1); break;
      case "k": step(-1); break;
      case "r": location.reload(); break;
      case "g": leader = performance.now(); break;
      default: return;
    }
    e.preventDefault();
  });
}
