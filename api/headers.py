"""The security headers of every answer, by its kind: a page, or anything else. A handler's own headers win.

| answer | what it may do in a browser |
|---|---|
| `text/html` | what is ours: scripts, styles, pictures, forms; in no frame; tells other sites nothing of its address |
| JSON, pictures, static files | nothing: should one be opened as a page, it is an empty sandbox |

`RequestLog` adds them, so that errors, 404, 405 and crashes have them too.
"""

from collections.abc import Iterable

from starlette.types import Scope

Headers = dict[bytes, bytes]

EVERYWHERE: Headers = {
    b"x-content-type-options": b"nosniff",
    b"x-robots-tag": b"noindex, nofollow",
}
PAGE: Headers = {
    **EVERYWHERE,
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    b"font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # Not no-referrer: with that a browser sends `Origin: null` with our own forms (Fetch, 3.2.5).
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
DATA: Headers = {
    **EVERYWHERE,
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; sandbox",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-site",
}
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
ALONE = (b"cross-origin-opener-policy", b"same-origin")
"""For pages, on https alone: over plain http browsers pass it over, and complain of it in their console."""
CACHES = [(b"/static/", b"no-cache")]
"""By the beginning of the path; the first that fits. What is not named here, and says nothing itself, is not kept."""


def with_security(scope: Scope, present: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """These headers of an answer, and those it still lacks."""
    headers = list(present)
    named = dict(headers)
    wanted = PAGE if named.get(b"content-type", b"").startswith(b"text/html") else DATA
    path = scope["path"].encode("utf-8", "replace")
    cache = next((value for prefix, value in CACHES if path.startswith(prefix)), b"no-store")
    added = [*wanted.items(), (b"cache-control", cache)]
    if scope.get("scheme") == "https":
        added += [STRICT_TRANSPORT, ALONE] if wanted is PAGE else [STRICT_TRANSPORT]
    return [*headers, *(pair for pair in added if pair[0] not in named)]
