"""Gemini at its worst: answers that are rubbish, too much, cut off, or never come."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from simulators import broken_pictures
from simulators.gemini_answers import candidate, of_parts, picture_part
from simulators.gemini_errors import JSON_TYPE
from simulators.gemini_turn import Scene, Turn, good, says, sends
from simulators.scenarios import one_of, whole
from simulators.turns import wire_faults

HTML_TYPE = "text/html; charset=UTF-8"
BAD_GATEWAY = b"<html><head><title>502 Server Error</title></head><body><h1>Error: Server Error</h1></body></html>"
AROUND_DATA = (
    b'{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"',
    b'"}}]},"finishReason":"STOP"}]}',
)
WRONG_SHAPES: Mapping[str, Any] = {
    "candidates_object": {"candidates": {"content": {"parts": "none"}}},
    "candidates_null": {"candidates": None},
    "candidates_numbers": {"candidates": [1, 2]},
    "parts_texts": {"candidates": [{"content": {"parts": ["a picture"]}, "finishReason": "STOP"}]},
    "data_number": {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": 7}}]}}]},
    "list": [],
    "number": 7,
    "null": None,
}


def _whole_body(turn: Turn) -> bytes:
    return json.dumps(good(turn, [picture_part(turn.canned, turn["mime"])])).encode()


def _first_half(turn: Turn) -> bytes:
    body = _whole_body(turn)
    return body[: len(body) // 2]


def _broken(data: Callable[[Turn], bytes | str], *, mime: str | None = None, **parameters: Any) -> Scene:
    """A picture that is none, or not a whole one, in an answer that is right."""
    return says(
        lambda turn: {
            "candidates": [candidate(of_parts([picture_part(data(turn), mime or turn["mime"])]), finish_reason="STOP")]
        },
        **parameters,
    )


def _nested(turn: Turn) -> bytes:
    levels: int = turn["levels"]
    return b'{"candidates":' + b"[" * levels + b"]" * levels + b"}"


FAULTS: Mapping[str, Scene] = {
    "html_200": sends(lambda _turn: broken_pictures.HTML, content_type=HTML_TYPE),
    "html_502": sends(lambda _turn: BAD_GATEWAY, status=502, content_type=HTML_TYPE),
    "plain_text_error": sends(lambda _turn: b"upstream connect error", status=503, content_type="text/plain"),
    "empty_body": sends(lambda _turn: b""),
    "truncated_json": sends(_first_half, billed=True),
    "deep_json": sends(_nested, levels=whole(100_000, least=1, most=5_000_000)),
    "wrong_shape": sends(lambda turn: json.dumps(WRONG_SHAPES[turn["shape"]]).encode(), shape=one_of(*WRONG_SHAPES)),
    "invalid_base64": _broken(lambda _turn: "this is *not* base64!"),
    "picture_cut": _broken(lambda turn: broken_pictures.cut(turn["mime"])),
    "picture_zero_bytes": _broken(lambda _turn: ""),
    "picture_wrong_type": _broken(lambda _turn: broken_pictures.HTML, mime="image/png"),
    "picture_bomb": _broken(
        lambda turn: broken_pictures.bomb(turn["kind"], side_px=turn["side_px"]),
        kind=one_of("webp", "png", "png_header"),
        side_px=whole(broken_pictures.MAX_SIDE_PX, least=1, most=broken_pictures.MAX_SIDE_PX),
    ),
    **wire_faults(_whole_body, around_data=AROUND_DATA, content_type=JSON_TYPE, redirected_to="/gemini/redirected"),
}
