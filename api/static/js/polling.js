// Refreshes elements with data-poll-seconds: not while the page is hidden, and less often while the server is away.
const SLOWEST_MS = 20000;
const timers = new WeakMap();

function plan(element, waitMs) {
  clearTimeout(timers.get(element));
  timers.set(element, setTimeout(() => ask(element, waitMs), waitMs));
}

function ask(element, waitMs) {
  timers.delete(element);
  if (!element.isConnected || element.dataset.pollSeconds === undefined) return;
  if (document.hidden || element.querySelector("details.menu[open]")) plan(element, waitMs);
  else htmx.trigger(element, "refresh");
}

const ownMs = (element) => Number(element.dataset.pollSeconds) * 1000;

function begin(root) {
  for (const element of root.querySelectorAll("[data-poll-seconds]")) {
    if (!timers.has(element)) plan(element, ownMs(element));
  }
}

document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  const element = detail.elt;
  if (element.dataset?.pollSeconds === undefined) return;
  element.dataset.failures = detail.successful ? 0 : Number(element.dataset.failures ?? 0) + 1;
  plan(element, Math.min(ownMs(element) * 2 ** Math.min(Number(element.dataset.failures), 5), SLOWEST_MS));
});
document.body.addEventListener("htmx:afterSettle", () => begin(document));

function askAll() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("[data-poll-seconds]")) htmx.trigger(element, "refresh");
}
document.addEventListener("visibilitychange", askAll);
document.addEventListener("poll-now", askAll);
begin(document);
