// Says when the server does not answer, and when it does again. Polling goes on by itself (polling.js).
import { toast } from "./toasts.js";
import { words } from "./words.js";

const AWAY = new Set([0, 502, 503, 504]);
const banner = document.getElementById("connection");

function lost() {
  banner.hidden = false;
}

function back() {
  if (banner.hidden) return;
  banner.hidden = true;
  toast(words.back);
}

document.body.addEventListener("htmx:sendError", lost);
document.body.addEventListener("htmx:timeout", lost);
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful) back();
  else if (AWAY.has(detail.xhr.status)) lost();
});
document.body.addEventListener("htmx:responseError", ({ detail }) => {
  const polled = detail.elt.dataset?.pollSeconds !== undefined;
  if (!polled && !AWAY.has(detail.xhr.status)) toast(words.failed, "danger");
});
window.addEventListener("offline", lost);
window.addEventListener("online", () => document.dispatchEvent(new Event("poll-now")));
