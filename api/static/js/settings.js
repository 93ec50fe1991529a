// The settings' page: the slider's number beside it.
document.addEventListener("input", ({ target }) => {
  const shown = document.getElementById(target.dataset?.slider ?? "");
  if (shown) shown.textContent = `${target.value}\u00a0${target.dataset.sliderUnit}`;
});

// A key's check and a cleanup are done by others within seconds: look again until they have.
setInterval(() => {
  if (document.hidden || document.querySelector("dialog[open]")) return;
  const settings = document.getElementById("settings");
  const typing = settings.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  if (typing) return;
  for (const id of ["provider-keys", "storage"]) {
    htmx.ajax("GET", "/settings", { target: `#${id}`, select: `#${id}`, swap: "morph:outerHTML" });
  }
}, 4000);
