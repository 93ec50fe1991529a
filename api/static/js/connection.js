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

function unanswered({ detail }) {
  lost();
  if (!polled(detail)) toast(words.failed, "danger");
}

const polled = (detail) => detail.elt.dataset?.pollSeconds !== undefined;

document.body.addEventListener("htmx:sendError", unanswered);
document.body.addEventListener("htmx:timeout", unanswered);
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful) back();
  else if (AWAY.has(detail.xhr.status)) lost();
});
document.body.addEventListener("htmx:responseError", ({ detail }) => {
  if (!polled(detail)) toast(words.failed, "danger");
});
window.addEventListener("offline", lost);
window.addEventListener("online", () => document.dispatchEvent(new Event("poll-now")));
