"""What the pages log in with: the session's cookie, its origin, and where a login may lead."""

import httpx
import pytest
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from structlog.testing import capture_logs

from api.login import clear_session_cookie, open_session, safe_next, set_session_cookie
from photochanger.errors import Refusal
from photochanger.tables import session
from tests.administrators import ADMIN_PASSWORD, give_passwords
from tests.serving import Api

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(api: Api) -> Api:
    give_passwords(api.services.settings, {"serg": ADMIN_PASSWORD, "igor": "igor has another one"})
    return api


def request_to(api: Api, *, scheme: str = "http", **headers: str) -> Request:
    """A request as a handler of this API would see it."""
    given = {"host": "studio.example", "origin": f"{scheme}://studio.example", **headers}
    app = type("App", (), {"state": type("State", (), {"services": api.services})})
    return Request(
        {
            "type": "http",
            "method": "POST",
            "scheme": scheme,
            "path": "/login",
            "query_string": b"",
            "server": ("127.0.0.1", 8000),
            "client": ("10.0.0.9", 5000),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "app": app,
        }
    )


async def test_a_page_gets_a_cookie_that_scripts_and_plain_http_do_not_get(api: Api, http: httpx.AsyncClient) -> None:
    request, response = request_to(api, scheme="https"), Response()
    given = await open_session(request, username="serg", password=ADMIN_PASSWORD, kind="cookie")
    set_session_cookie(response, request, given)
    name, *attributes = response.headers["set-cookie"].split("; ")
    assert name == f"__Host-photochanger_session={given}"
    assert set(attributes) == {"HttpOnly", "Secure", "SameSite=lax", "Path=/", f"Max-Age={7 * 24 * 3600}"}
    cleared = Response()
    clear_session_cookie(cleared, request)
    assert cleared.headers["set-cookie"].startswith("__Host-photochanger_session=")
    assert "Secure" in cleared.headers["set-cookie"]


async def test_without_https_the_cookie_has_a_plain_name_and_the_log_says_so_once(api: Api) -> None:
    request = request_to(api)
    with capture_logs() as logged:
        for _ in range(3):
            response = Response()
            set_session_cookie(response, request, "a-token")
            assert response.headers["set-cookie"].startswith("photochanger_session=a-token; HttpOnly;")
            assert "Secure" not in response.headers["set-cookie"]
    assert [(line["event"], line["log_level"]) for line in logged] == [("session_cookie_without_https", "warning")]


async def test_a_new_login_of_a_browser_ends_the_session_it_came_with(api: Api) -> None:
    first = await open_session(request_to(api), username="serg", password=ADMIN_PASSWORD, kind="cookie")
    again = request_to(api, cookie=f"photochanger_session={first}")
    second = await open_session(again, username="serg", password=ADMIN_PASSWORD, kind="cookie")
    assert first != second
    async with api.db.at_once() as conn:
        revoked = (await conn.execute(select(session.c.revoked_at).order_by(session.c.created_at))).scalars().all()
    assert [moment is not None for moment in revoked] == [True, False]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://studio.example:81", "http://studio.example.evil"]
)
async def test_a_foreign_page_cannot_log_a_browser_in(api: Api, origin: str) -> None:
    with pytest.raises(Refusal, match="forbidden"):
        await open_session(request_to(api, origin=origin), username="serg", password=ADMIN_PASSWORD, kind="cookie")


@pytest.mark.parametrize(
    "path", ["/", "/slots/slot-001", "/stats?window=60&slot=slot-001", "/слоты", "/a//b", "/a:b@c"]
)
def test_a_path_of_this_site_may_follow_the_login(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "", None, "//evil", "///evil", "/\\evil", "\\\\evil", "https://evil", "https:evil", "javascript:alert(1)",
        "evil", " //evil", "/\t/evil", "/\n/evil", "/\r\nSet-Cookie: a=b", "\x00/", "/\x00", "/\u2028evil", "/ evil",
        "/" + "a" * 2001,
    ],
)  # fmt: skip
def test_any_other_address_may_not(path: str | None) -> None:
    assert safe_next(path) == "/"
