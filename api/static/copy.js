// A button with data-copy copies the text of the element with that id.
(() => {
  // Pages served over plain HTTP have no navigator.clipboard.
  const copySelection = (source) => {
    const selection = getSelection();
    selection.selectAllChildren(source);
    const done = document.execCommand("copy");
    selection.removeAllRanges();
    return done ? Promise.resolve() : Promise.reject(new Error("copy refused"));
  };
  const copy = (source) =>
    navigator.clipboard ? navigator.clipboard.writeText(source.textContent) : copySelection(source);

  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    const words = button.querySelector("span");
    const before = words.textContent;
    button.addEventListener("click", async () => {
      try { await copy(source); words.textContent = "Copied"; } catch { words.textContent = "Not copied"; }
      setTimeout(() => { words.textContent = before; }, 2000);
    });
    button.hidden = false;
  }
})();
