// A photo's page: j and k lead to its neighbours, it is run again, its result is deleted; both after a question.
import { headers } from "./csrf.js";
import { agreed } from "./dialogs.js";
import { toast } from "./toasts.js";
import { words } from "./words.js";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.click();
});

function sentence(code) {
  return document.getElementById("refusals").getAttribute(`data-${code.replaceAll("_", "-")}`) ?? words.failed;
}

async function ask(button, url, options, then) {
  if (!(await agreed(button))) return;
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { ...options, headers: { ...headers(), ...options.headers } });
    if (answer.ok) await then(answer);
    else toast(sentence((await answer.json()).failure_reason), "danger");
  } catch {
    toast(words.failed, "danger");
  }
  button.removeAttribute("aria-busy");
}

document.addEventListener("click", ({ target }) => {
  const again = target.closest("[data-replay]");
  if (again) {
    const options = { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } };
    ask(again, `/api/jobs/${again.dataset.replay}/replay`, options, async (answer) => {
      location.href = `/jobs/${(await answer.json()).job_id}`;
    });
  }
  const gone = target.closest("[data-delete-result]");
  if (gone) ask(gone, `/api/jobs/${gone.dataset.deleteResult}/result`, { method: "DELETE" }, () => location.reload());
});
