// Follows a job without loading the page again: what is marked with data-live
// is replaced by what the page would say now. Without this script the page
// loads itself again.
(() => {
  const stale = document.querySelector("[data-stale]");
  const ask = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok && answer.status !== 404) throw new Error(answer.statusText);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };
  const follow = async () => {
    try {
      const now = await ask();
      stale.hidden = true;
      if (!now.querySelector("[data-live=progress]")) {
        location.reload(); // it has ended: the page of its end
        return;
      }
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = now.querySelector(`[data-live="${old.dataset.live}"]`);
        if (fresh.innerHTML !== old.innerHTML) old.replaceWith(document.adoptNode(fresh));
      }
      document.title = now.title;
    } catch {
      stale.hidden = false;
    }
    setTimeout(follow, 1000);
  };
  setTimeout(follow, 1000);
})();
