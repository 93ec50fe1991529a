"""A request whose turn has come, and the scenes that are played with it where the answer brings the picture at once."""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiohttp import web

from simulators import transport
from simulators.scenarios import Behaviour, Parameters, flag, seconds, text, whole

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A well-formed request; its time to be answered has come."""

    request: web.Request
    behaviour: Behaviour
    key: str

    def __getitem__(self, parameter: str) -> Any:
        """A parameter of the behaviour."""
        return self.behaviour.parameters[parameter]


T = TypeVar("T", bound=Turn)


@dataclass(frozen=True, kw_only=True)
class Scene(Generic[T]):
    """One behaviour."""

    play: Callable[[T], Awaitable[web.StreamResponse]]
    parameters: Parameters = field(default_factory=dict)
    changes_photo: bool = False
    decodes: bool = True
    """Whether the pictures are decoded, and so checked, at all."""
    billed: bool = False
    """Whether the real provider would charge for it: every picture that was made is, whatever becomes of it."""


def wire_faults(
    whole_body: Callable[[T], bytes], *, around_data: tuple[bytes, bytes], content_type: str, redirected_to: str
) -> Mapping[str, Scene[T]]:
    """What can go wrong below the answer: it is too much, cut off, slow, elsewhere, or never comes.

    `whole_body` is a good answer; `around_data` what stands before and behind its picture's data.
    """
    before, after = around_data

    async def huge_body(turn: T) -> web.StreamResponse:
        chunks = itertools.chain([before], transport.filler(turn["megabytes"] * MEGABYTE), [after])
        return await transport.flood(turn.request, chunks, content_type=content_type, compressed=turn["compressed"])

    async def drip(turn: T) -> web.StreamResponse:
        body, interval = whole_body(turn), turn["interval_seconds"]
        return await transport.drip(turn.request, body, content_type=content_type, interval_seconds=interval)

    async def reset(turn: T) -> web.StreamResponse:
        return transport.reset(turn.request)

    async def silent(_turn: T) -> web.StreamResponse:
        return await transport.silence()

    async def headers_then_silence(turn: T) -> web.StreamResponse:
        return await transport.headers_then_silence(turn.request, content_type=content_type)

    async def redirect(turn: T) -> web.StreamResponse:
        return web.Response(status=turn["status"], headers={"Location": turn["location"]})

    return {
        "huge_body": Scene(
            play=huge_body, parameters={"megabytes": whole(50, least=1, most=2_000), "compressed": flag(default=False)}
        ),
        "redirect": Scene(
            # a client who follows asks for a path that is not there: a violation
            play=redirect,
            parameters={"location": text(redirected_to), "status": whole(302, least=300, most=308)},
        ),
        "silent": Scene(play=silent),
        "headers_then_silence": Scene(play=headers_then_silence, billed=True),
        "drip": Scene(play=drip, parameters={"interval_seconds": seconds(1)}, billed=True),
        "reset_before": Scene(play=reset),
        "reset_after": Scene(play=reset, changes_photo=True, billed=True),
    }
