"""Turbotext's API as a simulator: as strict as its page (https://www.turbotext.ru/photo_ai/docs/info), or stricter.

    POST /turbotext/api_ai/{method}     do=create_queue&… → {"success": true, "queueid": 918273}
                                        do=get_result&queueid=918273 → {"action": "reconnect"} … {"success": true, …}
    POST /turbotext/api_ai/available_api                        the methods; takes no parameters
    GET  /turbotext/download.php?f={name}, /turbotext/image/{name}     the finished pictures, for everybody
    GET | DELETE  /__emu/turbotext/fetches                      what was downloaded from the given URLs · forget it

A request is checked in this order: method, POST, key, content type, form, parameters. Whatever is malformed is noted
as a violation, and so are polls that come too soon and a key sent to a download that asked for none. Then the scenario
decides (turbotext_scenes.py); a job's pictures are downloaded and decoded before its queueid is given out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from simulators.noting import Entry, Handler, bearer_of, noted
from simulators.scenarios import Behaviour, Seen
from simulators.stage import Journal, Stage
from simulators.turbotext_fetches import Fetcher
from simulators.turbotext_form import form_of
from simulators.turbotext_intake import take_pictures, watch_links
from simulators.turbotext_jobs import Job, Jobs
from simulators.turbotext_request import (
    AVAILABLE_API,
    CREATE_QUEUE,
    GET_RESULT,
    OBJECT_REPLACE,
    Method,
    Refused,
    check_names,
    methods,
    read_create,
)
from simulators.turbotext_scenarios import ScenariosByMethod, own_default
from simulators.turbotext_scenes import CATALOGUE, SCENES
from simulators.turbotext_turn import RECONNECT, Turn, finished, json_response

KEY = "simulator-key"
PHOTOS = 100_000
"""The balance at the start."""


class Turbotext:
    """The simulator, with the jobs it has taken."""

    def __init__(
        self,
        *,
        journal: Journal,
        default: Mapping[str, Any],
        object_replace_method: str = OBJECT_REPLACE,
        photos: int = PHOTOS,
    ) -> None:
        """`default` is the behaviour of all simulators without a scenario. Raises `ScenarioMistake`."""
        self.methods = methods(object_replace=object_replace_method)
        self.jobs = Jobs(photos_left=photos)
        self.fetcher = Fetcher()
        scenarios = ScenariosByMethod(CATALOGUE, default=own_default(default), methods=self.methods)
        self.stage = Stage(provider="turbotext", scenarios=scenarios, journal=journal, gauge=self.jobs.gauge)

    def routes(self) -> list[web.RouteDef]:
        """All its routes."""
        return [
            web.route("*", "/turbotext/api_ai/{method}", self._noted(self._api)),
            web.get("/turbotext/download.php", self._noted(self._download)),
            web.get("/turbotext/image/{name}", self._noted(self._download)),
            web.route("*", "/turbotext/{rest:.*}", self._noted(self._unknown_path)),
            web.get("/__emu/turbotext/fetches", self._fetches),
            web.delete("/__emu/turbotext/fetches", self._forget_fetches),
        ]

    async def lifespan(self, app: web.Application) -> AsyncIterator[None]:
        """For the application's `cleanup_ctx`."""
        async for _ in self.fetcher.lifespan(app):
            yield

    def _noted(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        return noted(self.stage, handler, key_of=bearer_of)

    async def _api(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        name = request.match_info["method"]
        if name != AVAILABLE_API and name not in self.methods:
            raise Refused(f"there is no method {name[:80]!r}", error="unknown method", status=404)
        if request.method != "POST":
            raise Refused(f"{name} wants POST, not {request.method}", error="method not allowed", status=405)
        key = self._checked_key(request)
        fields = await form_of(request)
        if name == AVAILABLE_API:
            return await self._available_api(request, entry, fields, key=key)
        do = fields.pop("do", None)
        entry["do"] = do
        if do == CREATE_QUEUE:
            with self.stage.gauge.counting():
                return await self._create(request, entry, fields, method=self.methods[name], key=key)
        if do == GET_RESULT:
            self.jobs.gauge.polls += 1
            return await self._poll(request, entry, fields, method=self.methods[name], key=key)
        raise Refused(f"do must be {CREATE_QUEUE} or {GET_RESULT}")

    async def _available_api(
        self, request: web.Request, entry: Entry, fields: Mapping[str, str], *, key: str
    ) -> web.StreamResponse:
        check_names(fields, known=(), what=AVAILABLE_API)
        behaviour = self._choose(entry, Seen(key=key, prompt="", model=AVAILABLE_API))
        await asyncio.sleep(behaviour.parameters["delay_seconds"])
        listed = [{"name": method.name, "description": method.description} for method in self.methods.values()]
        right = {"success": True, "error": "", "data": {"available_api": listed}}
        scene = SCENES[behaviour.name]
        if "at" in scene.parameters:
            return await scene.answers(Turn(request=request, behaviour=behaviour, key=key, right=right))
        return json_response(right)

    async def _create(
        self, request: web.Request, entry: Entry, fields: Mapping[str, str], *, method: Method, key: str
    ) -> web.StreamResponse:
        asked = read_create(fields, method=method)
        entry |= {"prompt": asked.content, "parameters": asked.values, "billed": False}
        behaviour = self._choose(entry, Seen(key=key, prompt=asked.content, model=method.name))
        await asyncio.sleep(behaviour.parameters["delay_seconds"])
        scene = SCENES[behaviour.name]
        plays = scene.plays(CREATE_QUEUE, behaviour)
        if plays and scene.without_job:
            return await scene.answers(Turn(request=request, behaviour=behaviour, key=key))
        if self.jobs.photos_left <= 0:
            raise Refused("no photos are left", error="LIMIT", violation=False)
        made = await take_pictures(self.fetcher, asked, behaviour, paints=scene.paints, complain=self._complain(entry))
        job = self.jobs.add(asked, behaviour, made, key=key)
        watch_links(self.fetcher, job, complain=self._complain(entry))
        entry |= {"queueid": job.queueid, "billed": True}
        turn = Turn(
            request=request, behaviour=behaviour, key=key, job=job, right={"success": True, "queueid": job.queueid}
        )
        return await scene.answers(turn) if plays else json_response(turn.right)

    async def _poll(
        self, request: web.Request, entry: Entry, fields: Mapping[str, str], *, method: Method, key: str
    ) -> web.StreamResponse:
        check_names(fields, known=("queueid",), what=GET_RESULT)
        job = self._checked_job(fields.get("queueid"), method=method, key=key)
        now = asyncio.get_running_loop().time()
        entry |= {"queueid": job.queueid, "behaviour": job.behaviour.name}
        if not job.poll(now):
            self.stage.journal.violation(entry, f"polls for queueid {job.queueid} come too soon after each other")
        await asyncio.sleep(job.behaviour.parameters["delay_seconds"])
        if job.finished_at is None and not job.is_ready(now):
            return json_response(RECONNECT)
        if job.made is None:
            raise Refused("the result is forgotten", error="the result is gone", violation=False)
        return await self._answer(Turn(request=request, behaviour=job.behaviour, key=key, job=job), job)

    async def _answer(self, turn: Turn, job: Job) -> web.StreamResponse:
        """Answer the poll for a job that is ready."""
        scene, limit = SCENES[job.behaviour.name], job.behaviour.parameters.get("polls")
        plays = scene.plays(GET_RESULT, job.behaviour) and (limit is None or job.wrong_answers < limit)
        if not plays or (scene.final and limit is None):
            self.jobs.finish(job)
        left = job.behaviour.parameters["photos_left"]
        right = finished(turn, photos_left=self.jobs.photos_left if left is None else left)
        if not plays:
            return json_response(right)
        job.wrong_answers += 1
        return await scene.answers(
            Turn(request=turn.request, behaviour=turn.behaviour, key=turn.key, job=job, right=right)
        )

    async def _download(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        self.jobs.gauge.downloads += 1
        job = self.jobs.with_picture(request.match_info.get("name") or request.query.get("f", ""))
        if job is None:
            raise Refused("there is no such file", error="not found", status=404)
        entry |= {"queueid": job.queueid, "behaviour": job.behaviour.name}
        key = bearer_of(request)
        if key is not None and not job.key_demanded:
            self.stage.journal.violation(entry, "the API key was sent to a download that asked for none")
        if job.is_forgotten(asyncio.get_running_loop().time()):
            return web.Response(status=410, text="Gone")
        return await SCENES[job.behaviour.name].downloads(
            Turn(request=request, behaviour=job.behaviour, key=key or "", job=job)
        )

    async def _unknown_path(self, request: web.Request, _entry: Entry) -> web.StreamResponse:
        raise Refused(f"there is no {request.method} {request.path}", error="not found", status=404)

    async def _fetches(self, _request: web.Request) -> web.Response:
        return web.json_response(list(self.fetcher.made))

    async def _forget_fetches(self, _request: web.Request) -> web.Response:
        self.fetcher.made.clear()
        return web.Response(status=204)

    def _choose(self, entry: Entry, seen: Seen) -> Behaviour:
        behaviour = self.stage.scenarios.choose(seen)
        entry["behaviour"] = behaviour.name
        return behaviour

    def _complain(self, entry: Entry) -> Callable[[str], None]:
        return lambda message: self.stage.journal.violation(entry, message)

    def _checked_key(self, request: web.Request) -> str:
        key = bearer_of(request)
        if key is None:
            raise Refused("there is no Authorization: Bearer", error="Unauthorized", status=401)
        if key != KEY and not self.stage.scenarios.names_key(key):
            raise Refused("the key is unknown", error="Unauthorized", status=401, violation=False)
        return key

    def _checked_job(self, queueid: str | None, *, method: Method, key: str) -> Job:
        if queueid is None or not (queueid.isascii() and queueid.isdecimal() and len(queueid) < 20):
            raise Refused("queueid must be a whole number")
        job = self.jobs.find(int(queueid))
        if job is None or job.key != key:
            raise Refused(f"there is no queueid {queueid}", error="queueid_error")
        if job.asked.method is not method:
            raise Refused(f"queueid {queueid} is one of {job.asked.method.name}", error="queueid_error")
        return job
