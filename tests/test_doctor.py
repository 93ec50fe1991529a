"""`photochanger doctor` against a running API."""

from dataclasses import replace

import anyio.to_thread
import pytest
from sqlalchemy import text

from photochanger import doctor, leases
from photochanger.doctor import Finding
from photochanger.providers import Providers
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
    findings = await examine(api, known_providers, database_url, base_url=api.url)
    assert {subject: finding.in_order for subject, finding in findings.items()} == {
        "schema": True,
        "media": True,
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
    assert set(wrong) == {"public links", "runners", "circuits", "slot-004", "slot-005"}
    assert "settings.retries: It must be a whole number from 0 to 3." in wrong["slot-004"]
    assert "provider: There is no such provider." in wrong["slot-005"]
    assert doctor.report(list(findings.values()), lambda _: None) == 1


async def test_a_link_that_nobody_answers_is_told(api: Api, database_url: str, known_providers: Providers) -> None:
    findings = await examine(api, known_providers, database_url, base_url="http://127.0.0.1:9")
    assert not findings["public links"].in_order
    assert "does not answer" in findings["public links"].told
