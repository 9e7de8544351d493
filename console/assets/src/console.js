// The console's script: what the pages do beyond links and forms. Every page
// reads and works without it.
import { charts } from "./charts.js";
import { keys } from "./keys.js";
import { logs, ready } from "./logs.js";
import { refresh } from "./refresh.js";

// Times are written in the reader's zone; the server learns it from this cookie.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.includes(`pharos_zone=${encodeURIComponent(zone)}`)) {
  const first = !document.cookie.includes("pharos_zone=");
  document.cookie = `pharos_zone=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax`;
  if (first && zone !== "UTC" && document.body.dataset.page !== "sign-in") location.reload();
}

const fold = document.querySelector(".menu-fold");
if (fold && matchMedia("(max-width: 760px)").matches) fold.open = false;

charts(document);
keys();
logs((root) => charts(root));
refresh((root) => { charts(root); ready(); });
