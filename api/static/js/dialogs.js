// Dialogs. data-confirm-title, -text, -go on a form or an htmx element: asked before it is sent, focus on Cancel.
// data-opens-sheet on an htmx element: what it fetches is shown in #sheet.
const confirmation = document.getElementById("confirmation");
const passed = new WeakSet();

export function agreed(element) {
  confirmation.querySelector("h2").textContent = element.dataset.confirmTitle;
  confirmation.querySelector("p").textContent = element.dataset.confirmText;
  document.getElementById("confirmation-go").textContent = element.dataset.confirmGo;
  confirmation.returnValue = "cancel";
  confirmation.showModal();
  return new Promise((resolve) => {
    confirmation.addEventListener("close", () => resolve(confirmation.returnValue === "go"), { once: true });
  });
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.confirmTitle || form.hasAttribute("hx-post") || passed.delete(form)) return;
  event.preventDefault();
  if (await agreed(form)) {
    passed.add(form);
    form.requestSubmit(event.submitter);
  }
});

document.body.addEventListener("htmx:confirm", async (event) => {
  const element = event.detail.elt;
  if (!element.dataset.confirmTitle) return;
  event.preventDefault();
  if (await agreed(element)) event.detail.issueRequest(true);
});

document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.requestConfig?.elt.hasAttribute("data-opens-sheet")) document.getElementById("sheet").showModal();
});

document.addEventListener("click", (event) => {
  if (event.target.matches("dialog[open]")) event.target.close("cancel"); // on the veil
});
