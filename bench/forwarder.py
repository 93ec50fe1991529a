"""The yardstick for throughput: what a bare forwarder does. Upload → provider → answer, all in memory.

It has no queue, no disk, no checks, no retries, no preview: `python -m bench.forwarder FD PROVIDER_URL`.
"""

import base64
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from multipart import MultipartSegment, PushMultipartParser, parse_options_header
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulators.gemini import KEY

MODEL = "gemini-nano-banana-2.1"


def build_app(provider_url: str) -> Starlette:
    """One route, as the booths know it."""
    sessions: list[aiohttp.ClientSession] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            sessions.append(http)
            yield

    async def ingest(request: Request) -> Response:
        data = base64.b64encode(await _photo(request)).decode()
        parts = [{"inlineData": {"mimeType": "image/jpeg", "data": data}}, {"text": "Turn this into a portrait."}]
        body = {
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": {"responseModalities": ["IMAGE"]},
        }
        url = f"{provider_url}/v1beta/models/{MODEL}:generateContent"
        headers = {"x-goog-api-key": KEY, "Content-Type": "application/json"}
        async with sessions[0].post(url, data=json.dumps(body).encode(), headers=headers) as response:
            answer = await response.json()
        picture = answer["candidates"][0]["content"]["parts"][-1]["inlineData"]
        return Response(base64.b64decode(picture["data"]), media_type=picture["mimeType"])

    async def livez(_request: Request) -> Response:
        return Response("ok")

    routes = [Route("/ingest/{slot_id}", ingest, methods=["POST"]), Route("/livez", livez)]
    return Starlette(routes=routes, lifespan=lifespan)


async def _photo(request: Request) -> bytearray:
    """The bytes of the form's part `fileToUpload`."""
    _, options = parse_options_header(request.headers["content-type"])
    parser, photo, inside = PushMultipartParser(options["boundary"]), bytearray(), False
    async for chunk in request.stream():
        for event in parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                inside = event.name == "fileToUpload"
            elif event and inside:
                photo += event
    return photo


if __name__ == "__main__":
    config = uvicorn.Config(build_app(sys.argv[2]), log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
