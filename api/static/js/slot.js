// The slot's page: the prompt's counter, and the test of the form as it stands.
import { headers } from "./csrf.js";
import { photos } from "./drop.js";
import { toast } from "./toasts.js";
import { words } from "./words.js";

document.addEventListener("input", ({ target }) => {
  const counter = document.querySelector(`[data-counter="${CSS.escape(target.name ?? "")}"]`);
  if (counter) counter.textContent = `${target.value.length} / ${target.maxLength}`;
});

const zone = document.getElementById("drop-photo");
const button = document.getElementById("test-go");
const outcome = document.getElementById("test-outcome");

zone?.addEventListener("picture", () => {
  button.disabled = !photos.has(zone);
});

async function test() {
  const slot = button.dataset.testSlot;
  const form = new URLSearchParams(new FormData(document.getElementById("slot-form")));
  const payload = await fetch(`/slots/${slot}/payload`, { method: "POST", body: form, headers: headers() });
  if (!payload.ok) throw new Error();
  const run = new FormData();
  run.append("slot_payload", await payload.text());
  run.append("test_image", photos.get(zone));
  const answer = await fetch(`/api/slots/${slot}/test-run`, { method: "POST", body: run, headers: headers() });
  const said = await answer.json();
  if (answer.status === 422) {
    const whole = document.getElementById("slot-form"); // the form says itself what is wrong with it
    await htmx.ajax("POST", `/slots/${slot}/form?check=1`, { source: whole, target: whole, swap: "morph:outerHTML" });
    throw new Error(words.lookAtTheForm);
  }
  if (!answer.ok) throw new Error(said.details);
  await htmx.ajax("GET", `/console/tests/${said.job_id}`, { target: outcome, swap: "innerHTML" });
}

button?.addEventListener("click", async () => {
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
