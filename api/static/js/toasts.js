// Short news at the top right. A server's answer shows one with `HX-Trigger: {"toast": {"text": "…", "kind": "danger"}}`.
const SHOWN_MS = 5000;

export function toast(text, kind = "ok") {
  const element = document.createElement("div");
  element.className = `toast ${kind}`;
  element.textContent = text;
  const place = document.querySelector("dialog[open]") ?? document.body;
  const toasts = document.getElementById("toasts");
  if (toasts.parentElement !== place) place.append(toasts); // above an open dialog
  toasts.append(element);
  setTimeout(() => element.remove(), SHOWN_MS);
}

document.body.addEventListener("toast", (event) => toast(event.detail.text, event.detail.kind));
