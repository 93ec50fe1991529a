"""Turbotext (`api_ai`): a queue at one address per method, asked twice. It fetches its pictures by our public links.

    submit   do=create_queue&…            → {"success": true, "queueid": 918273}        one photo credit is gone
    poll     do=get_result&queueid=918273 → {"action": "reconnect"} … {"success": true, "uploaded_image": "https://…"}

There is no idempotency key, no list of what was queued and no way to cancel. So a `create_queue` whose answer is lost
(on its way, or by a gateway that says 502 or 504) is AMBIGUOUS, and one whose answer cannot be read is never sent
again; polling is free, and everything about it may be repeated. Redirects are not followed: a POST would become a GET.
Facts: the vendor's page, and guesses where it is silent.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import ClientSession

from runner.body import Answer, Upload, ask
from runner.driver import Accepted, Call, Exchange, Image, Outcome, Pending, ProviderFailed, Receipt, usable_key
from runner.drivers import turbotext_answer
from runner.drivers.turbotext_answer import Method
from runner.fetch import fetch, same_origin

POLL_AFTER_SECONDS = 2.0
RESULT_AFTER_SECONDS = 1.0
"""A result that is announced and not there yet is looked for again this soon."""
POLL_SECONDS = 10.0
CHECK_SECONDS = 10.0
PICTURES: Mapping[str, Mapping[str, str]] = {
    "generate_image2image": {"url": "photo"},
    "mix_images": {"url_image_target": "photo", "url": "style"},
    "deepfake_photo": {"url": "photo", "url_image_target": "face"},
}
"""Whose link goes where. Mind that the photo is `url_image_target` in one method and `url` in the other."""
ONLY_THE_PHOTO: Mapping[str, str] = {"url": "photo"}
"""For a method that is known by name only."""
FIELDS: Mapping[str, str] = {
    "prompt": "content",
    **{name: name for name in ("strength", "seed", "scale", "negative_prompt", "original_language", "face_restore")},
}
"""The form's name of each setting. Its range is in providers.json."""


async def submit(call: Call, http: ClientSession) -> Accepted:
    """Put the photo into Turbotext's queue. Raises `ProviderFailed`."""
    receipt = Receipt(model=call.model.name)
    form = {"do": "create_queue", **_links(call), **_parameters(call.settings)}
    try:
        answer = await _asked(call, form, deadline=call.deadline, http=http, receipt=receipt)
        queueid = turbotext_answer.queueid(answer, key=call.key, receipt=receipt)
    except ProviderFailed as failed:
        if failed.outcome is Outcome.BAD_RESPONSE:
            failed.repeatable = False  # whatever was said, the photo may be in the queue and paid for
        raise
    receipt = replace(receipt, http_status=answer.status, request_id=queueid)
    return Accepted(reference=queueid, poll_after_seconds=POLL_AFTER_SECONDS, receipt=receipt)


async def poll(exchange: Exchange, reference: str, http: ClientSession) -> Pending | Image:
    """Ask for the picture, and download it when it is there. Raises `ProviderFailed`."""
    receipt = Receipt(model=exchange.model.name, request_id=reference)
    until = min(exchange.deadline, asyncio.get_running_loop().time() + POLL_SECONDS)
    form = {"do": "get_result", "queueid": reference}
    try:
        answer = await _asked(exchange, form, deadline=until, http=http, receipt=receipt)
    except ProviderFailed as failed:
        late = failed.outcome is Outcome.TIMEOUT and until < exchange.deadline
        if late or failed.outcome is Outcome.AMBIGUOUS:
            raise ProviderFailed(Outcome.NETWORK, failed.reason, repeatable=True, receipt=failed.receipt) from failed
        raise
    result = turbotext_answer.result(answer, exchange, receipt=receipt)
    if result is None:
        return Pending(poll_after_seconds=POLL_AFTER_SECONDS)
    return Image(data=await _downloaded(exchange, result.url, receipt=result.receipt), receipt=result.receipt)


async def methods(base_url: str, *, key: str | None, http: ClientSession) -> list[Method]:
    """What this key may use, free of charge: a check of the key too. Raises `ProviderFailed`."""
    answer = await ask(
        http,
        "POST",
        _address(base_url, "available_api"),
        headers={**_key_header(key), "Content-Type": "application/x-www-form-urlencoded"},
        key=key,
        deadline=asyncio.get_running_loop().time() + CHECK_SECONDS,
    )
    return turbotext_answer.methods(answer, key=key)


async def _asked(
    exchange: Exchange, form: Mapping[str, str], *, deadline: float, http: ClientSession, receipt: Receipt
) -> Answer:
    return await ask(
        http,
        "POST",
        _address(exchange.base_url, _method(exchange)),
        headers={**_key_header(exchange.key), "Content-Type": "application/x-www-form-urlencoded"},
        key=exchange.key,
        deadline=deadline,
        upload=Upload(urlencode(form, errors="replace").encode()),
        receipt=receipt,
    )


async def _downloaded(exchange: Exchange, url: str, *, receipt: Receipt) -> bytes:
    """The picture. The key goes along only if the provider's own host asks for it."""
    deadline, base_url = exchange.deadline, exchange.base_url
    try:
        try:
            return await fetch(url, deadline=deadline, allowed_base=base_url)
        except ProviderFailed as failed:
            if failed.receipt.http_status not in (401, 403) or not same_origin(url, base_url):
                raise
        return await fetch(url, deadline=deadline, allowed_base=base_url, headers=_key_header(exchange.key))
    except ProviderFailed as failed:
        early = failed.receipt.http_status == 404
        raise ProviderFailed(
            failed.outcome,
            failed.reason,
            repeatable=failed.repeatable or early,
            retry_after_seconds=RESULT_AFTER_SECONDS if early else None,
            receipt=replace(receipt, http_status=failed.receipt.http_status),
        ) from failed


def _address(base_url: str, method: str) -> str:
    return f"{base_url}/api_ai/{quote(method, safe='')}"


def _method(exchange: Exchange) -> str:
    method = exchange.options.get("method")
    if not isinstance(method, str) or not method:
        raise _refused(exchange, f"providers.json names no method for {exchange.operation}")
    return method


def _key_header(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {usable_key(key)}"}


def _links(call: Call) -> dict[str, str]:
    wanted = PICTURES.get(_method(call), ONLY_THE_PHOTO)
    if missing := [role for role in wanted.values() if not call.links.get(role)]:
        raise _refused(call, f"there is no public link for: {', '.join(missing)}")
    return {name: call.links[role] for name, role in wanted.items()}


def _parameters(settings: Mapping[str, Any]) -> dict[str, str]:
    given = {name: settings.get(setting) for setting, name in FIELDS.items()}
    return {name: _text(value) for name, value in given.items() if value not in (None, "")}


def _text(value: Any) -> str:
    """A setting as the form has it: `True`, `40` (also for 40.0, which JSON takes for a whole number), `7.5`."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _refused(exchange: Exchange, reason: str) -> ProviderFailed:
    """A call that is not made."""
    return ProviderFailed(Outcome.INVALID_REQUEST, reason, receipt=Receipt(model=exchange.model.name))
