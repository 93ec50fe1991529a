// The settings' page: what a value means, said while it is chosen; the slider and its number in step; the eye.

// Inside [data-follows=<field>]: [data-from][data-to] and [data-is] are shown while they hold, [data-plus] shows the
// field's number and so much more. A number that cannot be leaves what was said before.
function say(field) {
  if (field.type === "number" && (field.value === "" || !field.checkValidity())) return;
  const number = Number(field.value);
  for (const box of document.querySelectorAll(`[data-follows="${CSS.escape(field.id)}"]`)) {
    for (const one of box.querySelectorAll("[data-from]")) {
      one.hidden = number < Number(one.dataset.from) || number > Number(one.dataset.to);
    }
    for (const one of box.querySelectorAll("[data-is]")) one.hidden = one.dataset.is !== field.value;
    for (const one of box.querySelectorAll("[data-plus]")) one.textContent = number + Number(one.dataset.plus);
  }
}

document.addEventListener("input", ({ target }) => {
  const number = document.getElementById(target.dataset?.slides ?? "");
  const slider = document.getElementById(target.dataset?.slider ?? "");
  if (number) number.value = target.value;
  if (slider && target.value !== "" && target.checkValidity()) slider.value = target.value;
  if (number ?? target.id) say(number ?? target);
});

document.addEventListener("click", ({ target }) => {
  const eye = target.closest("[data-unmask]");
  if (!eye) return;
  const masked = document.getElementById(eye.dataset.unmask).classList.toggle("masked");
  eye.setAttribute("aria-pressed", String(!masked));
});

// A form that was refused leads to its first mistake, unless one already types in another; what it means is said anew of
// what stands in it.
document.body.addEventListener("htmx:afterSettle", ({ detail }) => {
  const form = detail.target?.closest?.("#settings form");
  if (!form) return;
  if (document.activeElement === document.body || form.contains(document.activeElement)) {
    form.querySelector("[aria-invalid='true']")?.focus();
  }
  for (const field of form.querySelectorAll("input[id], select[id]")) say(field);
});
