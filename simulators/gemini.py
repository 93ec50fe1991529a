"""Google's Gemini API as a simulator: what an image model's driver needs of it, and as strict as the real one.

    POST /gemini/{v1|v1beta}/models/{model}:generateContent     GET /gemini/{v1|v1beta}/models
    POST /gemini/{v1|v1beta}/models/{model}:countTokens         GET /gemini/{v1|v1beta}/models/{model}

A request is checked in this order: path, key, model, content type, size, JSON, fields, pictures. Whatever is malformed
is answered with Google's error and noted as a violation; then the scenario decides (gemini_scenes.py).
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulators.gemini_answers import by_modality, prompt_tokens
from simulators.gemini_errors import ApiError, invalid, invalid_key, json_response, model_not_found, no_key
from simulators.gemini_fields import COUNT, GENERATE
from simulators.gemini_models import INPUT_TOKEN_LIMIT, OUTPUT_TOKEN_LIMIT, Model
from simulators.gemini_request import Asked, decode, open_picture, read_contents, read_generate, read_json
from simulators.gemini_scenes import SCENES
from simulators.gemini_turn import Turn
from simulators.noting import Entry, Handler, noted
from simulators.pictures import Photo, change
from simulators.proto_json import Message
from simulators.scenarios import Behaviour, Seen
from simulators.stage import Stage, picture_facts

KEY = "simulator-key"
QUERY_NAMES = {"key", "alt", "prettyPrint"}
PAGE_NAMES = {"pageSize", "pageToken"}
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000


@dataclass(frozen=True, kw_only=True)
class Gemini:
    """The simulator."""

    stage: Stage
    models: Mapping[str, Model]
    body_limit_bytes: int

    def routes(self) -> list[web.RouteDef]:
        """All its routes, below /gemini."""
        base = r"/gemini/{version:v1|v1beta}/models"
        one = base + r"/{model:[^/:]+}"
        return [
            web.post(one + ":generateContent", self._noted(self._generate)),
            web.post(one + ":countTokens", self._noted(self._count_tokens)),
            web.get(one, self._noted(self._model), allow_head=False),
            web.get(base, self._noted(self._list), allow_head=False),
            web.route("*", "/gemini/{rest:.*}", self._noted(self._unknown_path)),
        ]

    def _noted(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        return noted(self.stage, handler, key_of=_key)

    async def _generate(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        started = asyncio.get_running_loop().time()
        with self.stage.gauge.counting():
            key = self._checked_key(request)
            model = self._checked_model(request)
            asked = read_generate(await self._body(request, GENERATE), model=model)
            entry |= {"model": model.name, "prompt": asked.prompt, "config": asked.config}
            behaviour = self.stage.scenarios.choose(Seen(key=key, prompt=asked.prompt, model=model.name))
            scene = SCENES[behaviour.name]
            entry |= {"behaviour": behaviour.name, "pictures": [{"mime": blob.mime} for blob in asked.pictures]}
            entry["billed"] = False
            picture = b""
            if scene.decodes:
                facts, picture = await asyncio.to_thread(_work, asked, behaviour, paint=scene.changes_photo)
                entry["pictures"] = facts
            entry["billed"] = scene.billed
            self.stage.gauge.billed += scene.billed
            delay_seconds = behaviour.parameters["delay_seconds"] + behaviour.parameters.get("seconds", 0)
            await asyncio.sleep(started + delay_seconds - asyncio.get_running_loop().time())
            return await scene.play(Turn(request=request, asked=asked, behaviour=behaviour, key=key, picture=picture))

    async def _count_tokens(self, request: web.Request, _entry: Entry) -> web.StreamResponse:
        self._checked_key(request)
        model = self._checked_model(request)
        fields = await self._body(request, COUNT)
        if ("contents" in fields) == ("generateContentRequest" in fields):
            raise invalid("Give either contents or generateContentRequest.", field="contents")
        if "contents" in fields:
            prompt, pictures = read_contents(fields["contents"], model=model)
        else:
            asked = read_generate(fields["generateContentRequest"], model=model)
            prompt, pictures = asked.prompt, list(asked.pictures)
        counts = prompt_tokens(prompt, pictures=len(pictures))
        return json_response({"totalTokens": sum(counts.values()), "promptTokensDetails": by_modality(counts)})

    async def _model(self, request: web.Request, _entry: Entry) -> web.StreamResponse:
        self._checked_key(request)
        _check_query(request, QUERY_NAMES)
        return json_response(_described(self._checked_model(request)))

    async def _list(self, request: web.Request, _entry: Entry) -> web.StreamResponse:
        self._checked_key(request)
        _check_query(request, QUERY_NAMES | PAGE_NAMES)
        size = request.query.get("pageSize", str(DEFAULT_PAGE_SIZE))
        start = request.query.get("pageToken", "0")
        if not (size.isdecimal() and start.isdecimal()):
            raise invalid("pageSize must be a whole number and pageToken one that was given out.")
        names = list(self.models)
        end = int(start) + (min(int(size), MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE)
        page: dict[str, Any] = {"models": [_described(self.models[name]) for name in names[int(start) : end]]}
        if end < len(names):
            page["nextPageToken"] = str(end)
        return json_response(page)

    async def _unknown_path(self, request: web.Request, _entry: Entry) -> web.StreamResponse:
        message = f"There is no {request.method} {request.path}."
        raise ApiError(404, "NOT_FOUND", message, violation=True)

    def _checked_key(self, request: web.Request) -> str:
        key = _key(request)
        if key is None:
            raise no_key()
        if key != KEY and not self.stage.scenarios.names_key(key):
            raise invalid_key()
        return key

    def _checked_model(self, request: web.Request) -> Model:
        name = request.match_info["model"]
        if name not in self.models:
            raise model_not_found(name, version=request.match_info["version"])
        return self.models[name]

    async def _body(self, request: web.Request, shape: Message) -> dict[str, Any]:
        _check_query(request, QUERY_NAMES)
        if request.content_type != "application/json":
            raise invalid(f"Content-Type must be application/json, not {request.content_type}.")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body = None
        if body is None or len(body) > self.body_limit_bytes:
            raise invalid(f"Request payload size exceeds the limit: {self.body_limit_bytes} bytes.")
        return read_json(body, shape)


def _key(request: web.Request) -> str | None:
    return request.headers.get("x-goog-api-key") or request.query.get("key") or None


def _check_query(request: web.Request, known: set[str]) -> None:
    for name in request.query:
        if name not in known:
            raise invalid(
                f'Invalid JSON payload received. Unknown name "{name[:80]}": Cannot bind query parameter.', field=name
            )


def _described(model: Model) -> dict[str, Any]:
    return {
        "name": f"models/{model.name}",
        "version": "001",
        "displayName": model.title,
        "inputTokenLimit": INPUT_TOKEN_LIMIT,
        "outputTokenLimit": OUTPUT_TOKEN_LIMIT,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


def _work(asked: Asked, behaviour: Behaviour, *, paint: bool) -> tuple[list[dict[str, Any]], bytes]:
    """Decode the pictures and change the first; runs in a thread. The pictures' facts, and the changed one's bytes."""
    facts = []
    first: Photo | None = None
    for position, blob in enumerate(asked.pictures):
        data = decode(blob)
        photo = open_picture(data, blob, to_paint=paint and position == 0)
        facts.append(picture_facts(data, mime=photo.mime, width=photo.width, height=photo.height))
        first = first or photo
    if not (paint and asked.wants_picture):
        return facts, b""
    width, height = asked.model.pixels(asked.ratio(first), size=asked.size)
    seed = zlib.crc32(asked.prompt.encode())
    return facts, change(first, width=width, height=height, mime=behaviour.parameters["mime"], seed=seed)
