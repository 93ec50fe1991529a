"""All that OpenAI can be seen to do with a well-formed edit: one scene for each behaviour a scenario can name.

    a picture   ok · instant · slow · other_format · without_usage · without_details
    none        empty_data · no_data · moderation_blocked · content_policy_violation · user_error
    an error    rate_limited · insufficient_quota · billing_hard_limit · server_error · overloaded · not_verified …
    worse       cloudflare · truncated_json · invalid_base64 · picture_bomb · huge_body · silent · drip · reset_after …

Every one also takes `delay_seconds`, and `mime`, which counts for `other_format` only: what a picture is otherwise is
the request's `output_format`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from simulators import broken_pictures
from simulators.openai_errors import FAILURES, JSON_TYPE, model_not_found
from simulators.openai_pictures import canned_in
from simulators.openai_turn import Scene, Turn, of_bytes, says, sends, shows, whole_body
from simulators.scenarios import Parameters, flag, one_of, seconds, seconds_or_none, text, whole
from simulators.turns import wire_faults

HTML_TYPE = "text/html; charset=UTF-8"
CLOUDFLARE = (
    b"<!DOCTYPE html><html><head><title>api.openai.com | Web server is returning an unknown error</title></head>"
    b"<body><h1>Error</h1><p>Ray ID: 8f0000000000 &bull; Performance &amp; security by Cloudflare</p></body></html>"
)
AROUND_DATA = (b'{"created":1763700000,"data":[{"b64_json":"', b'"}]}')
WRONG_SHAPES: Mapping[str, Any] = {
    "data_object": {"created": 1, "data": {"b64_json": "QUJD"}},
    "data_text": {"created": 1, "data": "QUJD"},
    "data_texts": {"created": 1, "data": ["QUJD"]},
    "b64_number": {"created": 1, "data": [{"b64_json": 7}]},
    "b64_null": {"created": 1, "data": [{"b64_json": None}]},
    "url_only": {"created": 1, "data": [{"url": "https://files.example/picture.png"}]},
    "error_200": {"error": {"message": "Something", "type": "server_error", "param": None, "code": None}},
    "list": [],
    "number": 7,
    "null": None,
}
FAILURE_PARAMETERS: Mapping[str, Parameters] = {
    "moderation_blocked": {
        "type": one_of("image_generation_user_error", "user_error"),
        "violations": text("sexual"),
    },
    "rate_limited": {
        "retry_after_seconds": seconds_or_none(None),
        "retry_after_ms": seconds_or_none(None),
    },
    "insufficient_quota": {"with_hint": flag(default=False)},
    "billing_hard_limit": {"status": whole(400, least=400, most=429)},
    "server_error": {
        "status": whole(500, least=500, most=599),
        "should_retry": one_of("unsaid", "true", "false"),
    },
}


def _fails(name: str) -> Scene:
    async def play(turn: Turn) -> web.StreamResponse:
        raise FAILURES[name](turn.behaviour.parameters, turn.asked.model.name, turn.key)

    return Scene(play=play, parameters=FAILURE_PARAMETERS.get(name, {}))


def _of(data: Callable[[Turn], bytes | str], **parameters: Any) -> Scene:
    """An answer that is right around a picture that is none, or not a whole one."""

    def members(turn: Turn) -> Mapping[str, Any]:
        given = data(turn)
        return {"data": [{"b64_json": given} if isinstance(given, str) else of_bytes(given)]}

    return says(members, **parameters)


def _without_details(turn: Turn) -> Mapping[str, Any]:
    """As the first image model answered."""
    return {
        "data": [of_bytes(turn.canned)],
        "usage": {"total_tokens": 2000, "input_tokens": 500, "output_tokens": 1500},
    }


def _first_half(turn: Turn) -> bytes:
    body = whole_body(turn)
    return body[: len(body) // 2]


def _nested(turn: Turn) -> bytes:
    levels: int = turn["levels"]
    return b'{"data":' + b"[" * levels + b"]" * levels + b"}"


async def _model_gone(turn: Turn) -> web.StreamResponse:
    raise model_not_found(turn.asked.model.name)


async def _cloudflare(turn: Turn) -> web.StreamResponse:
    return web.Response(body=CLOUDFLARE, status=turn["status"], headers={"Content-Type": HTML_TYPE})


SCENES: Mapping[str, Scene] = {
    "ok": shows(lambda turn: turn.work.pictures),
    "instant": shows(lambda turn: [turn.canned], changes_photo=False),
    "slow": shows(lambda turn: turn.work.pictures, seconds=seconds(60)),
    "other_format": _of(lambda turn: canned_in(turn["mime"].removeprefix("image/"))),
    "without_usage": says(lambda turn: {"data": [of_bytes(turn.canned)], "usage": None}),
    "without_details": says(_without_details),
    "empty_data": says(lambda _turn: {"data": []}),
    "no_data": says(lambda _turn: {}),
    **{name: _fails(name) for name in FAILURES},
    "model_gone": Scene(play=_model_gone),
    "cloudflare": Scene(play=_cloudflare, parameters={"status": whole(502, least=500, most=599)}),
    "plain_text_error": sends(lambda _turn: b"upstream connect error", status=503, content_type="text/plain"),
    "html_200": sends(lambda _turn: broken_pictures.HTML, content_type=HTML_TYPE),
    "empty_body": sends(lambda _turn: b""),
    "truncated_json": sends(_first_half, billed=True),
    "deep_json": sends(_nested, levels=whole(100_000, least=1, most=5_000_000)),
    "wrong_shape": sends(lambda turn: json.dumps(WRONG_SHAPES[turn["shape"]]).encode(), shape=one_of(*WRONG_SHAPES)),
    "invalid_base64": _of(lambda _turn: "this is *not* base64!"),
    "picture_cut": _of(lambda _turn: broken_pictures.cut("image/png")),
    "picture_zero_bytes": _of(lambda _turn: ""),
    "picture_wrong_type": _of(lambda _turn: broken_pictures.HTML),
    "picture_bomb": _of(
        lambda turn: broken_pictures.bomb(turn["kind"], side_px=broken_pictures.MAX_SIDE_PX),
        kind=one_of("webp", "png", "png_header"),
    ),
    **wire_faults(whole_body, around_data=AROUND_DATA, content_type=JSON_TYPE, redirected_to="/openai/redirected"),
}

CATALOGUE: Mapping[str, Parameters] = {name: scene.parameters for name, scene in SCENES.items()}
