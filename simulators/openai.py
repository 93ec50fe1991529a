"""OpenAI's API as a simulator: the edit of images, and the models it knows; as strict as the real one, or stricter.

    POST /openai/v1/images/edits     GET /openai/v1/models     GET /openai/v1/models/{model}

A request is checked in this order: path, key, size, form, model, fields, pictures. Whatever is malformed is answered
with OpenAI's error and noted as a violation; then the scenario decides (openai_scenes.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulators.noting import Entry, Handler, bearer_of, noted
from simulators.openai_errors import invalid, invalid_key, json_response, model_not_found, no_key
from simulators.openai_form import read_form
from simulators.openai_models import Model
from simulators.openai_pictures import Work, work
from simulators.openai_request import Asked, read_edit
from simulators.openai_scenes import SCENES
from simulators.openai_turn import Scene, Turn
from simulators.scenarios import Seen
from simulators.stage import Stage

KEY = "simulator-key"
BODY_LIMIT_BYTES = 120 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class OpenAI:
    """The simulator."""

    stage: Stage
    models: Mapping[str, Model]
    body_limit_bytes: int = BODY_LIMIT_BYTES

    def routes(self) -> list[web.RouteDef]:
        """All its routes, below /openai."""
        return [
            web.post("/openai/v1/images/edits", self._noted(self._edit)),
            web.get("/openai/v1/models", self._noted(self._list), allow_head=False),
            web.get("/openai/v1/models/{model}", self._noted(self._model), allow_head=False),
            web.route("*", "/openai/{rest:.*}", self._noted(self._unknown_path)),
        ]

    def _noted(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        return noted(self.stage, handler, key_of=bearer_of)

    async def _edit(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        started = asyncio.get_running_loop().time()
        with self.stage.gauge.counting():
            key = self._checked_key(request)
            body = await self._body(request)
            asked = await asyncio.to_thread(self._read, body, content_type=request.headers.get("Content-Type", ""))
            entry |= {"model": asked.model.name, "prompt": asked.prompt, "settings": asked.settings, "billed": False}
            behaviour = self.stage.scenarios.choose(Seen(key=key, prompt=asked.prompt, model=asked.model.name))
            scene = SCENES[behaviour.name]
            entry |= {"behaviour": behaviour.name, "pictures": [{"mime": file.mime} for file in asked.images]}
            done = await _work(asked, scene)
            entry |= {"pictures": done.facts or entry["pictures"], "billed": scene.billed}
            self.stage.gauge.billed += scene.billed
            delay_seconds = behaviour.parameters["delay_seconds"] + behaviour.parameters.get("seconds", 0)
            await asyncio.sleep(started + delay_seconds - asyncio.get_running_loop().time())
            return await scene.play(Turn(request=request, asked=asked, behaviour=behaviour, key=key, work=done))

    def _read(self, body: bytes, *, content_type: str) -> Asked:
        return read_edit(read_form(body, content_type=content_type), models=self.models)

    async def _list(self, request: web.Request, _entry: Entry) -> web.StreamResponse:
        self._checked_key(request)
        return json_response({"object": "list", "data": [_described(model) for model in self.models.values()]})

    async def _model(self, request: web.Request, _entry: Entry) -> web.StreamResponse:
        self._checked_key(request)
        name = request.match_info["model"]
        if name not in self.models:
            raise model_not_found(name)
        return json_response(_described(self.models[name]))

    async def _unknown_path(self, request: web.Request, _entry: Entry) -> web.StreamResponse:
        raise invalid(f"Invalid URL ({request.method} {request.path})", status=404)

    def _checked_key(self, request: web.Request) -> str:
        key = bearer_of(request)
        if key is None:
            raise no_key()
        if key != KEY and not self.stage.scenarios.names_key(key):
            raise invalid_key(key)
        return key

    async def _body(self, request: web.Request) -> bytes:
        """The whole body; its length must have been declared."""
        if request.query_string:
            raise invalid("The query is not known.", code="unknown_parameter")
        if request.content_length is None:
            raise invalid("The length of the body is not declared.", status=411)
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > self.body_limit_bytes:
                raise invalid(f"Maximum content size limit ({self.body_limit_bytes}) exceeded.", status=413)
        return bytes(body)


async def _work(asked: Asked, scene: Scene) -> Work:
    if scene.decodes:
        return await asyncio.to_thread(work, asked, paint=scene.changes_photo)
    return Work(facts=[], size=asked.model.pixels(asked.size, ratio=1), pictures=[])


def _described(model: Model) -> dict[str, Any]:
    described: dict[str, Any] = {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "system",
    }
    if model.shutdown_date is not None:
        described["shutdown_date"] = model.shutdown_date
    return described
