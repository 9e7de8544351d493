// The logs page: lines open in place, new ones come in by themselves and wait
// while somebody reads, older ones are put below, and the search box knows the
// fields. The address stays the whole state.
import { suggest } from "./suggest.js";

const rowOf = (ref) => [...document.querySelectorAll("#rows > tr[data-row]")].find((r) => r.dataset.ref === ref);
const said = (id, text) => { const e = document.getElementById(id); if (e) e.textContent = text; };

// A fragment of HTML that the console's own server made.
function parse(html) {
  const t = document.createElement("template");
  t.innerHTML = html;
  return t.content;
}

function state(name, value) {
  const next = new URL(location.href);
  if (value) next.searchParams.set(name, value); else next.searchParams.delete(name);
  for (const gone of ["around", "whole", "wait"]) next.searchParams.delete(gone);
  history.replaceState(null, "", next);
}

const detailOf = (row) => (row.nextElementSibling?.matches(".detail-row") ? row.nextElementSibling : null);

function close(row) {
  detailOf(row)?.remove();
  row.classList.remove("open");
  row.querySelector("[data-open]").setAttribute("aria-expanded", "false");
}

async function open(row) {
  if (detailOf(row)) { close(row); state("line", ""); live?.read(); keep(); return; }
  const link = row.querySelector("[data-open]");
  link.setAttribute("aria-expanded", "true");
  link.setAttribute("aria-busy", "true");
  const at = new URL("/logs/line", location.href);
  at.search = location.search;
  for (const gone of ["line", "around", "whole", "cursor"]) at.searchParams.delete(gone);
  at.searchParams.set("ref", row.dataset.ref);
  try {
    const res = await fetch(at, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!res.ok) throw new Error(`the answer was ${res.status}`);
    const tr = document.createElement("tr");
    tr.className = "detail-row";
    const td = tr.insertCell();
    td.colSpan = row.cells.length;
    td.append(parse(await res.text()));
    if (!detailOf(row)) row.after(tr);
    row.classList.add("open");
    state("line", row.dataset.ref);
    keep();
  } catch {
    location.assign(link.href); // the whole page can say what is wrong
  }
  link.removeAttribute("aria-busy");
}

// Older lines are put below; what is above stays where it is.
async function more(link) {
  link.setAttribute("aria-busy", "true");
  link.textContent = "Loading";
  const res = await fetch(link.href, { headers: { Accept: "text/html" }, redirect: "error" }).catch(() => null);
  if (!res?.ok) { location.assign(link.href); return; }
  const next = new DOMParser().parseFromString(await res.text(), "text/html");
  const rows = document.getElementById("rows");
  const known = new Set([...rows.querySelectorAll("tr[data-row]")].map((r) => r.dataset.ref));
  const fresh = [...next.querySelectorAll("#rows > tr[data-row]")].filter((r) => !known.has(r.dataset.ref));
  rows.append(...fresh.map((r) => document.adoptNode(r)));
  const again = next.querySelector("[data-more]");
  if (again) link.replaceWith(document.adoptNode(again)); else link.remove();
  fresh[0]?.querySelector("a").focus({ preventScroll: true });
}

// The histogram and the facets, where the page came without them.
async function pending(section, changed) {
  const res = await fetch(section.dataset.pending, { headers: { Accept: "text/html" }, redirect: "error" }).catch(() => null);
  if (!res?.ok) return; // its link stays
  const next = new DOMParser().parseFromString(await res.text(), "text/html");
  const summary = next.getElementById("p-summary");
  if (!summary) return;
  section.replaceWith(document.adoptNode(summary));
  const facets = next.getElementById("p-facets");
  if (facets && !document.getElementById("p-facets")) document.querySelector(".logs").prepend(document.adoptNode(facets));
  ready();
  changed(summary);
}

// On a narrow screen the facets stay as they were left: folded at first.
let unfolded = false;
document.addEventListener("toggle", (e) => { if (e.target.id === "facets") unfolded = e.target.open; }, true);

function fold() {
  const facets = document.getElementById("facets");
  if (facets && matchMedia("(max-width: 1000px)").matches) facets.open = unfolded;
}

// What is open must not be replaced by a refresh.
function keep() {
  const part = document.getElementById("p-lines");
  if (live) return;
  if (part.querySelector(".detail-row")) part.removeAttribute("data-part"); else part.setAttribute("data-part", "");
}

const most = 5000; // lines of a live tail

// Live is the list that grows.
class Live {
  constructor(button) {
    this.button = button;
    this.rows = document.getElementById("rows");
    this.waiting = document.getElementById("live-waiting");
    this.queue = [];
    this.lost = 0;
    this.paused = false;
    // Rows that are older than the page's last one belong to its next pages.
    const last = [...this.rows.querySelectorAll("tr[data-row]")].pop();
    this.oldest = document.querySelector("[data-more]") && last && !this.rows.hasAttribute("data-oldest") ? Number(last.dataset.at) : -Infinity;
    this.seen = new Set([...this.rows.querySelectorAll("tr[data-row]")].map((r) => r.dataset.ref));
    this.part = document.getElementById("p-lines");
    this.part.removeAttribute("data-part"); // nothing else may put rows in
    this.waiting.onclick = () => { this.paused = false; scrollTo({ top: Math.min(scrollY, this.top()), behavior: "instant" }); this.put(); };
    addEventListener("scroll", this.scrolled = () => this.read(), { passive: true });
    this.source = new EventSource(button.dataset.live);
    this.source.onopen = () => { this.trouble = ""; this.say(); };
    this.source.onerror = () => {
      this.trouble = this.source.readyState === EventSource.CLOSED ? "The live tail has ended. Load the page again." : "The connection is lost; trying again. Nothing is skipped.";
      this.say();
    };
    this.source.addEventListener("lines", (e) => this.take(JSON.parse(e.data)));
    this.source.addEventListener("skipped", (e) => { const d = JSON.parse(e.data); this.lost += d.count; this.say(); });
    this.source.addEventListener("trouble", (e) => { this.trouble = JSON.parse(e.data).text; this.say(); });
    this.source.addEventListener("well", () => { this.trouble = ""; this.say(); });
    button.setAttribute("aria-pressed", "true");
    this.say();
  }

  end() {
    this.source.close();
    removeEventListener("scroll", this.scrolled);
    this.button.setAttribute("aria-pressed", "false");
    this.button.textContent = "Live";
    this.put();
    this.waiting.hidden = true;
    said("live-state", "");
  }

  top() { return this.rows.getBoundingClientRect().top + scrollY - 120; }

  // Somebody reads who has scrolled into the list, opened a line, marked a text or
  // asked for a pause.
  get reading() {
    return this.paused || scrollY > Math.max(0, this.top()) || this.rows.querySelector(".detail-row") || String(getSelection()).length > 0 || document.hidden;
  }

  take(data) {
    for (const row of parse(`<table><tbody>${data.rows}</tbody></table>`).querySelectorAll("tr[data-row]")) {
      if (this.seen.has(row.dataset.ref) || Number(row.dataset.at) < this.oldest) continue;
      this.seen.add(row.dataset.ref);
      this.queue.push(row);
    }
    if (this.queue.length > most) this.lost += this.queue.splice(0, this.queue.length - most).length;
    this.read();
  }

  read() { if (this.reading) this.say(); else this.put(); }

  // Lines go where their time belongs, however late they are.
  put() {
    const down = this.rows.hasAttribute("data-oldest");
    for (const row of this.queue.splice(0)) {
      const at = Number(row.dataset.at);
      const all = this.rows.querySelectorAll(":scope > tr[data-row]");
      let before = null;
      if (down) {
        for (let i = all.length - 1; i >= 0 && Number(all[i].dataset.at) > at; i--) before = all[i];
      } else {
        for (const other of all) if (Number(other.dataset.at) <= at) { before = other; break; }
        if (!before && all.length) { this.rows.append(row); continue; }
      }
      row.classList.add("changed");
      this.rows.insertBefore(row, before);
    }
    const all = [...this.rows.querySelectorAll(":scope > tr[data-row]")];
    const gone = down ? all.slice(0, Math.max(0, all.length - most)) : all.slice(most);
    for (const row of gone) { this.seen.delete(row.dataset.ref); row.remove(); }
    if (all.length) {
      this.rows.closest(".lines-wide").hidden = false;
      document.getElementById("no-lines")?.remove();
    }
    this.say();
  }

  say() {
    const n = this.queue.length;
    this.waiting.hidden = n === 0;
    this.waiting.textContent = `${n} new ${n === 1 ? "line waits" : "lines wait"}: show`;
    this.button.textContent = this.paused ? "Go on" : "Pause";
    const lost = this.lost ? ` ${this.lost} more came too fast to show: load again or search for less.` : "";
    said("live-state", (this.trouble || (this.paused ? "Paused." : this.reading ? "Waits while you read." : "Live.")) + lost);
  }
}

let live = null;

function startLive(button) {
  live = new Live(button);
  const stop = document.createElement("button");
  stop.className = "quiet";
  stop.type = "button";
  stop.textContent = "Stop";
  stop.onclick = () => { live.end(); live = null; stop.remove(); state("live", ""); keep(); };
  button.after(stop);
  state("live", "1");
}

function pressLive(button) {
  if (!live && performance.now() > 10000) { // what has come since belongs into the list first
    const next = new URL(location.href);
    for (const gone of ["line", "cursor", "around", "wait"]) next.searchParams.delete(gone);
    next.searchParams.set("live", "1");
    location.assign(next);
    return;
  }
  if (!live) { startLive(button); return; }
  live.paused = !live.paused;
  live.read();
}

// An export tells how far it is; without a script it is a plain download.
async function download(link) {
  const tell = (text) => said("export-state", text);
  tell("Counting.");
  const stop = new AbortController();
  try {
    const res = await fetch(link.href, { signal: stop.signal, redirect: "error" });
    if (!res.ok) throw new Error(`the answer was ${res.status}`);
    const total = Number(res.headers.get("X-Total-Count"));
    const name = /filename="([^"]+)"/.exec(res.headers.get("Content-Disposition") || "")?.[1] || "logs";
    const parts = [];
    let lines = 0;
    const header = name.endsWith(".csv") ? 1 : 0; // and a line break in a cell counts as well: never beyond all
    for (let r = res.body.getReader(); ;) {
      const { done, value } = await r.read();
      if (done) break;
      parts.push(value);
      for (const byte of value) if (byte === 10) lines++;
      const written = Math.min(total, Math.max(0, lines - header));
      tell(`Exporting: ${written.toLocaleString()} of ${total.toLocaleString()} lines, ${total ? Math.floor((written / total) * 100) : 100} %.`);
    }
    const a = document.createElement("a");
    a.href = URL.createObjectURL(new Blob(parts));
    a.download = name;
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 60000);
    tell(`Exported all ${total.toLocaleString()} lines.`);
  } catch (err) {
    tell(`The export failed and is not whole (${err.message}).`);
  }
}

// Gives what was put into the page again its behaviour.
export function ready() {
  fold();
  const button = document.querySelector("[data-live]");
  if (!button || !document.getElementById("rows")) return;
  button.hidden = false;
  button.onclick = () => pressLive(button);
}

export function logs(changed) {
  if (document.body.dataset.page !== "logs") return;
  const box = document.querySelector("[data-search]");
  if (box) suggest(box);
  const section = document.querySelector("[data-pending]");
  if (section) pending(section, changed);
  ready();
  const button = document.querySelector("[data-live]");
  if (button && !button.hidden && new URLSearchParams(location.search).get("live") === "1") startLive(button);
  document.addEventListener("click", (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    const opener = e.target.closest("[data-open]");
    const row = opener?.closest("#rows > tr[data-row]");
    if (row) { e.preventDefault(); open(row); return; }
    const older = e.target.closest("[data-more]");
    if (older) { e.preventDefault(); more(older); return; }
    const file = e.target.closest("[data-export]");
    if (file) { e.preventDefault(); download(file); }
  });
  const chosen = new URLSearchParams(location.search).get("line");
  const row = chosen && rowOf(chosen);
  if (row) row.scrollIntoView({ block: "center" });
}
