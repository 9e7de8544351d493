// Suggestions for the search box: the fields that begin as the word that is being
// written, and the words between conditions.
let known = null;

async function fields(url) {
  known ??= fetch(url, { headers: { Accept: "application/json" }, redirect: "error" })
    .then((r) => (r.ok ? r.json() : { fields: [] })).then((d) => d.fields).catch(() => []);
  return known;
}

export function suggest(box) {
  const list = document.createElement("ul");
  list.className = "suggest";
  list.id = "suggestions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Fields");
  const holder = document.createElement("div");
  holder.className = "suggest-at";
  box.closest("form").append(holder);
  holder.append(list);
  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-controls", list.id);
  box.setAttribute("aria-expanded", "false");
  let at = -1;
  let word = null;

  const hide = () => { list.hidden = true; at = -1; box.setAttribute("aria-expanded", "false"); box.removeAttribute("aria-activedescendant"); };
  const mark = () => {
    [...list.children].forEach((li, i) => li.setAttribute("aria-selected", String(i === at)));
    const chosen = list.children[at];
    if (chosen) { chosen.scrollIntoView({ block: "nearest" }); box.setAttribute("aria-activedescendant", chosen.id); } else box.removeAttribute("aria-activedescendant");
  };
  const take = (name) => {
    box.setRangeText(`${name}:`, word.start, word.end, "end");
    hide();
    box.focus();
  };
  const show = async () => {
    const before = box.value.slice(0, box.selectionStart);
    const begun = /(?:^|[\s(])([\w.@-]{2,})$/.exec(before);
    if (!begun || box.selectionStart !== box.selectionEnd) { hide(); return; }
    word = { start: before.length - begun[1].length, end: before.length };
    const text = begun[1].toLowerCase();
    const all = await fields(box.dataset.fields);
    const fit = all.filter((f) => f.startsWith(text)).concat(all.filter((f) => !f.startsWith(text) && f.includes(text))).slice(0, 12);
    if (!fit.length || document.activeElement !== box || (fit.length === 1 && fit[0] === text)) { hide(); return; }
    list.replaceChildren(...fit.map((name, i) => {
      const li = document.createElement("li");
      li.id = `suggestion-${i}`;
      li.setAttribute("role", "option");
      li.textContent = name;
      li.onpointerdown = (e) => { e.preventDefault(); take(name); };
      return li;
    }));
    at = -1;
    mark();
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
  };
  box.addEventListener("input", show);
  box.addEventListener("blur", hide);
  box.addEventListener("keydown", (e) => {
    if (e.key === "Escape" && list.hidden) { box.blur(); return; }
    if (list.hidden) return;
    const n = list.children.length;
    if (e.key === "ArrowDown") at = (at + 1) % n;
    else if (e.key === "ArrowUp") at = (at - 1 + n) % n;
    else if (e.key === "Escape") { hide(); e.preventDefault(); return; }
    else if ((e.key === "Enter" || e.key === "Tab") && at >= 0) { e.preventDefault(); take(list.children[at].textContent); return; }
    else return;
    e.preventDefault();
    mark();
  });
}
