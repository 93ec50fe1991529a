"""The pages' own files: as their packages have them, kept for good by browsers, and nothing else is served."""

import gzip
import hashlib
import re
from pathlib import Path

import httpx
import pytest

from api.pages.assets import release
from tests.serving import Api

pytestmark = pytest.mark.anyio

STATIC = Path(__file__).resolve().parent.parent / "api" / "static"
VENDOR = STATIC / "vendor"
ROW = re.compile(r"\| `([^`]+)` \| (\S+) \| (\S+) \| \[([^\]]+)\]\(([^)]+)\) \| `([0-9a-f]{64})` \|")


def test_vendored_files_are_what_their_list_says() -> None:
    rows = ROW.findall((VENDOR / "VENDOR.md").read_text(encoding="utf-8"))
    licences = {licence for *_, licence, _ in rows}
    assert {name for name, *_ in rows} | licences | {"VENDOR.md"} == {path.name for path in VENDOR.iterdir()}
    for name, _package, _version, _licence, _file, digest in rows:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name


def test_pages_name_only_icons_that_are_in_the_sprite() -> None:
    drawn = set(re.findall(r'<symbol id="([^"]+)"', (VENDOR / "lucide.svg").read_text(encoding="utf-8")))
    sources = [*STATIC.parent.glob("templates/*.html"), *STATIC.parent.glob("pages/*.py")]
    named = {
        icon
        for path in sources
        for icon in re.findall(r"""icon\("([a-z0-9-]+)"|icon="([a-z0-9-]+)\"""", path.read_text(encoding="utf-8"))
        for icon in icon
        if icon
    }
    assert named
    assert named <= drawn


def test_no_page_has_inline_scripts_or_styles() -> None:
    for path in STATIC.parent.glob("templates/*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)|javascript:", text), path.name


def test_colours_are_in_one_file() -> None:
    for path in STATIC.glob("css/*.css"):
        if path.name != "tokens.css":
            text = re.sub(r"/\* QR codes.*?\n\n", "", path.read_text(encoding="utf-8"), flags=re.S)
            assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", text), path.name


def test_every_token_stands_once_and_every_colour_for_light_and_for_dark() -> None:
    text = (STATIC / "css" / "tokens.css").read_text(encoding="utf-8")
    tokens, switches = text.split("/* Dark by preference")
    told = re.findall(r"^  --([a-z0-9-]+): (.*);$", tokens, flags=re.M)
    assert len({name for name, _ in told}) == len(told) > 50
    both = re.compile(r"var\(--light, .+\) var\(--dark, .+\)")
    assert [name for name, value in told if re.search(r"#|rgb|hsl", value) and not both.fullmatch(value)] == []
    preferred, chosen = re.findall(r"\{ (color-scheme: [^}]+)\}", switches)
    assert preferred == chosen == "color-scheme: dark; --light: ; --dark: initial; "


async def test_a_browser_keeps_files_for_good_under_their_releases_name(api: Api, http: httpx.AsyncClient) -> None:
    answer = await http.get(api.url + release().url("css/tokens.css"))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == (STATIC / "css" / "tokens.css").read_bytes()
    plain = await http.get(api.url + release().url("css/tokens.css"), headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    older = await http.get(f"{api.url}/static/0123456789ab/css/tokens.css")
    assert (older.status_code, older.headers["cache-control"]) == (200, "no-cache")
    assert older.content == answer.content


@pytest.mark.parametrize(
    "path", ["css/nothing.css", "vendor/VENDOR.md", "../pages/assets.py", "..%2fapp.py", "%2e%2e/app.py", "", "css"]
)
async def test_nothing_else_is_served(api: Api, http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"{api.url}/static/{release().name}/{path}")
    assert answer.status_code == 404


def test_the_first_visit_is_light() -> None:
    """What the dashboard loads, compressed: at most 150 KB with its page."""
    wanted = [*STATIC.glob("css/*.css"), *STATIC.glob("js/*.js"), *VENDOR.glob("*.woff2"), VENDOR / "lucide.svg"]
    wanted += [VENDOR / "htmx.min.js", VENDOR / "idiomorph-ext.min.js", STATIC / "img" / "mark.svg"]
    size = sum(
        len(path.read_bytes() if path.suffix == ".woff2" else gzip.compress(path.read_bytes(), 9)) for path in wanted
    )
    assert size < 140_000
