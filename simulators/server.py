"""All simulators behind one address: /gemini speaks as Gemini does, and so on; /__emu is for who directs the play."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulators import admin, gemini_scenes, openai_models, openai_scenes
from simulators.gemini import Gemini
from simulators.gemini_models import models
from simulators.openai import OpenAI
from simulators.scenarios import Scenarios
from simulators.stage import Journal, Stage
from simulators.turbotext import Turbotext
from simulators.turbotext_request import OBJECT_REPLACE

BODY_LIMIT_BYTES = 20 * 1024 * 1024
GOODBYE_SECONDS = 0.5
OK: Mapping[str, Any] = {"name": "ok"}


@dataclass(frozen=True)
class Served:
    """Running simulators. `url` has no slash at its end: `http://127.0.0.1:40123`."""

    url: str


def build_app(
    *,
    default: Mapping[str, Any] = OK,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    serve_retired: bool = False,
    object_replace_method: str = OBJECT_REPLACE,
) -> web.Application:
    """The simulators as one application.

    `default` is the behaviour without a scenario, written as in one; `serve_retired` lets retired models answer;
    `object_replace_method` is what Turbotext's object replacement is called.
    Serve it with `handler_cancellation`, so that nobody waits for a client who has gone. Raises `ScenarioMistake`.
    """
    journal = Journal()
    scenarios = Scenarios(gemini_scenes.CATALOGUE, default=default)
    stage = Stage(provider="gemini", scenarios=scenarios, journal=journal)
    gemini = Gemini(stage=stage, models=models(with_retired=serve_retired), body_limit_bytes=body_limit_bytes)
    openai_stage = Stage(
        provider="openai", scenarios=Scenarios(openai_scenes.CATALOGUE, default=default), journal=journal
    )
    openai = OpenAI(stage=openai_stage, models=openai_models.models(with_retired=serve_retired))
    turbotext = Turbotext(journal=journal, default=default, object_replace_method=object_replace_method)
    app = web.Application(client_max_size=body_limit_bytes + 1)
    app.add_routes(admin.routes(journal, [stage, openai_stage, turbotext.stage]))
    app.add_routes([*gemini.routes(), *openai.routes(), *turbotext.routes()])
    app.cleanup_ctx.append(turbotext.lifespan)
    return app


@asynccontextmanager
async def serving(
    app: web.Application | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Served]:
    """Serve on a real socket of the running event loop; port 0 takes a free one."""
    runner = web.AppRunner(
        build_app() if app is None else app,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=GOODBYE_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        yield Served(f"http://{host}:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
