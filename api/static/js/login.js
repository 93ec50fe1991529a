// The login's small kindnesses: the eye, the Caps Lock hint, a button that is pressed once.
document.addEventListener("click", ({ target }) => {
  const eye = target.closest("[data-eye]");
  if (!eye) return;
  const field = document.getElementById(eye.dataset.eye);
  const shown = field.type === "password";
  field.type = shown ? "text" : "password";
  eye.setAttribute("aria-pressed", String(shown));
  field.focus();
});

for (const kind of ["keydown", "keyup"]) {
  document.addEventListener(kind, (event) => {
    const hint = event.target.dataset?.caps && document.getElementById(event.target.dataset.caps);
    if (hint && event.getModifierState) hint.hidden = !event.getModifierState("CapsLock");
  });
}

document.addEventListener("submit", ({ target }) => {
  if (!target.matches("[data-busy]")) return;
  for (const button of target.querySelectorAll("button:not([type])")) button.setAttribute("aria-busy", "true");
});
