// The log: j and k walk through its rows, Enter opens the one that has the focus.
document.addEventListener("keydown", (event) => {
  if (!["j", "k"].includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  const links = [...document.querySelectorAll("#log .row-link")];
  const here = links.indexOf(document.activeElement);
  const next = links[here < 0 ? 0 : here + (event.key === "j" ? 1 : -1)];
  next?.focus();
  next?.closest("tr").scrollIntoView({ block: "nearest" });
});
