// Refreshes elements with data-poll-seconds. Less often while the server is away; while the page is hidden only those
// with data-poll-hidden-seconds; never under an open menu or dialog: what one is about to press stays what it is.
const SLOWEST_MS = 20000;
const timers = new WeakMap();

function held(element) {
  if (document.hidden && element.dataset.pollHiddenSeconds === undefined) return true;
  return Boolean(document.querySelector("dialog[open]") || element.querySelector("details.menu[open]"));
}

function everyMs(element) {
  const { pollSeconds, pollHiddenSeconds } = element.dataset;
  return Number((document.hidden && pollHiddenSeconds) || pollSeconds) * 1000;
}

function plan(element, waitMs) {
  clearTimeout(timers.get(element));
  timers.set(element, setTimeout(() => ask(element, waitMs), waitMs));
}

function ask(element, waitMs) {
  timers.delete(element);
  if (!element.isConnected || element.dataset.pollSeconds === undefined) return;
  if (held(element)) plan(element, waitMs);
  else htmx.trigger(element, "refresh");
}

function begin(root) {
  for (const element of root.querySelectorAll("[data-poll-seconds]")) {
    if (!timers.has(element)) plan(element, everyMs(element));
  }
}

document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const asked = detail.requestConfig.elt; // a menu may have opened since it asked
  if (asked.dataset?.pollSeconds !== undefined && held(asked)) detail.shouldSwap = false;
});
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  const element = detail.elt;
  if (element.dataset?.pollSeconds === undefined) return;
  const failures = detail.successful ? 0 : Number(element.dataset.failures ?? 0) + 1;
  element.dataset.failures = failures;
  plan(element, failures ? Math.min(everyMs(element) * 2 ** Math.min(failures, 5), SLOWEST_MS) : everyMs(element));
});
document.body.addEventListener("htmx:afterSettle", () => begin(document));

function askAll() {
  for (const element of document.querySelectorAll("[data-poll-seconds]")) {
    if (!held(element)) htmx.trigger(element, "refresh");
  }
}
document.addEventListener("visibilitychange", () => document.hidden || askAll());
document.addEventListener("poll-now", askAll);
begin(document);
