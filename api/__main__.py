"""`photochanger-api`: one API process. With `--fd N` it serves a socket that its supervisor has opened."""

import argparse
import signal
import socket
import sys

import uvicorn

from api.app import build_app
from api.protocol import BoothProtocol
from photochanger import metrics_files
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.startup import run_process

GRACE_SECONDS = 65
"""Longer than the longest deadline: requests that were taken in get their answer before the process ends."""


def main() -> int:
    """The console script."""
    parser = argparse.ArgumentParser(prog="photochanger-api", description=__doc__)
    parser.add_argument("--fd", type=int, help="serve this inherited socket instead of HOST:PORT")
    arguments = parser.parse_args()

    def serve(settings: Settings, providers: Providers, database_url: str) -> int:
        # uvicorn stops in order and then raises the signal once more: that is to end nothing.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server = uvicorn.Server(config(settings, providers, database_url))
        with metrics_files.shared(settings.home, "api"):
            server.run(sockets=None if arguments.fd is None else [socket.socket(fileno=arguments.fd)])
        return 0 if server.started else 1

    return run_process("api", serve)


def config(settings: Settings, providers: Providers, database_url: str) -> uvicorn.Config:
    """How uvicorn serves it: without its access log (each request has its line already), trusting the named proxies."""
    return uvicorn.Config(
        build_app(settings, providers, database_url=database_url),
        host=settings.host,
        port=settings.port,
        http=BoothProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


if __name__ == "__main__":
    sys.exit(main())
