"""`photochanger doctor` against a running API."""

from dataclasses import replace

import anyio.to_thread
import pytest
from sqlalchemy import text

from photochanger import doctor, leases, secret_store
from photochanger.doctor import Finding
from photochanger.providers import Providers
from tests.administrators import give_passwords
from tests.serving import Api

pytestmark = pytest.mark.anyio


async def examine(api: Api, known: Providers, database_url: str, *, base_url: str | None) -> dict[str, Finding]:
    settings = replace(
        api.services.settings, public_base_url=base_url, provider_keys={"gemini": "key"}, database_url=database_url
    )
    findings = await anyio.to_thread.run_sync(lambda: doctor.examine(settings, known, database_url=database_url))
    return {finding.subject: finding for finding in findings}


async def test_a_sound_installation_is_told_so(api: Api, database_url: str, known_providers: Providers) -> None:
    async with api.db.begin() as conn:
        await leases.beat(conn, "r", host="h", pid=1)
    give_passwords(api.services.settings)
    findings = await examine(api, known_providers, database_url, base_url=api.url)
    assert {subject: finding.in_order for subject, finding in findings.items()} == {
        "schema": True,
        "media": True,
        "accounts": True,
        "public links": True,
        "keys": True,
        "runners": True,
        "circuits": True,
        "slots": True,
    }
    lines: list[str] = []
    assert doctor.report(list(findings.values()), lines.append) == 0
    assert all(line.startswith("ok ") for line in lines)


async def test_everything_that_is_wrong_is_told(api: Api, database_url: str, known_providers: Providers) -> None:
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE slot SET settings = '{\"retries\": 9}' WHERE slot_id = 'slot-004'"))
        await conn.execute(text("UPDATE slot SET provider = 'nobody' WHERE slot_id = 'slot-005'"))
        await conn.execute(text("INSERT INTO breaker VALUES ('gemini', 'm', 5, now(), NULL, now())"))
    findings = await examine(api, known_providers, database_url, base_url=f"{api.url}/elsewhere")
    wrong = {subject: finding.told for subject, finding in findings.items() if not finding.in_order}
    assert "settings.retries: It must be a whole number from 0 to 3." in wrong["slot-004"]
    assert "provider: There is no such provider." in wrong["slot-005"]
    assert set(wrong) == {"accounts", "public links", "runners", "circuits", "slot-004", "slot-005"}
    assert "photochanger set-password" in wrong["accounts"]
    assert doctor.report(list(findings.values()), lambda _: None) == 1


async def test_slots_that_providers_json_no_longer_takes_are_told(
    api: Api, database_url: str, known_providers: Providers
) -> None:
    fallback = '{"provider": "openai", "operation": "style_transfer", "settings": {"size": "1x1"}}'
    async with api.db.begin() as conn:
        broken = (
            """UPDATE slot SET settings = '{"prompt": "x", "model": "gemini-3-pro-image", "aspect_ratio": "8:1"}'"""
        )
        await conn.execute(text(f"{broken} WHERE slot_id IN ('slot-001', 'slot-002')"))
        await conn.execute(text("UPDATE slot SET is_active = false WHERE slot_id = 'slot-002'"))
        await conn.execute(
            text("UPDATE slot SET fallback = CAST(:it AS jsonb) WHERE slot_id = 'slot-003'"), {"it": fallback}
        )
    findings = await examine(api, known_providers, database_url, base_url=api.url)
    assert not findings["slot-001"].in_order
    assert "settings.aspect_ratio: gemini-3-pro-image does not take this" in findings["slot-001"].told
    assert findings["slot-002"].in_order
    assert findings["slot-002"].told.startswith("is switched off; settings.aspect_ratio")
    assert "fallback.settings.size" in findings["slot-003"].told
    assert "template_media.style" in findings["slot-003"].told
    assert "slots" not in findings


async def test_keys_in_the_database_count_and_those_that_cannot_be_read_are_told(
    api: Api, database_url: str, known_providers: Providers
) -> None:
    box = api.services.secrets_box
    assert box is not None
    async with api.db.begin() as conn:
        await secret_store.store(conn, box, secret_store.provider_key("openai"), "canary-key-0001", by="serg")
    findings = await examine(api, known_providers, database_url, base_url=api.url)
    assert findings["keys"] == Finding("keys", in_order=True, told="of gemini, openai")
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE secret SET name = 'provider.gemini.api_key'"))
    findings = await examine(api, known_providers, database_url, base_url=api.url)
    assert not findings["keys"].in_order
    assert "another secret's" in findings["keys"].told
    assert "there is no key for gemini" in findings["slot-001"].told
    assert "canary" not in str(findings)


async def test_a_link_that_nobody_answers_is_told(api: Api, database_url: str, known_providers: Providers) -> None:
    findings = await examine(api, known_providers, database_url, base_url="http://127.0.0.1:9")
    assert not findings["public links"].in_order
    assert "does not answer" in findings["public links"].told
