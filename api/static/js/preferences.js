// Theme and time zone, as cookies: the server draws the page in them, so nothing flickers.
const YEAR_SECONDS = 365 * 24 * 3600;

function remember(name, value) {
  document.cookie = `photochanger_${name}=${value}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
}

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) remember("zone", zone);

document.addEventListener("click", ({ target }) => {
  if (!target.closest("[data-theme-switch]")) return;
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.querySelector("meta[name='color-scheme']").content = root.dataset.theme;
  remember("theme", root.dataset.theme);
});
