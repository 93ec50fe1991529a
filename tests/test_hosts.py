"""By which names the installation answers, and whose word counts about who is asking."""

import socket
from pathlib import Path

import httpx
import pytest

from photochanger import login_throttle
from photochanger.errors import ConfigurationError
from photochanger.login_throttle import MOST_PER_ADDRESS, Turn
from photochanger.providers import Providers
from photochanger.settings import Settings
from tests.administrators import ADMIN_PASSWORD, bearer, give_passwords
from tests.raw_http import connect
from tests.results import finished_job
from tests.serving import Api, serve_api, settings_for

pytestmark = pytest.mark.anyio

MACHINE = socket.gethostname().lower()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:8000", "192.168.7.20:8000", "10.0.0.1", "[::1]:8000", "[2001:db8::7]", "localhost",
        "LOCALHOST:1", "localhost.", MACHINE, f"{MACHINE.upper()}:8000", f"{MACHINE.partition('.')[0]}.local",
    ],
)  # fmt: skip
async def test_addresses_and_the_machines_own_names_are_known(api: Api, http: httpx.AsyncClient, host: str) -> None:
    assert (await http.get(f"{api.url}/livez", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:80", "127.0.0.1@evil",
        "localhost/evil", "localhost:port", "localhost:", "localhost:123456", "[::1", "::1", "[localhost]", "127.1", "",
        "2130706433", "a b", "localhost, evil", "*", "%6cocalhost", "ж", "127.0.0.1:80:80",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/livez", "/ingest/slot-001", "/api/me", "/nowhere"])
async def test_other_names_are_refused_before_anything_else(api: Api, host: str, path: str) -> None:
    async with connect(api.url) as wire:
        method = b"POST" if path.startswith("/ingest") else b"GET"
        head = b"%b %b HTTP/1.1\r\nHost: %b\r\nContent-Length: 0\r\n\r\n" % (method, path.encode(), host.encode())
        await wire.send(head)
        assert (await wire.answer()).reason() == (400, "invalid_request")


@pytest.mark.parametrize(
    "lines", [b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host: localhost\r\nHost: evil\r\n"]
)
async def test_a_request_has_one_host(api: Api, lines: bytes) -> None:
    async with connect(api.url) as wire:
        await wire.send(b"GET /livez HTTP/1.1\r\n%b\r\n" % lines)
        assert (await wire.answer()).reason() == (400, "invalid_request")


async def test_the_public_host_and_those_allowed_are_known(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    told = {"PUBLIC_MEDIA_BASE_URL": "https://Photos.example.org:8443/studio", "ALLOWED_HOSTS": "api, Booth-Server"}
    async with serve_api(settings_for(tmp_path, database_url, **told), known_providers, database_url) as api:
        for host in ("photos.example.org", "photos.example.org:8443", "api:8000", "booth-server"):
            assert (await http.get(f"{api.url}/livez", headers={"Host": host})).status_code == 200
        assert (await http.get(f"{api.url}/livez", headers={"Host": "example.org"})).status_code == 400


# --- proxies


@pytest.mark.parametrize(
    "networks", ["everybody", "10.0.0.0/33", "10.0.0.1/8", "*", "0.0.0.0/0", "::/0", "10.0.0.1;::1"]
)
def test_trusting_what_is_no_network_or_everybody_is_refused(networks: str) -> None:
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES"):
        Settings.from_env({"TRUSTED_PROXIES": networks})


async def address_seen(api: Api, http: httpx.AsyncClient, **headers: str) -> str:
    """The address that a session of a program logging in like this gets."""
    given = {"username": "serg", "password": ADMIN_PASSWORD}
    opened = await http.post(f"{api.url}/api/login", json=given, headers=headers)
    token = opened.json()["access_token"]
    me = await http.get(f"{api.url}/api/me", headers={"Authorization": f"Bearer {token}"})
    address: str = me.json()["address"]
    return address


async def test_a_strangers_word_about_addresses_and_https_is_ignored(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    told = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.9"}
    assert await address_seen(api, http, **told) == "127.0.0.1"
    job_id, _ = await finished_job(api)
    link = (await http.get(f"{api.url}/api/jobs/{job_id}", headers=told)).json()["result_url"]
    assert link == f"{api.url}/public/results/{job_id}"


async def test_a_guesser_does_not_get_further_by_naming_other_addresses(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    for number in range(MOST_PER_ADDRESS - 1):
        async with api.db.begin() as conn:
            turn = await login_throttle.reserve(conn, account=f"another{number}", address="127.0.0.1")
            assert isinstance(turn, Turn)
            await login_throttle.fail(conn, turn)
    statuses = []
    for number in range(2):
        given = {"username": f"name{number}", "password": "x"}
        told = {"X-Forwarded-For": f"203.0.113.{number}"}
        statuses.append((await http.post(f"{api.url}/api/login", json=given, headers=told)).status_code)
    assert statuses == [401, 429]


async def test_a_trusted_proxys_word_counts_up_to_the_first_stranger(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url, TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8")
    give_passwords(settings)
    async with serve_api(settings, known_providers, database_url) as api:
        for forwarded, seen in (
            ("203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first is what a stranger has made up
            ("203.0.113.9, 10.1.2.3", "203.0.113.9"),
            ("2001:db8::7", "2001:db8::7"),
        ):
            assert await address_seen(api, http, **{"X-Forwarded-For": forwarded}) == seen
        assert await address_seen(api, http) == "127.0.0.1"


async def test_links_and_cookies_know_of_the_proxys_https(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url, TRUSTED_PROXIES="127.0.0.1", ALLOWED_HOSTS="photos.example.org")
    async with serve_api(settings, known_providers, database_url) as api:
        job_id, _ = await finished_job(api)
        told = {"X-Forwarded-Proto": "https", "Host": "photos.example.org"}
        link = (await http.get(f"{api.url}/api/jobs/{job_id}", headers=told)).json()["result_url"]
        assert link == f"https://photos.example.org/public/results/{job_id}"
        headers = await bearer(api)
        assert (await http.get(f"{api.url}/api/me", headers={**headers, **told})).status_code == 200
