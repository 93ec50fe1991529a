// <button data-share="link">: the phone's own way of sharing; elsewhere the link is copied.
import { copy } from "./copy.js";
import { toast } from "./toasts.js";
import { words } from "./words.js";

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-share]");
  if (!button) return;
  const { share: url, shareTitle: title } = button.dataset;
  if (navigator.share) {
    try {
      await navigator.share({ url, title });
      return;
    } catch (error) {
      if (error.name === "AbortError") return;
    }
  }
  if (await copy(url)) toast(words.shared);
  else toast(words.failed, "danger");
});
