// The session's token, for requests that scripts make themselves.
export function headers() {
  return JSON.parse(document.body.getAttribute("hx-headers") ?? "{}");
}
