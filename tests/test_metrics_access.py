"""Who may read `/metrics`."""

from pathlib import Path

import httpx
import pytest

from photochanger import sessions
from photochanger.providers import Providers
from tests.administrators import bearer, token
from tests.serving import Api, serve_api, settings_for

pytestmark = pytest.mark.anyio

TOKEN = "a token for Prometheus, of 40 characters"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
async def test_what_has_passed_an_unknown_proxy_is_a_strangers(api: Api, http: httpx.AsyncClient, header: str) -> None:
    given = {header: "127.0.0.1"}
    answer = await http.get(f"{api.url}/metrics", headers=given)
    assert (answer.status_code, answer.json()["failure_reason"]) == (403, "forbidden")
    assert "ingest_" not in answer.text
    assert set((await http.get(f"{api.url}/healthz", headers=given)).json()) == {"status"}
    own = await http.get(f"{api.url}/metrics", headers={**given, **await bearer(api)})
    assert own.status_code == 200


async def test_behind_a_trusted_proxy_its_visitors_address_counts(
    http: httpx.AsyncClient, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    settings = settings_for(tmp_path, database_url, TRUSTED_PROXIES="127.0.0.1")
    async with serve_api(settings, known_providers, database_url) as api:
        near = await http.get(f"{api.url}/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
        assert near.status_code == 200


async def test_others_need_a_token(
    http: httpx.AsyncClient, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    settings = settings_for(tmp_path, database_url, METRICS_NETWORKS="10.9.0.0/16,fd00::/8", METRICS_TOKEN=TOKEN)
    async with serve_api(settings, known_providers, database_url) as api:

        async def asked(authorization: str | None) -> tuple[int, set[str]]:
            headers = {} if authorization is None else {"Authorization": authorization}
            answer = await http.get(f"{api.url}/metrics", headers=headers)
            health = await http.get(f"{api.url}/healthz", headers=headers)
            return answer.status_code, set(health.json())

        stranger, observer = (403, {"status"}), (200, {"status", "checks", "trouble"})
        for authorization in (None, "", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN):
            assert await asked(authorization) == stranger, authorization
        assert await asked(f"Bearer {TOKEN}") == observer
        assert await asked(f"bearer {TOKEN}") == observer
        session = await token(api)
        assert await asked(f"Bearer {session}") == observer
        assert await asked(f"Bearer {session[:-1]}") == stranger
        async with api.db.begin() as conn:
            session_id = api.services.tokens.session_id(session)
            assert session_id is not None
            await sessions.end(conn, session_id)
        assert await asked(f"Bearer {session}") == stranger


async def test_an_empty_list_of_networks_lets_nobody_in_without_a_token(
    http: httpx.AsyncClient, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    settings = settings_for(tmp_path, database_url, METRICS_NETWORKS=",")
    async with serve_api(settings, known_providers, database_url) as api:
        assert (await http.get(f"{api.url}/metrics")).status_code == 403
