"""Security headers on every kind of answer: pages, data, pictures, errors, crashes."""

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from photochanger.providers import Providers
from tests.administrators import bearer
from tests.booths import photo_bytes, post_photo
from tests.results import finished_job
from tests.routes import operations
from tests.serving import Api, serve_api, settings_for

pytestmark = pytest.mark.anyio

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def check(headers: Mapping[str, str], *, about: object) -> None:
    assert headers["x-content-type-options"] == "nosniff", about
    assert headers["x-robots-tag"] == "noindex, nofollow", about
    assert not {"strict-transport-security", "cross-origin-opener-policy"} & set(headers), about
    assert "server" not in headers, about
    if headers.get("content-type", "").startswith("text/html"):
        assert headers["content-security-policy"] == PAGE_POLICY, about
        assert headers["referrer-policy"] == "same-origin", about
        assert headers["cross-origin-resource-policy"] == "same-origin", about
        assert headers["permissions-policy"].startswith("camera=()"), about
    else:
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox", about
        assert headers["referrer-policy"] == "no-referrer", about
        assert headers["cross-origin-resource-policy"] == "same-site", about


@pytest.mark.parametrize("logged_in", [False, True])
async def test_every_route_answers_with_them_whoever_asks(
    api: Api, http: httpx.AsyncClient, *, logged_in: bool
) -> None:
    for operation in operations():
        headers = await bearer(api) if logged_in else {}
        answer = await http.request(operation.method, f"{api.url}{operation.url}", headers=headers)
        check(answer.headers, about=operation)
        kept = operation.path.startswith("/public/")
        assert answer.headers["cache-control"] == "no-store" or kept, operation


async def test_errors_have_them(api: Api, http: httpx.AsyncClient) -> None:
    for method, path, headers, status in (
        ("GET", "/nowhere", {}, 404),
        ("GET", "/static/nowhere.css", {}, 404),
        ("POST", "/static/docs.css", {}, 405),
        ("POST", "/livez", {}, 405),
        ("GET", "/livez", {"Host": "evil.example"}, 400),
        ("GET", "/api/me", {}, 401),
        ("POST", "/api/login", {}, 400),
    ):
        answer = await http.request(method, f"{api.url}{path}", headers=headers)
        assert answer.status_code == status
        check(answer.headers, about=path)
        assert answer.headers["cache-control"] == "no-store"


async def test_a_crash_has_them_too(api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.jobs.services", None)
    answer = await http.get(f"{api.url}/api/jobs/{'0' * 32}")
    assert (answer.status_code, answer.json()["failure_reason"]) == (500, "internal_error")
    check(answer.headers, about="a crash")
    assert answer.headers["cache-control"] == "no-store"


async def test_pictures_have_them_and_their_own_rule_for_caches(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    for path in ("", "/preview", "?inline=1"):
        answer = await http.get(f"{api.url}/public/results/{job_id}{path}")
        assert answer.status_code == 200
        check(answer.headers, about=path)
        assert answer.headers["cache-control"] == "private, max-age=0, must-revalidate"
    refused = await post_photo(http, api.url, photo_bytes(), hash_="0")
    check(refused.headers, about="ingest")


async def test_static_files_are_asked_for_again_and_are_not_sent_again(api: Api, http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{api.url}/static/docs.css")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    check(answer.headers, about="a style")
    assert answer.headers["cache-control"] == "no-cache"
    again = await http.get(f"{api.url}/static/docs.css", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"]
)
async def test_nothing_outside_of_the_static_folder_is_served(api: Api, http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(f"{api.url}{path}")).status_code == 404


async def test_https_is_asked_for_again_for_a_year(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url, TRUSTED_PROXIES="127.0.0.1")
    async with serve_api(settings, known_providers, database_url) as api:
        for path in ("/livez", "/api/docs", "/nowhere"):
            secure = await http.get(f"{api.url}{path}", headers={"X-Forwarded-Proto": "https"})
            assert secure.headers["strict-transport-security"] == "max-age=31536000"
            is_page = secure.headers["content-type"].startswith("text/html")
            assert secure.headers.get("cross-origin-opener-policy") == ("same-origin" if is_page else None)
            plain = await http.get(f"{api.url}{path}")
            assert "strict-transport-security" not in plain.headers
