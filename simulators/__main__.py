"""`photochanger simulators`: the providers' stand-ins, for trying out and for loads."""

import argparse
import asyncio
import sys

import structlog
from aiohttp import web

from photochanger import logs
from photochanger.command import Command
from photochanger.process import stop_on_signals
from simulators.scenarios import ScenarioMistake
from simulators.server import build_app, serving
from simulators.turbotext_request import OBJECT_REPLACE

log = structlog.get_logger()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen, and what to answer without a scenario."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8090, help="the port to listen on (8090; 0 takes a free one)")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="how long a picture takes (0)")
    parser.add_argument(
        "--instant", action="store_true", help="answer with one ready picture and decode none, for loads"
    )
    parser.add_argument(
        "--object-replace-method", default=OBJECT_REPLACE, metavar="NAME", help=f"Turbotext's method ({OBJECT_REPLACE})"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    logs.configure("simulators")
    default = {"name": "instant" if arguments.instant else "ok", "delay_seconds": arguments.delay}
    try:
        app = build_app(default=default, object_replace_method=arguments.object_replace_method)
        asyncio.run(_serve(app, host=arguments.host, port=arguments.port, default=default["name"]))
    except (ScenarioMistake, OSError) as error:
        log.error("simulators_not_started", reason=str(error))
        return 1
    return 0


async def _serve(app: web.Application, *, host: str, port: int, default: str) -> None:
    stopping = stop_on_signals()
    async with serving(app, host=host, port=port) as served:
        log.info("simulators_started", url=served.url, default=default)
        await stopping.wait()
    log.info("simulators_stopped")


command = Command("simulators", "serve stand-ins for the AI providers", add_arguments, run)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="simulators", description=__doc__)
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
