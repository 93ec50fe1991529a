// <button data-copy="id">: copies that element's text. Plain http has no clipboard API: then the old way.
import { toast } from "./toasts.js";
import { words } from "./words.js";

export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // not allowed here: the old way
    }
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.className = "unseen";
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  if (await copy(source.textContent.trim())) {
    toast(words.copied);
    return;
  }
  getSelection().selectAllChildren(source);
  toast(words.copyByHand, "danger");
});
