// The statistics' reset: a moment that this browser keeps in a cookie, from which the page counts by itself.
import "./chart.js";
import { agreed } from "./dialogs.js";

const COOKIE = "photochanger_statistics_since";
const YEAR_SECONDS = 365 * 24 * 3600;
let shownAt = performance.now();

function keep(moment, seconds) {
  document.cookie = `${COOKIE}=${moment}; path=/; max-age=${seconds}; samesite=lax`;
}

// The server's clock is the one that counts: its moment of the page, and how long that has been there.
function now() {
  const until = Date.parse(document.getElementById("statistics").dataset.until);
  return new Date(until + performance.now() - shownAt).toISOString();
}

document.addEventListener("click", async ({ target }) => {
  const reset = target.closest("#reset-statistics");
  if (reset && (await agreed(reset))) {
    keep(now(), YEAR_SECONDS);
    location.href = "/statistics";
  } else if (target.closest("#undo-reset")) {
    keep("", 0);
    location.href = "/statistics?minutes=60";
  }
});
document.body.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.elt.id === "statistics") shownAt = performance.now();
});
