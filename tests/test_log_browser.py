"""The log and a photo's page in a real browser, as somebody uses them who looks for the photo of ten minutes ago."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from photochanger import attempts, jobs
from photochanger.attempts import AttemptEnd
from photochanger.errors import Failure
from photochanger.providers import Providers
from tests.administrators import give_passwords
from tests.browsing import IN_A_BROWSER, LOOKS, window
from tests.results import claimed_job, queued_job
from tests.serving import Api, serve_api, settings_for
from tests.studio import afternoon, failing, finished

pytestmark = IN_A_BROWSER


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="a-key", TURBOTEXT_API_KEY="another")
    give_passwords(settings)
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


async def tried_in_vain(api: Api) -> str:
    """A photo whose provider answered twice with words of its own."""
    await queued_job(api, slot_id="slot-005")
    held = await claimed_job(api)
    async with api.db.begin() as conn:
        for _ in range(2):
            number = await attempts.begin(conn, held, provider="gemini", model="gemini-nano-banana-2.1")
            assert number is not None
            reason = "HTTP 503 UNAVAILABLE: The model is overloaded."
            ended = AttemptEnd(outcome="provider_unavailable", http_status=503, reason=reason)
            await attempts.end(conn, held.job_id, number, ended)
        failure = Failure.PROVIDER_UNAVAILABLE
        why = f"provider_unavailable: {reason}"
        assert await jobs.fail(conn, held, failure=failure, details=failure.sentence, why=why)
    return held.job_id


@pytest.mark.slow
@pytest.mark.parametrize(("theme", "language", "size"), LOOKS)
async def test_log_and_photo_are_accessible_silent_and_fit(
    api: Api, browser: Browser, theme: str, language: str, size: dict[str, int]
) -> None:
    told, failed = await afternoon(api), await tried_in_vain(api)
    looks: dict[str, Any] = {"color_scheme": theme, "locale": language, "viewport": size}
    filters = "slot_id=slot-001&status=done&from=2020-01-01T00:00"
    paths = [f"/jobs?{filters}", "/jobs?job_id=hello", "/jobs?status=waiting", "/jobs?source=ui_test"]
    async with window(browser, api, **looks) as seen:
        for path in [*paths, f"/jobs/{failed}", f"/jobs/{told.done}?{filters}", f"/jobs/{told.expired}"]:
            await seen.go(f"{api.url}{path}")
            await seen.page.evaluate("document.querySelectorAll('details.more').forEach(one => { one.open = true; })")
            assert await seen.violations() == [], path
            assert await seen.sideways() <= 0, path
        assert seen.said == []
        if language == "ru-RU":
            await seen.go(f"{api.url}/jobs/{failed}")
            ours = await seen.page.locator("main").inner_text()
            for english in ("provider_unavailable", "attempt", "released", "There is", "overloaded."):
                assert english not in ours.replace("«\u2068The model is overloaded.\u2069»", ""), english


async def test_one_finds_the_photo_of_ten_minutes_ago(api: Api, browser: Browser) -> None:
    await afternoon(api)
    wanted = await tried_in_vain(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/")
        await page.get_by_role("link", name="Фото", exact=True).click()
        await page.get_by_role("link", name="15 минут").click()
        await page.wait_for_url("**/jobs?from=*")
        await page.locator("select[name=failure_reason]").select_option("provider_unavailable")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(page.get_by_text("Выбрано 2 фильтра")).to_be_visible()
        assert re.search(r"failure_reason=provider_unavailable.*from=2\d+", page.url)
        await page.locator(f"#link-{wanted}").click()
        await page.wait_for_url(f"**/jobs/{wanted}?**")
        await expect(page.get_by_text("поможет запасной в слоте")).to_be_visible()
        await expect(page.locator(".timeline")).to_contain_text("Попытка не удалась")
        await expect(page.locator(".tries li")).to_have_count(2)
        await page.get_by_role("link", name="Выбранные фото").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.get_by_role("link", name="Очистить").click()
        await page.wait_for_url(f"{api.url}/jobs")
        await page.locator("#log-id").fill(f"{api.url}/public/results/{wanted}?inline=1")
        await expect(page.locator("tbody tr")).to_have_count(1)
        assert f"job_id={wanted}" in page.url
        assert seen.said == []


async def test_a_time_is_chosen_by_hand(api: Api, browser: Browser) -> None:
    await finished(api, "slot-001", minutes_ago=90, tint="#9fd3e6")
    recent = await finished(api, "slot-001", minutes_ago=5, tint="#e6c79f")
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/jobs")
        await expect(page.locator("tbody tr")).to_have_count(2)
        local = "(ago => { const at = new Date(Date.now() - ago * 60000 - new Date().getTimezoneOffset() * 60000);"
        since = await page.evaluate(f"{local} return at.toISOString().slice(0, 16); }})(60)")
        await seen.go(f"{api.url}/jobs")  # by now the zone is known
        await page.locator("input[name=from]").fill(since)
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(page.locator(f"#job-{recent}")).to_be_visible()
        await expect(page).to_have_url(re.compile(r"from=[^&]*Z"))
        await page.reload(wait_until="networkidle")
        assert (await page.locator("input[name=from]").input_value())[:16] == since
        assert seen.said == []


async def test_j_and_k_walk_through_the_rows_and_on_through_the_photos(api: Api, browser: Browser) -> None:
    ids = [await failing(api, "slot-005", Failure.NO_IMAGE) for _ in range(3)]
    newest = ids[::-1]
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/jobs?slot_id=slot-005")
        for _ in range(3):
            await page.keyboard.press("j")
        await page.keyboard.press("k")
        assert await page.evaluate("document.activeElement.id") == f"link-{newest[1]}"
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/jobs/{newest[1]}?slot_id=slot-005")
        await page.keyboard.press("j")
        await page.wait_for_url(f"**/jobs/{newest[2]}?slot_id=slot-005")
        await page.keyboard.press("k")
        await page.wait_for_url(f"**/jobs/{newest[1]}?slot_id=slot-005")
        assert seen.said == []


async def test_the_first_page_grows_and_the_reader_stays_where_he_was(api: Api, browser: Browser) -> None:
    for number in range(40):
        await finished(api, "slot-001", minutes_ago=number + 1, tint="#9fd3e6")
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/jobs")
        row = page.locator("tbody tr").nth(20)
        await row.scroll_into_view_if_needed()
        link = row.locator(".row-link")
        await link.focus()
        held, before = await link.get_attribute("id"), await row.evaluate("row => row.getBoundingClientRect().top")
        came = [await queued_job(api, slot_id="slot-002") for _ in range(3)]
        await page.locator(f"#job-{came[-1]}").wait_for(state="attached", timeout=20_000)
        assert await page.evaluate("document.activeElement.id") == held
        after = await page.locator(f"#{held}").evaluate("link => link.closest('tr').getBoundingClientRect().top")
        assert abs(after - before) < 40
        assert seen.said == []


async def test_an_older_page_stands_still_and_tells_of_new_photos(api: Api, browser: Browser) -> None:
    for _ in range(52):
        await queued_job(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/jobs")
        await page.get_by_role("link", name="Раньше").click()
        await expect(page.locator("tbody tr")).to_have_count(2)
        await queued_job(api)
        await page.evaluate("document.dispatchEvent(new Event('poll-now'))")
        await expect(page.get_by_role("link", name="Пришло 1 новое фото")).to_be_visible(timeout=20_000)
        await expect(page.locator("tbody tr")).to_have_count(2)
        await page.get_by_role("link", name="Пришло 1 новое фото").click()
        await page.wait_for_url(f"{api.url}/jobs")
        assert seen.said == []


async def test_a_result_is_deleted_after_a_question_that_names_it(api: Api, browser: Browser) -> None:
    told = await afternoon(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/jobs/{told.done}")
        await page.get_by_role("button", name="Удалить сейчас").click()
        dialog = page.locator("#confirmation")
        await expect(dialog).to_contain_text("Удалить результат «Свадьба — акварель» сейчас?")
        await expect(dialog).to_contain_text("исчезнет сразу и насовсем")
        assert await page.evaluate("document.activeElement.value") == "cancel"
        await page.keyboard.press("Enter")
        await expect(dialog).to_be_hidden()
        await expect(page.get_by_role("button", name="Удалить сейчас")).to_be_visible()
        await page.get_by_role("button", name="Удалить сейчас").click()
        await dialog.get_by_role("button", name="Удалить").click()
        await expect(page.get_by_text("Результат больше не хранится")).to_be_visible()
        await expect(page.locator(".timeline")).to_contain_text("Результат удалён")
        await expect(page.get_by_role("button", name="Удалить сейчас")).to_have_count(0)
        assert seen.said == []


async def test_a_photo_is_run_again_after_a_question(api: Api, browser: Browser) -> None:
    told = await afternoon(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/jobs/{told.done}")
        await page.get_by_role("button", name="Запустить снова").click()
        await expect(page.locator("#confirmation")).to_contain_text("ещё одну оплату провайдеру")
        assert await page.evaluate("document.activeElement.value") == "cancel"
        await page.locator("#confirmation-go").click()
        await page.wait_for_url(lambda url: told.done not in url)
        await expect(page.get_by_role("link", name="повтор другого фото")).to_be_visible()
        await expect(page.locator(".timeline")).to_contain_text("serg")
        await page.get_by_role("link", name="повтор другого фото").click()
        await page.wait_for_url(f"{api.url}/jobs/{told.done}")
        await expect(page.get_by_role("link", name="к этому запуску")).to_be_visible()
        assert seen.said == []


async def test_what_cannot_be_run_again_says_why(api: Api, browser: Browser) -> None:
    told = await afternoon(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/jobs/{told.failed}")
        api.media.discard(f"ingest/{told.failed}")
        await page.get_by_role("button", name="Запустить снова").click()
        await page.locator("#confirmation-go").click()
        await expect(page.locator(".toast")).to_contain_text("Исходное фото уже удалено")
        assert [line for line in seen.said if "410" not in line] == []
