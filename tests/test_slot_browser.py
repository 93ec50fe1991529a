"""A slot's page in a real browser: two editors, a template dropped, and a test run through a runner and a simulator."""

import re
from pathlib import Path

from playwright.async_api import Browser, Dialog, expect
from sqlalchemy import func, update

from photochanger import slots
from photochanger.providers import Providers
from photochanger.tables import session
from simulators.gemini import KEY
from simulators.sample import SAMPLE
from tests.browsing import IN_A_BROWSER, window
from tests.serving import Api, running, serve_api, settings_for
from tests.simulated import simulated

pytestmark = IN_A_BROWSER


async def test_a_slot_is_edited_and_the_second_editor_is_told(api: Api, browser: Browser) -> None:
    async with window(browser, api) as first, window(browser, api) as second:
        for seen in (first, second):
            await seen.go(f"{api.url}/slots/slot-001")
        await first.page.get_by_label("Название").fill("Свадьба")
        await first.page.locator("[name='settings.prompt']").fill("Акварель, лица не менять")
        await expect(first.page.locator("[data-counter]").first).to_have_text("24 / 8000")
        await first.page.get_by_role("button", name="Сохранить").click()
        await expect(first.page.locator(".toast")).to_have_text("Сохранено")
        await expect(first.page.get_by_role("heading", level=1)).to_have_text("Свадьба")
        await second.page.get_by_label("Название").fill("Выпускной")
        await second.page.get_by_role("button", name="Сохранить").click()
        await expect(second.page.get_by_role("alert")).to_contain_text("serg уже сохранил(а) версию 2")
        await expect(second.page.get_by_label("Название")).to_have_value("Выпускной")
        await expect(second.page.get_by_role("alert")).to_contain_text("У вас иначе: «Название»")
        assert await second.violations() == []
        await second.page.get_by_role("button", name="Сохранить моё поверх").click()
        await expect(second.page.locator(".toast")).to_have_text("Сохранено")
        await expect(second.page.get_by_role("heading", level=1)).to_have_text("Выпускной")
        await expect(second.page.get_by_role("alert")).to_have_count(0)
        assert first.said == second.said == []


async def test_a_mistake_stands_at_its_field(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/slots/slot-001")
        field = seen.page.get_by_label("Повторов после сбоя")
        await field.fill("9")
        await seen.page.get_by_role("button", name="Сохранить").click()
        await expect(seen.page.locator(".mistake")).to_have_text("Целое число от 0 до 3.")
        await expect(field).to_have_attribute("aria-invalid", "true")
        await expect(field).to_be_focused()
        assert await seen.violations() == []
        await field.fill("1")
        await seen.page.locator("#more-limits > summary").click()
        limit = seen.page.get_by_label("Самое большое фото, МБ")
        await limit.fill("99")
        await seen.page.locator("#more-limits > summary").click()
        await expect(limit).to_be_hidden()
        await seen.page.get_by_role("button", name="Сохранить").click()
        await expect(limit).to_be_focused()


async def test_an_earlier_version_is_restored_after_a_question(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/slots/slot-001")
        await page.get_by_label("Название").fill("Свадьба")
        await page.get_by_role("button", name="Сохранить").click()
        await page.locator("#more-versions > summary").click()
        restore = page.get_by_role("button", name="Восстановить")
        await restore.click()
        await expect(page.locator("#confirmation")).to_be_visible()
        await expect(page.get_by_role("button", name="Отмена")).to_be_focused()
        assert await seen.violations() == []
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Свадьба")
        await restore.click()
        await page.locator("#confirmation-go").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Slot 1 (Gemini)")
        assert seen.said == []


async def test_another_provider_has_other_fields_and_its_picture_is_dropped(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/slots/slot-001")
        await page.locator("select[name=provider]").select_option("turbotext")
        await expect(page.locator("[name='settings.strength']")).to_be_visible()
        await page.locator("#second-picture").check()
        await expect(page.locator("#drop-style")).to_be_visible()
        await expect(page.locator("select[name=operation]")).to_have_value("style_transfer")
        await page.locator("#drop-style [data-drop-file]").set_input_files(SAMPLE)
        await expect(page.locator("#drop-style [data-drop-picture]")).to_be_visible()
        await expect(page.locator("#drop-style [data-drop-value]")).to_have_value(re.compile("[0-9a-f]{32}"))
        await page.get_by_role("button", name="Сохранить").click()
        await expect(page.locator(".toast")).to_have_text("Сохранено")
        async with api.db.at_once() as conn:
            now = await slots.get(conn, "slot-001")
        assert now is not None
        assert (now.provider, now.operation, list(now.template_media)) == ("turbotext", "style_transfer", ["style"])
        await page.get_by_role("button", name="Убрать").first.click()
        await expect(page.locator("#drop-style [data-drop-value]")).to_have_value("")
        assert seen.said == []


async def test_a_picture_that_another_slot_has_is_chosen_again(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        for slot_id in ("slot-002", "slot-003"):
            await seen.go(f"{api.url}/slots/{slot_id}")
            await page.locator("select[name=provider]").select_option("turbotext")
            await expect(page.locator("[name='settings.strength']")).to_be_visible()
            await page.locator("#second-picture").check()
            if slot_id == "slot-002":
                await page.locator("#drop-style [data-drop-file]").set_input_files(SAMPLE)
            else:
                await page.get_by_text("Выбрать из тех, что уже есть").click()
                await page.get_by_role("button", name=SAMPLE.name).click()
                await expect(page.locator("#others-style")).not_to_have_attribute("open", "")
            await expect(page.locator("#drop-style [data-drop-picture]")).to_be_visible()
            await page.get_by_role("button", name="Сохранить").click()
            await expect(page.locator(".toast")).to_have_text("Сохранено")
        async with api.db.at_once() as conn:
            bound = [one.template_media for one in await slots.all_slots(conn) if one.template_media]
        assert len(bound) == 2
        assert bound[0] == bound[1]
        assert seen.said == []


async def test_an_ended_session_does_not_lead_away_from_what_is_not_saved(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        asked: list[str] = []
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        await seen.go(f"{api.url}/slots/slot-001")
        await page.locator("[name='settings.prompt']").fill("half a prompt")
        async with api.db.begin() as conn:
            await conn.execute(update(session).values(revoked_at=func.now()))
        await page.get_by_role("button", name="Сохранить").click()
        told = page.locator("#session-ended")
        await expect(told).to_contain_text("Сессия завершена")
        await expect(page.locator("[name='settings.prompt']")).to_have_value("half a prompt")
        await expect(told.get_by_role("link")).to_have_attribute("href", "/login?next=/slots/slot-001")
        assert await seen.violations() == []
        assert asked == []


async def test_a_picture_is_dragged_onto_its_place_and_anything_else_is_refused(api: Api, browser: Browser) -> None:
    drop = """([kind, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "dropped", {type: kind}));
        const area = document.querySelector("#drop-photo .drop-area");
        for (const name of ["dragenter", "dragover", "drop"]) {
            area.dispatchEvent(new DragEvent(name, {dataTransfer: data, bubbles: true, cancelable: true}));
        }
    }"""
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/slots/slot-001")
        await page.evaluate(drop, arg=["application/pdf", [37, 80, 68, 70]])
        await expect(page.locator(".toast")).to_have_text("Только картинки JPG, PNG и WEBP")
        await expect(page.locator("#drop-photo [data-drop-status]")).to_have_value("none")
        await page.evaluate(drop, arg=["image/jpeg", list(SAMPLE.read_bytes())])
        await expect(page.locator("#drop-photo [data-drop-picture]")).to_be_visible()
        await expect(page.locator("#drop-photo [data-drop-status]")).to_have_value("new")
        await expect(page.get_by_role("button", name="Тест", exact=True)).to_be_enabled()
        await page.locator("#drop-photo [data-drop-remove]").click()
        await expect(page.locator("#drop-photo [data-drop-status]")).to_have_value("removed")
        await expect(page.get_by_role("button", name="Тест", exact=True)).to_be_disabled()
        assert seen.said == []


async def test_settings_go_to_another_slot_after_a_question_that_names_it(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/slots/slot-001")
        await page.locator("[name='settings.prompt']").fill("Акварель")
        await page.get_by_role("button", name="Сохранить").click()
        await expect(page.locator(".toast")).to_have_text("Сохранено")
        await page.locator("[name='settings.prompt']").fill("Набросок, ещё не сохранён")
        await page.locator("#copy-to").select_option(label="slot-005 · Slot 5 (Gemini)")
        await page.locator("#copy button").click()
        await expect(page.locator("#confirmation h2")).to_have_text("Копировать в «slot-005 · Slot 5 (Gemini)»?")
        assert await seen.violations() == []
        await page.locator("#confirmation-go").click()
        await expect(page.locator(".toast").last).to_contain_text("«Slot 5 (Gemini)» теперь делает такие же фото")
        await expect(page.locator("[name='settings.prompt']")).to_have_value("Набросок, ещё не сохранён")
        async with api.db.at_once() as conn:
            other = await slots.get(conn, "slot-005")
        assert other is not None
        assert (other.settings["prompt"], other.display_name) == ("Акварель", "Slot 5 (Gemini)")
        assert seen.said == []


async def test_who_leaves_with_something_unsaved_is_asked(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page, asked = seen.page, []

        async def stay(dialog: Dialog) -> None:
            asked.append(dialog.type)
            await dialog.dismiss()

        page.on("dialog", stay)
        await seen.go(f"{api.url}/slots/slot-001")
        await page.get_by_label("Название").fill("Свадьба")
        await page.get_by_role("link", name="Все слоты").click(no_wait_after=True)
        await expect(page.get_by_label("Название")).to_have_value("Свадьба")
        await page.get_by_role("button", name="Сохранить").click()
        await expect(page.locator(".toast")).to_have_text("Сохранено")
        await page.get_by_role("link", name="Все слоты").click()
        await page.wait_for_url(f"{api.url}/")
        assert asked == ["beforeunload"]


async def test_the_unsaved_form_is_tried_on_a_photo(
    database_url: str, tmp_path: Path, known_providers: Providers, browser: Browser, anyio_backend: str
) -> None:
    async with simulated() as simulators:
        told = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": f"{simulators.url}/gemini"}
        settings = settings_for(tmp_path, database_url, **told)
        async with (
            serve_api(settings, known_providers, database_url) as api,
            running(settings, known_providers, database_url),
            window(browser, api) as seen,
        ):
            page = seen.page
            await seen.go(f"{api.url}/slots/slot-001")
            await page.locator("[name='settings.prompt']").fill("ещё не сохранено")
            test = page.get_by_role("button", name="Тест", exact=True)
            await expect(test).to_be_disabled()
            await page.locator("#test-photo").set_input_files(SAMPLE)
            await expect(page.locator("#drop-photo [data-drop-picture]")).to_be_visible()
            await test.click()
            await expect(page.locator("#test-outcome")).to_contain_text("Готово за", timeout=40_000)
            for which in ("До", "После"):
                picture = page.locator("#test-outcome").get_by_role("figure", name=which).locator("img")
                await expect(picture).to_be_visible()
                await expect(picture).not_to_have_js_property("naturalWidth", 0)
            await expect(page.locator("#test-outcome .attempts")).to_contain_text(
                re.compile(r"gemini.*\sс · [\d,]+\s\$")
            )
            async with api.db.at_once() as conn:
                now = await slots.get(conn, "slot-001")
            assert now is not None
            assert now.version == 1, "a test saves nothing"
            assert await seen.violations() == []
            assert seen.said == []
