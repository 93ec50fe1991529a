"""The pages' own files: styles, scripts, fonts, icons. `GET /static/{release}/{path}`.

All of them together are one release, named after their bytes. So a browser may keep each for good, and files that name
each other relatively (modules, fonts) need no rewriting. They are read once: a request opens no file.
"""

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from photochanger.errors import Failure, Refusal

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}
RELEASE = re.compile(r"[0-9a-f]{12}")
FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file."""

    media_type: str
    etag: str
    body: bytes = field(repr=False)
    gzipped: bytes | None = field(repr=False)
    """None for what is compressed by itself."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """All files, by their path under `static/`."""

    name: str
    assets: Mapping[str, Asset] = field(repr=False)

    def url(self, path: str) -> str:
        """Where a page finds the file. Raises `KeyError` for one that is not there."""
        _ = self.assets[path]
        return f"/static/{self.name}/{path}"


@cache
def release() -> Release:
    """Those that travel with this package."""
    digest, assets = hashlib.sha256(), {}
    for path, file in sorted(_files_of(files("api").joinpath("static"), "")):
        suffix = path.rpartition(".")[2]
        if suffix in TYPES:
            body = file.read_bytes()
            own = hashlib.sha256(body)
            digest.update(path.encode() + own.digest())
            gzipped = None if suffix == "woff2" else gzip.compress(body, 9, mtime=0)
            assets[path] = Asset(
                media_type=TYPES[suffix], etag=f'W/"{own.hexdigest()[:16]}"', body=body, gzipped=gzipped
            )
    return Release(name=digest.hexdigest()[:12], assets=assets)


def _files_of(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files_of(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry


async def static_file(request: Request) -> Response:
    """A file of ours; kept for good under its release's name alone (a page may be from before an upgrade)."""
    ours, path = release(), request.path_params["path"]
    named, _, inside = path.partition("/")
    asset = ours.assets.get(inside if RELEASE.fullmatch(named) else path)
    if asset is None:
        raise Refusal(Failure.NOT_FOUND)
    headers = {
        "Cache-Control": FOR_GOOD if named == ours.name else "no-cache",
        "Content-Type": asset.media_type,
        "ETag": asset.etag,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    if asset.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzipped, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.body, headers=headers)
