// Pictures to click or drop: <div data-drop="template|photo">. A template is registered at once and its id goes with
// the form; a test photo stays in the browser until the test.
import { headers } from "./csrf.js";
import { toast } from "./toasts.js";
import { words } from "./words.js";

const KINDS = new Set(["image/jpeg", "image/png", "image/webp"]);
export const photos = new WeakMap();

const part = (zone, name) => zone.querySelector(`[data-drop-${name}]`);

function show(zone, source, status) {
  const picture = part(zone, "picture");
  picture.hidden = !source;
  if (source) picture.src = source;
  else picture.removeAttribute("src");
  part(zone, "remove").hidden = !source;
  part(zone, "status").value = status;
  zone.dispatchEvent(new CustomEvent("picture", { bubbles: true }));
}

async function register(zone, file) {
  const form = new FormData();
  form.append("title", file.name.slice(0, 200));
  form.append("file", file);
  const answer = await fetch(zone.dataset.dropUrl, { method: "POST", body: form, headers: headers() });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.details);
  choose(zone, said.media_object_id);
}

function choose(zone, id) {
  part(zone, "value").value = id;
  show(zone, zone.dataset.dropPreview.replace("{id}", id), "new");
}

async function take(zone, file) {
  if (!file) return;
  if (!KINDS.has(file.type)) {
    toast(words.notAPicture, "danger");
    return;
  }
  if (zone.dataset.drop === "photo") {
    photos.set(zone, file);
    show(zone, URL.createObjectURL(file), "new");
    return;
  }
  zone.setAttribute("aria-busy", "true");
  try {
    await register(zone, file);
  } catch {
    toast(words.failed, "danger");
  } finally {
    zone.removeAttribute("aria-busy");
  }
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-drop-file]")) {
    take(target.closest("[data-drop]"), target.files[0]);
    target.value = "";
  }
});

document.addEventListener("click", ({ target }) => {
  const chosen = target.closest("[data-drop-choose]");
  if (!chosen) return;
  chosen.closest("details").open = false;
  choose(chosen.closest("[data-drop]"), chosen.dataset.dropChoose);
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-drop-remove]");
  if (!button) return;
  const zone = button.closest("[data-drop]");
  photos.delete(zone);
  if (part(zone, "value")) part(zone, "value").value = "";
  show(zone, null, "removed");
});

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const zone = event.target.closest?.("[data-drop]");
    if (!zone) return;
    event.preventDefault();
    zone.classList.toggle("drop-over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") take(zone, event.dataTransfer.files[0]);
  });
}
