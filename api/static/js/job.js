// A photo's page: j and k lead to its neighbours, and it is run again.
import { headers } from "./csrf.js";
import { toast } from "./toasts.js";
import { words } from "./words.js";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.click();
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-replay]");
  if (!button) return;
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`/api/jobs/${button.dataset.replay}/replay`, {
      method: "POST",
      body: "{}",
      headers: { ...headers(), "Content-Type": "application/json" },
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.details);
    location.href = `/jobs/${said.job_id}`;
  } catch {
    toast(words.failed, "danger");
    button.removeAttribute("aria-busy");
  }
});
