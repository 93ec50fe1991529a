"""All that Turbotext can be seen to do with a well-formed request: one scene for each behaviour a scenario can name.

    a picture   ok · instant · slow · uploaded_image_in_data · image_absolute_in_list · image_relative_in_list …
    an error    error {code, at, polls} · unauthorized · forbidden · internal · forbidden_content …
    the queue   endless_reconnect · queueid_as_text · queueid_null · queueid_negative · reset_after_create …
    rubbish     html_200 · malformed_json · python_quotes · unknown_status · success_without_result …
    the result  result_gone · result_cut · result_needs_key · result_elsewhere · slow_download … (turbotext_results.py)

What can go wrong in either phase takes `at` (create_queue or get_result) and `polls`: at get_result, from the moment
the picture is ready, it goes wrong that many times and is right afterwards; null means always. EVERYWHERE is for all.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from simulators import broken_pictures, transport
from simulators.scenarios import Parameter, Parameters, one_of, seconds, seconds_or_none, text, whole
from simulators.scenarios import flag as true_or_false
from simulators.turbotext_request import CREATE_QUEUE, GET_RESULT
from simulators.turbotext_results import RESULTS
from simulators.turbotext_turn import (
    RECONNECT,
    Scene,
    Turn,
    absolute_link,
    json_response,
    relative_link,
    says,
    says_once_queued,
    sends,
)

HTML_TYPE = "text/html; charset=UTF-8"
SERVER_ERROR = b"<html><head><title>500 Internal Server Error</title></head><body></body></html>"
FORBIDDEN = "Доступ к API только на тарифе VIP"


def _whole_or_none(*, least: int) -> Parameter:
    return Parameter(
        default=None,
        accepts=lambda value: (
            value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least)
        ),
        expects=f"a whole number from {least} on, or null",
    )


EVERYWHERE: Parameters = {
    "reconnects": whole(1, least=0, most=100_000),
    "seconds": seconds_or_none(None),
    "least_poll_seconds": seconds(1),
    "takes_webp": true_or_false(default=False),
    "lifetime_seconds": seconds_or_none(None),
    "photos_left": _whole_or_none(least=0),
    "fetch_again_after_seconds": seconds_or_none(None),
    "expires_after_seconds": seconds_or_none(None),
}
"""Polls that say reconnect before the picture is ready, or the seconds until then · the shortest time between polls ·
whether WEBP is taken · how long the result can be downloaded · the foto_limit to report · when to fetch the pictures
once more after the job was created, and from when on that must fail: an answer on the wrong side is a violation."""


def at_first(phase: str) -> Parameters:
    """The parameters of what can go wrong in either phase, by default in this one."""
    other = GET_RESULT if phase == CREATE_QUEUE else CREATE_QUEUE
    return {"at": one_of(phase, other), "polls": _whole_or_none(least=1)}


def _without_link(turn: Turn, *, data: Mapping[str, Any]) -> dict[str, Any]:
    """The finished job without uploaded_image, and with this in its data."""
    right = {name: value for name, value in turn.right.items() if name != "uploaded_image"}
    kept = {name: value for name, value in turn.right["data"].items() if name != "image"}
    return {**right, "data": {**kept, **data}}


def _relative(turn: Turn) -> dict[str, Any]:
    assert turn.job is not None
    return _without_link(turn, data={"image": [relative_link(turn.job)]})


def _forbidden_content(turn: Turn) -> dict[str, Any]:
    found = "True" if turn["written"] == "text" else True
    return {**turn.right, "data": {**turn.right["data"], "forbidden_content": found}}


def _error(document: Callable[[Turn], str], *, status: int = 200, **parameters: Any) -> Scene:
    """An answer without success, by default instead of taking the job."""

    async def play(turn: Turn) -> web.StreamResponse:
        return json_response({"success": False, "error": document(turn)}, status=status)

    return Scene(answers=play, without_job=True, parameters={**at_first(CREATE_QUEUE), **parameters})


def _malformed(turn: Turn) -> bytes:
    """With a closing bracket too many, as in the vendor's sample."""
    written = json.dumps(turn.right)
    return f"{written[:-1]}]{written[-1]}".encode()


async def _reset(turn: Turn) -> web.StreamResponse:
    return transport.reset(turn.request)


async def _silent(_turn: Turn) -> web.StreamResponse:
    return await transport.silence()


async def _redirect(turn: Turn) -> web.StreamResponse:
    return web.Response(status=turn["status"], headers={"Location": turn["location"]})


EARLY: Mapping[str, Any] = {"without_job": True, "final": False}
LATE_RUBBISH: Mapping[str, Any] = {"final": False, "parameters": at_first(GET_RESULT)}

SCENES: Mapping[str, Scene] = {
    "ok": Scene(),
    "instant": Scene(paints=False),
    "slow": Scene(parameters={"seconds": seconds(30)}),
    "uploaded_image_in_data": says(lambda turn: _without_link(turn, data={"uploaded_image": absolute_link(turn)})),
    "image_absolute_in_list": says(lambda turn: _without_link(turn, data={"image": [absolute_link(turn)]})),
    "image_relative_in_list": says(_relative),
    "success_without_result": says(lambda turn: _without_link(turn, data={})),
    "forbidden_content": says(_forbidden_content, parameters={"written": one_of("bool", "text")}),
    "error": _error(lambda turn: str(turn["code"]), code=text("params_error")),
    "unauthorized": _error(lambda _turn: "Unauthorized", status=401),
    "forbidden": _error(lambda _turn: FORBIDDEN, status=403),
    "echo_key_error": _error(lambda turn: f"wrong request: Authorization: Bearer {turn.key}"),
    "internal": sends(
        lambda _turn: SERVER_ERROR, content_type=HTML_TYPE, status=500, parameters=at_first(CREATE_QUEUE), **EARLY
    ),
    "html_200": sends(
        lambda _turn: broken_pictures.HTML, content_type=HTML_TYPE, parameters=at_first(CREATE_QUEUE), **EARLY
    ),
    "redirect_on_post": Scene(
        # a client who follows asks for a path that is not there: a violation
        answers=_redirect,
        parameters={
            "location": text("/turbotext/redirected"),
            "status": whole(302, least=300, most=308),
            **at_first(CREATE_QUEUE),
        },
        **EARLY,
    ),
    "silent": Scene(answers=_silent, parameters=at_first(CREATE_QUEUE), **EARLY),
    "reset_before": Scene(answers=_reset, parameters=at_first(CREATE_QUEUE), **EARLY),
    "reset_after_create": Scene(answers=_reset, at=CREATE_QUEUE),
    "endless_reconnect": says(lambda _turn: RECONNECT, final=False),
    "queueid_as_text": says_once_queued(lambda turn: turn.right | {"queueid": str(turn.right["queueid"])}),
    "queueid_null": says_once_queued(lambda turn: turn.right | {"queueid": None}),
    "queueid_negative": says_once_queued(lambda turn: turn.right | {"queueid": -1}),
    "unknown_status": says(lambda _turn: {"status": "processing"}, **LATE_RUBBISH),
    "malformed_json": sends(_malformed, content_type="application/json", **LATE_RUBBISH),
    "python_quotes": sends(lambda turn: str(turn.right).encode(), content_type="application/json", **LATE_RUBBISH),
    **RESULTS,
}

CATALOGUE: Mapping[str, Parameters] = {name: {**EVERYWHERE, **scene.parameters} for name, scene in SCENES.items()}
