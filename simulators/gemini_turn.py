"""A request whose turn has come, and the scenes that can be played with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulators import turns
from simulators.gemini_answers import Part, answer, candidate, of_parts
from simulators.gemini_errors import JSON_TYPE, json_response
from simulators.gemini_request import Asked
from simulators.pictures import canned


@dataclass(frozen=True, kw_only=True)
class Turn(turns.Turn):
    """A well-formed request to Gemini; its time to be answered has come."""

    asked: Asked
    picture: bytes
    """The changed photo for a scene that shows it; else empty."""

    @property
    def canned(self) -> bytes:
        """A picture for scenes where it is not the point."""
        return canned(self["mime"])


Scene = turns.Scene[Turn]


def shows(parts: Callable[[Turn], list[Part]], *, changes_photo: bool = True, **parameters: Any) -> Scene:
    """A scene that ends well, by default with the changed photo, which it decodes."""

    async def play(turn: Turn) -> web.StreamResponse:
        return json_response(good(turn, parts(turn)))

    return Scene(play=play, parameters=parameters, changes_photo=changes_photo, decodes=changes_photo, billed=True)


def says(members: Callable[[Turn], Mapping[str, Any]], *, billed: bool = True, **parameters: Any) -> Scene:
    """A scene with these members in its answer, and without the changed photo."""

    async def play(turn: Turn) -> web.StreamResponse:
        return json_response(answer(turn.asked, **members(turn)))

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
        return web.Response(body=body(turn), status=status, headers={"Content-Type": content_type})

    return Scene(play=play, parameters=parameters, billed=billed)


def good(turn: Turn, parts: list[Part]) -> Mapping[str, Any]:
    """The whole answer with these parts."""
    return answer(turn.asked, candidates=[candidate(of_parts(parts), finish_reason="STOP")])
