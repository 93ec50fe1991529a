"""The slot page's copy to another slot: what goes over, and what does not."""

import json

import httpx
import pytest
from sqlalchemy import text

from tests.administrators import browser
from tests.serving import Api
from tests.slot_page import FORM, saved, send

pytestmark = pytest.mark.anyio


async def copy(http: httpx.AsyncClient, api: Api, to: str, **headers: str) -> httpx.Response:
    return await send(http, api, "/copy", {"to": to}, **headers)


def toast(answer: httpx.Response) -> tuple[str, str]:
    told = json.loads(answer.headers["hx-trigger"])["toast"]
    return told["kind"], told["text"]


async def test_another_slot_gets_what_makes_the_pictures(api: Api, http: httpx.AsyncClient) -> None:
    await send(http, api, "", FORM)
    answer = await copy(http, api, "slot-005/1")
    assert answer.status_code == 200
    assert toast(answer) == ("ok", "«Slot 5 (Gemini)» теперь делает такие же фото")
    assert 'value="slot-005/2"' in answer.text, "the part knows the new version"
    assert 'value="slot-001' not in answer.text
    other = await saved(api, "slot-005")
    assert (other.settings, other.display_name, other.size_limit_mb) == (
        (await saved(api)).settings,
        "Slot 5 (Gemini)",
        15,
    )


async def test_nothing_is_copied_over_what_one_has_not_seen(api: Api, http: httpx.AsyncClient) -> None:
    await send(http, api, "", FORM)
    await copy(http, api, "slot-005/1", **await browser(api, account="igor"))
    kind, said = toast(await copy(http, api, "slot-005/1"))
    assert (kind, "igor тем временем изменил(а) «Slot 5 (Gemini)»" in said) == ("danger", True)
    assert (await saved(api, "slot-005")).version == 2


async def test_what_is_wrong_is_not_copied(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE slot SET settings = '{}' WHERE slot_id = 'slot-001'"))
    kind, said = toast(await copy(http, api, "slot-005/1"))
    assert (kind, "Ничего не скопировано" in said) == ("danger", True)
    assert toast(await copy(http, api, "slot-001/1"))[0] == "danger", "it is the same slot"
    assert (await saved(api, "slot-005")).version == 1


@pytest.mark.parametrize("to", ["", "slot-005", "slot-005/0", "slot-005/x", "slot-005/1/1", "slot-٠٠٥/1"])
async def test_a_copy_that_names_no_slot_as_one_saw_it_is_refused(api: Api, http: httpx.AsyncClient, to: str) -> None:
    assert (await copy(http, api, to)).status_code == 400
    assert (await copy(http, api, "slot-016/1")).status_code == 404
