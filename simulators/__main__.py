"""`photochanger simulators`: the providers' stand-ins, for trying out and for loads."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import structlog

from photochanger import logs
from photochanger.command import Command
from photochanger.process import stop_on_signals
from simulators.scenarios import ScenarioMistake
from simulators.server import build_app, serving

log = structlog.get_logger()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen, and what to answer without a scenario."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8090, help="the port to listen on (8090; 0 takes a free one)")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="how long a picture takes (0)")
    parser.add_argument(
        "--instant", action="store_true", help="answer with one ready picture and decode none, for loads"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    logs.configure("simulators")
    default = {"name": "instant" if arguments.instant else "ok", "delay_seconds": arguments.delay}
    try:
        asyncio.run(_serve(default, host=arguments.host, port=arguments.port))
    except (ScenarioMistake, OSError) as error:
        log.error("simulators_not_started", reason=str(error))
        return 1
    return 0


async def _serve(default: Mapping[str, Any], *, host: str, port: int) -> None:
    stopping = stop_on_signals()
    async with serving(build_app(default=default), host=host, port=port) as served:
        log.info("simulators_started", url=served.url, default=default["name"])
        await stopping.wait()
    log.info("simulators_stopped")


command = Command("simulators", "serve stand-ins for the AI providers", add_arguments, run)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="simulators", description=__doc__)
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
