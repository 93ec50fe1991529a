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

// A session that has ended leads to the login, but not away from what is typed and not saved: that is told.
document.body.addEventListener("htmx:beforeOnLoad", (event) => {
  const login = event.detail.xhr.status === 401 && event.detail.xhr.getResponseHeader("HX-Redirect");
  if (!login || document.dispatchEvent(new Event("session-ended", { cancelable: true }))) return;
  event.preventDefault();
  const told = document.getElementById("session-ended");
  told.querySelector("a").href = login;
  told.hidden = false;
});

window.addEventListener("offline", lost);
window.addEventListener("online", () => document.dispatchEvent(new Event("poll-now")));
