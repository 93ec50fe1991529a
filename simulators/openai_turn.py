"""A request to OpenAI whose turn has come, its answer with status 200, and the scenes that can be played with it."""

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulators import turns
from simulators.openai_errors import JSON_TYPE, json_response, own_headers
from simulators.openai_pictures import Work, canned_in
from simulators.openai_request import Asked

CHARACTERS_PER_TOKEN = 4
PICTURE_TOKENS = 718
"""What a picture counts in a request …"""
FAITHFUL_PICTURE_TOKENS = 6240
"""… and with `input_fidelity` high."""


@dataclass(frozen=True, kw_only=True)
class Turn(turns.Turn):
    """A well-formed request to OpenAI; its time to be answered has come."""

    asked: Asked
    work: Work

    @property
    def canned(self) -> bytes:
        """A picture for scenes where it is not the point."""
        return canned_in(self.asked.output_format)


Scene = turns.Scene[Turn]


def shows(pictures: Callable[[Turn], Sequence[bytes]], *, changes_photo: bool = True, **parameters: Any) -> Scene:
    """A scene that ends well, by default with the changed photo, which it decodes."""
    scene = says(lambda turn: {"data": [of_bytes(data) for data in pictures(turn)]}, **parameters)
    return Scene(
        play=scene.play, parameters=parameters, changes_photo=changes_photo, decodes=changes_photo, billed=True
    )


def says(members: Callable[[Turn], Mapping[str, Any]], *, billed: bool = True, **parameters: Any) -> Scene:
    """A scene with these members in its answer, and without the changed photo."""

    async def play(turn: Turn) -> web.StreamResponse:
        return json_response(answer(turn, **members(turn)))

    return Scene(play=play, parameters=parameters, billed=billed)


def sends(
    body: Callable[[Turn], bytes],
    *,
    status: int = 200,
    content_type: str = JSON_TYPE,
    billed: bool = False,
    **parameters: Any,
) -> Scene:
    """A scene with these bytes as its answer."""

    async def play(turn: Turn) -> web.StreamResponse:
        headers = {"Content-Type": content_type, **(own_headers() if content_type == JSON_TYPE else {})}
        return web.Response(body=body(turn), status=status, headers=headers)

    return Scene(play=play, parameters=parameters, billed=billed)


def of_bytes(data: bytes) -> dict[str, str]:
    """One picture of an answer's `data`."""
    return {"b64_json": base64.b64encode(data).decode()}


def answer(turn: Turn, **members: Any) -> dict[str, Any]:
    """The whole answer; members replace its own, and None takes one out."""
    width, height = turn.work.size
    asked = turn.asked
    whole = {
        "created": int(time.time()),
        "background": "transparent" if asked.transparent else "opaque",
        "output_format": asked.output_format,
        "quality": asked.quality,
        "size": f"{width}x{height}",
        "usage": _usage(turn),
        **members,
    }
    return {name: value for name, value in whole.items() if value is not None}


def whole_body(turn: Turn) -> bytes:
    """A good answer as bytes, for scenes that do something to them."""
    return json.dumps(answer(turn, data=[of_bytes(turn.canned)])).encode()


def _usage(turn: Turn) -> dict[str, Any]:
    asked, (width, height) = turn.asked, turn.work.size
    text = -(-len(asked.prompt) // CHARACTERS_PER_TOKEN)
    faithful = asked.settings.get("input_fidelity") == "high"
    pictures = len(asked.images) + (asked.mask is not None)
    image = pictures * (FAITHFUL_PICTURE_TOKENS if faithful else PICTURE_TOKENS)
    drawn = asked.count * asked.model.picture_tokens(asked.quality, width=width, height=height)
    return {
        "total_tokens": text + image + drawn,
        "input_tokens": text + image,
        "output_tokens": drawn,
        "input_tokens_details": {"text_tokens": text, "image_tokens": image},
        "output_tokens_details": {"image_tokens": drawn, "text_tokens": 0},
    }
