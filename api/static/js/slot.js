// The slot's page: the prompt's counter, what is not saved yet, and the test of the form as it stands.
import { headers } from "./csrf.js";
import { photos } from "./drop.js";
import { toast } from "./toasts.js";
import { words } from "./words.js";

const form = () => document.getElementById("slot-form");
const zone = document.getElementById("drop-photo");
const button = document.getElementById("test-go");
const outcome = document.getElementById("test-outcome");
let unsaved = false;

document.addEventListener("input", ({ target }) => {
  unsaved ||= form().contains(target);
  const counter = document.querySelector(`[data-counter="${CSS.escape(target.name ?? "")}"]`);
  if (counter) counter.textContent = `${target.value.length} / ${target.maxLength}`;
});
document.addEventListener("picture", ({ target }) => {
  unsaved ||= form().contains(target);
  if (target === zone) button.disabled = !photos.has(zone);
});
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});
document.addEventListener("session-ended", (event) => {
  if (unsaved) event.preventDefault();
});
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.target === form() && detail.xhr.getResponseHeader("HX-Trigger")) unsaved = false; // it says "Saved"
});
document.body.addEventListener("htmx:afterSettle", ({ detail }) => {
  const asked = detail.requestConfig?.path ?? "";
  if (detail.requestConfig?.verb === "post" && !asked.endsWith("/form")) form().querySelector("[aria-invalid]")?.focus();
  const before = outcome.querySelector("[data-test-photo]:not([src])");
  if (before && photos.has(zone)) {
    before.src = URL.createObjectURL(photos.get(zone));
    before.closest("figure").hidden = false;
  }
});

async function test() {
  const slot = button.dataset.testSlot;
  const fields = new URLSearchParams(new FormData(form()));
  const payload = await fetch(`/slots/${slot}/payload`, { method: "POST", body: fields, headers: headers() });
  if (!payload.ok) throw new Error();
  const run = new FormData();
  run.append("slot_payload", await payload.text());
  run.append("test_image", photos.get(zone));
  const answer = await fetch(`/api/slots/${slot}/test-run`, { method: "POST", body: run, headers: headers() });
  const said = await answer.json();
  if (answer.status === 422) {
    const whole = form(); // the form says itself what is wrong with it
    await htmx.ajax("POST", `/slots/${slot}/form?check=1`, { source: whole, target: whole, swap: "morph:outerHTML" });
    throw new Error(words.lookAtTheForm);
  }
  if (!answer.ok) throw new Error(said.details);
  await htmx.ajax("GET", `/console/tests/${said.job_id}`, { target: outcome, swap: "innerHTML" });
}

button.addEventListener("click", async () => {
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    await test();
  } catch (error) {
    toast(error.message || words.failed, "danger");
  } finally {
    button.removeAttribute("aria-busy");
    button.disabled = !photos.has(zone);
  }
});
