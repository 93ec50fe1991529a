"""The finished picture at its worst: not there, somewhere else, behind a key, slow, broken or too much."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from simulators import broken_pictures, transport
from simulators.scenarios import flag, one_of, seconds, text, whole
from simulators.turbotext_turn import Scene, Turn, gives_picture, json_response

MEGABYTE = 1024 * 1024
PIECES = 20
METADATA_URL = "http://169.254.169.254/latest/meta-data/"
"""Where clouds keep their machines' secrets: no picture is ever to be fetched from there."""


async def _not_found_at_first(turn: Turn) -> web.StreamResponse:
    assert turn.job is not None
    if turn.job.missed_downloads < turn["misses"]:
        turn.job.missed_downloads += 1
        return web.Response(status=404, text="File not found")
    return await gives_picture(turn)


async def _gone(_turn: Turn) -> web.StreamResponse:
    return web.Response(status=410, text="Gone")


async def _slow(turn: Turn) -> web.StreamResponse:
    """The whole picture in pieces, over that time."""
    made = turn.made
    response = web.StreamResponse(headers={"Content-Type": made.mime, "Content-Length": str(len(made.data))})
    await response.prepare(turn.request)
    step = -(-len(made.data) // PIECES)
    for position in range(0, len(made.data), step):
        await asyncio.sleep(turn["download_seconds"] / PIECES)
        await response.write(made.data[position : position + step])
    return response


async def _not_a_picture(turn: Turn) -> web.StreamResponse:
    return web.Response(body=broken_pictures.HTML, content_type=turn["declared"])


async def _cut(turn: Turn) -> web.StreamResponse:
    return web.Response(body=turn.made.data[: len(turn.made.data) // 2], content_type=turn.made.mime)


async def _bomb(turn: Turn) -> web.StreamResponse:
    mime = "image/webp" if turn["kind"] == "webp" else "image/png"
    return web.Response(body=broken_pictures.bomb(turn["kind"], side_px=turn["side_px"]), content_type=mime)


async def _huge(turn: Turn) -> web.StreamResponse:
    chunks = transport.filler(turn["megabytes"] * MEGABYTE)
    return await transport.flood(turn.request, chunks, content_type=turn.made.mime, compressed=False)


async def _needs_key(turn: Turn) -> web.StreamResponse:
    assert turn.job is not None
    if turn.key == turn.job.key:
        return await gives_picture(turn)
    turn.job.key_demanded = True
    return web.Response(status=401, text="Unauthorized", headers={"WWW-Authenticate": "Bearer"})


async def _elsewhere(turn: Turn) -> web.StreamResponse:
    if turn["redirect"]:
        return json_response(turn.right)
    data: dict[str, Any] = {name: value for name, value in turn.right["data"].items() if name != "image"}
    return json_response(turn.right | {"uploaded_image": turn["url"], "data": data})


async def _redirected(turn: Turn) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": turn["url"]})


RESULTS: Mapping[str, Scene] = {
    "result_not_found_at_first": Scene(
        downloads=_not_found_at_first, parameters={"misses": whole(2, least=1, most=1_000)}
    ),
    "result_gone": Scene(downloads=_gone),
    "slow_download": Scene(downloads=_slow, parameters={"download_seconds": seconds(30)}),
    "result_not_a_picture": Scene(downloads=_not_a_picture, parameters={"declared": one_of("text/html", "image/jpeg")}),
    "result_cut": Scene(downloads=_cut),
    "result_bomb": Scene(
        downloads=_bomb,
        parameters={
            "kind": one_of("png", "webp", "png_header"),
            "side_px": whole(broken_pictures.MAX_SIDE_PX, least=1, most=broken_pictures.MAX_SIDE_PX),
        },
    ),
    "result_huge": Scene(downloads=_huge, parameters={"megabytes": whole(50, least=1, most=2_000)}),
    "result_needs_key": Scene(downloads=_needs_key),
    "result_elsewhere": Scene(
        answers=_elsewhere,
        downloads=_redirected,
        parameters={"url": text(METADATA_URL), "redirect": flag(default=False)},
    ),
}
