"""Passwords and keys on the settings page: shown once or never, and what is known of a key in words."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from photochanger import provider_checks, secret_store
from photochanger.errors import Failure
from photochanger.providers import Providers
from tests.serving import Api, serve_api, settings_for
from tests.settings_page import now, send, shown, toast

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="from-the-environment-7890")
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


async def test_a_generated_password_is_shown_once(api: Api, http: httpx.AsyncClient) -> None:
    before = await now(api)
    form = {"generate": "1", "ingest_password_grace_minutes": "90"}
    answer = await send(http, api, "/password", {**form, "was.rotated_at": str(before.ingest_password_rotated_at)})
    (made,) = re.findall(r'id="made-password">.*?class="copied-path">([^<]+)<', answer.text)
    assert "показан только сейчас" in answer.text
    assert re.search(r"Старый ещё действует, до <time[^>]+>\d\d:\d\d</time> \(<time[^>]+>через", answer.text)
    after = await now(api)
    assert after.ingest_password_hash not in {before.ingest_password_hash, None}
    assert (after.ingest_password_rotated_by, after.ingest_password_grace_minutes) == ("serg", 90)
    assert made not in await shown(http, api)
    late = await send(
        http, api, "/password", {**form, "was.rotated_at": str(before.ingest_password_rotated_at)}, account="igor"
    )
    assert "serg тем временем уже задал(а) новый пароль" in late.text
    assert (await now(api)).ingest_password_hash == after.ingest_password_hash


@pytest.mark.parametrize(
    ("form", "field", "said"),
    [
        ({"ingest_password": "kurz"}, "ingest_password", "Не меньше 8 символов"),
        ({"ingest_password": ""}, "ingest_password", "Не меньше 8 символов"),
        ({"ingest_password": "geheim-geheim", "ingest_password_grace_minutes": "1441"}, "grace", "от 0 до 1440"),
        ({"generate": "1", "ingest_password_grace_minutes": "скоро"}, "grace", "от 0 до 1440"),
    ],
)
async def test_a_password_that_cannot_be_changes_nothing_and_is_never_shown(
    api: Api, http: httpx.AsyncClient, form: dict[str, str], field: str, said: str
) -> None:
    before = await now(api)
    was = {"ingest_password_grace_minutes": "60", "was.rotated_at": str(before.ingest_password_rotated_at)}
    answer = await send(http, api, "/password", {**was, **form})
    assert re.search(rf'id="wrong-[a-z_]*{field}', answer.text)
    assert said in answer.text
    assert "geheim" not in answer.text
    assert await now(api) == before


async def test_a_key_is_stored_checked_and_removed(api: Api, http: httpx.AsyncClient) -> None:
    answer = await send(http, api, "/keys/gemini", {"key": " a-key-of-gemini-1234 "})
    assert (toast(answer), "…1234" in answer.text) == ("Ключ сохранён", True)
    assert "a-key-of-gemini" not in answer.text
    asked = await send(http, api, "/keys/gemini/check", {})
    assert toast(asked) == "Обработчик спрашивает провайдера"
    assert "проверяется" in asked.text
    spaced = await send(http, api, "/keys/gemini", {"key": "with a\nnewline in it"})
    assert "Обычные символы без пробелов" in spaced.text
    assert "newline" not in spaced.text
    removed = await send(http, api, "/keys/gemini", {"remove": "1"})
    assert "…7890" in removed.text, "the environment's counts again"
    async with api.db.at_once() as conn:
        assert await secret_store.stored(conn) == {}
    assert (await send(http, api, "/keys/nobody", {"key": "a-key-of-gemini-1234"})).status_code == 404


@pytest.mark.parametrize(
    ("failure", "reason", "pill", "said"),
    [
        (None, "", "работает", "Провайдер принимает ключ"),
        (Failure.PROVIDER_AUTH, "API key not valid", "не принят", "Скопируйте ключ заново"),
        (Failure.NETWORK, "connection refused", "неясно", "есть ли у сервера интернет"),
        (Failure.QUOTA, "billing limit", "исчерпан", "Посмотрите остаток"),
    ],
)
async def test_what_a_check_has_found_is_said_in_words(
    api: Api, http: httpx.AsyncClient, failure: Failure | None, reason: str, pill: str, said: str
) -> None:
    async with api.db.begin() as conn:
        await provider_checks.request(conn, "gemini")
        (taken,) = await provider_checks.take_due(conn, configured=["gemini"])
        sentence = provider_checks.sentence_of(failure, reason)
        await provider_checks.record(conn, taken, good=failure is None, sentence=sentence)
    page = await shown(http, api, "/news")
    assert pill in page
    assert said in page
    assert failure is None or failure.sentence not in page
    assert not reason or f"{reason[:1].upper()}{reason[1:]}</q>" in page


async def test_a_check_that_nobody_makes_says_so(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await provider_checks.request(conn, "gemini")
        await conn.execute(text("UPDATE provider_check SET requested_at = now() - interval '1 minute'"))
    assert "ни один обработчик не работает" in await shown(http, api, "/news")


async def test_while_simulators_stand_in_the_page_says_so(
    database_url: str, tmp_path: Any, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url, SIMULATORS_URL="http://127.0.0.1:8090")
    async with serve_api(settings, known_providers, database_url) as api:
        page = await shown(http, api)
        assert "вместо провайдеров отвечают имитаторы" in page
        assert "окружения" not in page
        answer = await send(http, api, "/keys/gemini", {"key": "a-key-of-gemini-1234"})
        assert "имитаторы" not in re.sub(r'data-confirm-text="[^"]*"', "", answer.text)
        assert "снова будут отвечать имитаторы" in answer.text, "what becomes of it when the key is removed"


async def test_without_a_secrets_key_no_key_can_be_typed(
    database_url: str, tmp_path: Any, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url, SECRETS_KEY="")
    async with serve_api(settings, known_providers, database_url) as api:
        page = await shown(http, api)
        assert "у сервера нет SECRETS_KEY" in page
        assert 'name="key"' not in page
        answer = await send(http, api, "/keys/gemini", {"key": "a-key-of-gemini-1234"})
        assert "У сервера нет SECRETS_KEY" in answer.text
