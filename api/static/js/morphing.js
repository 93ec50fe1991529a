// What a person has opened stays open when a fresh state of the page is laid over it; the page may open more (there may
// be a mistake inside), but closes nothing. A secret that was typed and refused stays too, which the server never sends
// back, and what a script has drawn inside of [data-drawn].
if (window.Idiomorph) {
  Idiomorph.defaults.callbacks.beforeNodeMorphed = (node) => node.dataset?.drawn === undefined;
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node, change) =>
    !(name === "open" && change === "remove" && node.matches("details, dialog")) &&
    !(name === "value" && node.matches(".masked[aria-invalid='true']"));
}

document.addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll("details.menu[open], .health-details[open]")) {
    const inside = menu.contains(target);
    if (!inside || target.closest(".menu-list > *")) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = event.target.closest?.("details[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
