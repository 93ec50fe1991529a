"""Texts from outside that mean mischief, on every page that shows them, in a real browser: they are text, no more."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import delete, func, insert, text, update

from photochanger import audit, jobs
from photochanger.errors import Failure
from photochanger.providers import Providers
from photochanger.tables import job_attempt, provider_check, session, slot, slot_version
from tests.administrators import give_passwords
from tests.browsing import IN_A_BROWSER, NARROW, WIDE, Window, window
from tests.naughty import NAUGHTY
from tests.results import finished_job, queued_job
from tests.serving import Api, serve_api, settings_for
from tests.studio import claim, picture_of

pytestmark = [*IN_A_BROWSER, pytest.mark.slow]

SLOTS = [f"slot-{number:03}" for number in range(1, 16)]


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="a-key")
    give_passwords(settings)
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


def dealt(count: int, *, first: int = 0) -> list[str]:
    """So many of them, all in their turn."""
    return [NAUGHTY[(first + number) % len(NAUGHTY)] for number in range(count)]


async def troubles(seen: Window, shown: Sequence[str], *, name: str) -> list[str]:
    """What has come of the texts: elements, a script's effect, a message, a scroll sideways; or they are not there."""
    page = seen.page
    found = [f"{name}: {line}" for line in seen.said]
    for strange in (
        "img[src='x'], iframe, object, embed, svg[onload], [onerror], [onclick]",
        "script:not([src])",
        "a[href^='javascript:' i], a[href^='data:' i]",
    ):
        found += [f"{name}: {strange}"] * await page.locator(strange).count()
    if await page.evaluate("window.naughty") is not None:
        found.append(f"{name}: a script has run")
    for viewport in (NARROW, WIDE):
        await page.set_viewport_size(viewport)  # type: ignore[arg-type]
        if await seen.sideways() > 0:
            found.append(f"{name}: scrolls sideways at {viewport['width']}")
    fields = "[...document.querySelectorAll('input, textarea')].map(one => one.value).join()"
    readable: str = await page.evaluate(f"document.body.textContent + {fields}")
    return found + [f"{name}: {one!r} cannot be read" for one in shown if one.strip() not in readable]


async def seen_on(api: Api, browser: Browser, path: str, shown: Sequence[str], *, login: bool = True) -> list[str]:
    """The troubles of one page, with its parts unfolded."""
    async with window(browser, api, login=login) as seen:
        dialogs: list[str] = []
        seen.page.on("dialog", lambda dialog: dialogs.append(f"{path}: a dialog says {dialog.message}"))
        await seen.go(f"{api.url}{path}")
        await seen.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        return await troubles(seen, shown, name=path) + dialogs


async def named(api: Api, *, first: int) -> list[str]:
    """Every slot has another of the texts for a name, and for the name of who saved it."""
    names = [one.strip()[:200] for one in dealt(len(SLOTS), first=first)]
    async with api.db.begin() as conn:
        for slot_id, name in zip(SLOTS, names, strict=True):
            values = {"display_name": name, "updated_by": name[:80]}
            await conn.execute(update(slot).where(slot.c.slot_id == slot_id).values(values))
    return names


@pytest.mark.parametrize("first", range(0, len(NAUGHTY), len(SLOTS)))
async def test_names_of_slots_are_text_wherever_they_stand(api: Api, browser: Browser, first: int) -> None:
    names = await named(api, first=first)
    job_id, _ = await finished_job(api)
    for path in ("/", "/jobs", "/statistics"):
        assert await seen_on(api, browser, path, names) == []
    for path in ("/slots/slot-001", f"/jobs/{job_id}"):
        assert await seen_on(api, browser, path, [names[0]]) == []
    for number in range(0, len(SLOTS), 7):
        assert await seen_on(api, browser, f"/public/slots/{SLOTS[number]}", [names[number]], login=False) == []
    assert await seen_on(api, browser, f"/public/results/{job_id}", [], login=False) == []


@pytest.mark.parametrize("third", range(3))
async def test_all_that_is_told_of_a_photo_is_text(api: Api, browser: Browser, third: int) -> None:
    """Prompt, booth fields, models, reasons, the provider's numbers and details."""
    texts = NAUGHTY[third::3]
    job_id = await queued_job(api)
    held = await claim(api, job_id)
    async with api.db.begin() as conn:
        changed = text(
            "UPDATE job_input SET booth_fields = CAST(:fields AS jsonb),"
            " snapshot = jsonb_set(snapshot, '{settings,prompt}', CAST(:prompt AS jsonb))"
        )
        fields = {naughty: naughty for naughty in texts}
        await conn.execute(changed, {"fields": json.dumps(fields), "prompt": json.dumps("\n".join(texts))})
        for number, naughty in enumerate(texts, start=1):
            told: dict[str, Any] = {"provider": "gemini", "model": naughty, "request_id": naughty}
            told |= {"outcome": "bad_response", "reason": f"HTTP 400: {naughty}"[:300], "started_at": func.now()}
            values = {"job_id": job_id, "number": number, "finished_at": func.now(), **told}
            await conn.execute(insert(job_attempt).values(values))
        details = "\n".join(texts)[:1000]
        assert await jobs.fail(conn, held, failure=Failure.BAD_RESPONSE, details=details, why=details)
    assert await seen_on(api, browser, f"/jobs/{job_id}", texts) == []
    assert await seen_on(api, browser, "/jobs", [texts[-1]]) == []


async def test_who_did_what_is_text_in_the_settings(api: Api, browser: Browser) -> None:
    shown = dealt(20)
    async with api.db.begin() as conn:
        for naughty in shown:
            await audit.record(conn, "setting_changed", actor=naughty[:80], setting=naughty, old=naughty, new=naughty)
            await audit.record(conn, naughty, actor="serg", slot=naughty)
    assert await seen_on(api, browser, "/settings", []) == []
    for naughty in NAUGHTY[::8]:
        async with api.db.begin() as conn:
            row = {"provider": "gemini", "good": False, "sentence": naughty[:300], "checked_at": func.now()}
            await conn.execute(delete(provider_check))
            await conn.execute(insert(provider_check).values(row))
            await conn.execute(update(session).values(address=naughty, user_agent=naughty[:300]))
        assert await seen_on(api, browser, "/settings", []) == []


async def test_a_slots_earlier_versions_and_its_prompt_are_text(api: Api, browser: Browser) -> None:
    async with api.db.begin() as conn:
        for number, naughty in enumerate(NAUGHTY[:20], start=1):
            document = {"display_name": naughty, "settings": {"prompt": naughty}, "provider": "gemini"}
            values = {"slot_id": "slot-001", "version": number, "saved_by": naughty[:80], "document": document}
            await conn.execute(insert(slot_version).values(**values, saved_at=func.now()))
        await conn.execute(update(slot).values(settings={"prompt": "\n".join(NAUGHTY)}))
    assert await seen_on(api, browser, "/slots/slot-001", list(NAUGHTY[:20])) == []


async def test_an_account_that_is_typed_into_the_login_is_text(api: Api, browser: Browser) -> None:
    async with window(browser, api, login=False) as seen:
        for naughty in NAUGHTY[::6]:
            await seen.go(f"{api.url}/login")
            await seen.page.locator("input[name=username]").fill(naughty.replace("\n", " ")[:60])
            await seen.page.locator("input[name=password]").fill("wrong")
            await seen.page.keyboard.press("Enter")
            await expect(seen.page.get_by_role("alert")).to_be_visible()
            seen.said[:] = [line for line in seen.said if "401" not in line and "429" not in line]
            assert await troubles(seen, [], name=repr(naughty)) == []
    assert await seen_on(api, browser, "/settings", []) == []


async def test_a_files_name_is_text(api: Api, browser: Browser) -> None:
    async with api.db.begin() as conn:
        style = {"provider": "turbotext", "operation": "style_transfer", "settings": {}}
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-013").values(**style))
    picture, _ = picture_of("#9fd3e6")
    names = [
        "<img src=x onerror=naughty=1>.jpg",
        "{{7*7}}.jpg",
        "a\u202egpj.exe.jpg",
        "'\"><script>naughty=1</script>.jpg",
    ]
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/slots/slot-013")
        zone = seen.page.locator("[data-drop=template]").first
        for name in names:
            file: Any = {"name": name, "mimeType": "image/jpeg", "buffer": picture}
            await zone.locator("[data-drop-file]").set_input_files(file)
            await expect(zone.locator("[data-drop-remove]")).to_be_visible()
            await seen.page.locator("#test-photo").set_input_files(file)
            await expect(seen.page.locator("#test-go")).to_be_enabled()
            assert await troubles(seen, [], name=name) == []
        await seen.page.locator("#save").click()
        await expect(seen.page.locator(".toast")).to_be_visible()
        await seen.go(f"{api.url}/slots/slot-013")
        assert await troubles(seen, [], name="saved") == []
    assert await seen_on(api, browser, "/settings", []) == []


async def test_what_is_put_into_an_address_is_text(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        for naughty in NAUGHTY[::5]:
            await seen.go(f"{api.url}/?{urlencode({'q': naughty})}")
            assert await troubles(seen, [], name=f"q={naughty!r}") == []
            await seen.go(f"{api.url}/jobs?{urlencode({'job_id': naughty})}")
            assert await troubles(seen, [], name=f"job_id={naughty!r}") == []
