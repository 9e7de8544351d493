// Refresh: loads the page again behind the reader and puts in what has changed,
// so that nothing that is open, selected or scrolled jumps. A page that does not
// want it has no data-refresh.
const parts = "[data-part]";

export function refresh(changed) {
  const every = Number(document.body.dataset.refresh);
  if (!every) return;
  const said = document.createElement("p");
  said.className = "stale";
  said.setAttribute("role", "status");
  // A page that leads elsewhere leads to the sign-in, and from there back to here.
  const signIn = () => {
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "Sign in again";
    said.replaceChildren(`This is the state of ${since.toLocaleTimeString()}: your session has ended. `, link, ".");
    document.getElementById("main").prepend(said);
  };
  const load = async () => {
    if (document.hidden || String(getSelection()).length > 0 || document.querySelector("dialog[open], .pick[open]")) return;
    try {
      const res = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
      if (res.type === "opaqueredirect") { signIn(); return; }
      if (!res.ok) throw new Error(`the answer was ${res.status}`);
      const next = new DOMParser().parseFromString(await res.text(), "text/html");
      for (const part of document.querySelectorAll(parts)) {
        const fresh = next.getElementById(part.id);
        if (!fresh || fresh.innerHTML === part.dataset.was || part.contains(document.activeElement)) continue;
        const open = [...part.querySelectorAll("details[open]")].map((d) => d.id).filter(Boolean);
        part.dataset.was = fresh.innerHTML;
        part.innerHTML = fresh.innerHTML;
        for (const id of open) { const d = document.getElementById(id); if (d) d.open = true; }
        changed(part);
      }
      said.remove();
    } catch (err) {
      said.textContent = `This is the state of ${since.toLocaleTimeString()}: loading again failed (${err.message}).`;
      document.getElementById("main").prepend(said);
      return;
    }
    since = new Date();
  };
  let since = new Date();
  setInterval(load, every);
}
