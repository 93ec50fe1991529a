// Dialogs. data-confirm-title, -text, -go on a form or an htmx element: asked before it is sent, focus on Cancel.
// data-confirm-kind: how the button looks that does it ("danger" if nothing is said). data-confirm-choice: the id of a
// <select>, whose choice stands for {choice} in title and text.
// data-opens-sheet on an htmx element: what it fetches is shown in #sheet.
const confirmation = document.getElementById("confirmation");
const passed = new WeakSet();

export function agreed(element) {
  const { confirmTitle, confirmText, confirmGo, confirmKind, confirmChoice } = element.dataset;
  const chosen = document.getElementById(confirmChoice)?.selectedOptions[0].textContent.trim();
  const told = (text) => text.replaceAll("{choice}", () => chosen);
  const go = document.getElementById("confirmation-go");
  confirmation.querySelector("h2").textContent = told(confirmTitle);
  confirmation.querySelector("p").textContent = told(confirmText);
  go.textContent = confirmGo;
  go.className = `button ${confirmKind ?? "danger"}`;
  confirmation.returnValue = "cancel";
  confirmation.showModal();
  return new Promise((resolve) => {
    const closed = () => {
      backTo(element);
      resolve(confirmation.returnValue === "go");
    };
    confirmation.addEventListener("close", closed, { once: true });
  });
}

// An entry of a menu has gone with its menu: the focus goes to what opens it again.
function backTo(element) {
  element.closest("details.menu")?.querySelector("summary").focus();
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
  const opener = detail.requestConfig?.elt;
  if (!opener?.hasAttribute("data-opens-sheet")) return;
  const sheet = document.getElementById("sheet");
  sheet.showModal();
  sheet.addEventListener("close", () => backTo(opener), { once: true });
});

document.addEventListener("click", (event) => {
  if (event.target.matches("dialog[open]")) event.target.close("cancel"); // on the veil
});
