"""How tests and people talk to the simulators themselves: `/__emu/…`.

POST | DELETE  /__emu/{provider}/scenario     add a rule (scenarios.py) · forget all rules
GET            /__emu/{provider}/stats        requests, in_flight, max_in_flight, billed
GET | DELETE   /__emu/requests                what all simulators were asked · forget it
GET | DELETE   /__emu/violations              what they had to refuse as malformed: each one fails a test · forget it
"""

import json
from collections.abc import Iterable

from aiohttp import web

from simulators.scenarios import ScenarioMistake
from simulators.stage import Journal, Stage


def routes(journal: Journal, stages: Iterable[Stage]) -> list[web.RouteDef]:
    """The routes for the journal and for each simulator."""

    async def requests(_request: web.Request) -> web.Response:
        return web.json_response(list(journal.requests))

    async def forget_requests(_request: web.Request) -> web.Response:
        journal.requests.clear()
        return web.Response(status=204)

    async def violations(_request: web.Request) -> web.Response:
        return web.json_response(list(journal.violations))

    async def forget_violations(_request: web.Request) -> web.Response:
        journal.violations.clear()
        return web.Response(status=204)

    return [
        web.get("/__emu/requests", requests),
        web.delete("/__emu/requests", forget_requests),
        web.get("/__emu/violations", violations),
        web.delete("/__emu/violations", forget_violations),
        *(route for stage in stages for route in _routes_of(stage)),
    ]


def _routes_of(stage: Stage) -> list[web.RouteDef]:
    async def add_scenario(request: web.Request) -> web.Response:
        try:
            stage.scenarios.add(json.loads(await request.read()))
        except (ScenarioMistake, ValueError, RecursionError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({}, status=201)

    async def reset_scenarios(_request: web.Request) -> web.Response:
        stage.scenarios.reset()
        return web.Response(status=204)

    async def stats(_request: web.Request) -> web.Response:
        return web.json_response(stage.gauge.as_json())

    return [
        web.post(f"/__emu/{stage.provider}/scenario", add_scenario),
        web.delete(f"/__emu/{stage.provider}/scenario", reset_scenarios),
        web.get(f"/__emu/{stage.provider}/stats", stats),
    ]
