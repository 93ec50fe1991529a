"""`GET /metrics`: what this machine's processes have counted, and what the rows tell, in Prometheus's text format.

The rows are the whole installation's: with several hosts each of them tells the same.
"""

import asyncio
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from api.observers import check_observer
from api.row_figures import row_families
from api.state import services
from photochanger import metrics_files
from photochanger.vitals import Vitals


async def metrics_text(request: Request) -> Response:
    """All families. 403 for strangers. Without the database: what the processes have counted."""
    await check_observer(request)
    found = await services(request).row_figures.vitals()
    body = await asyncio.to_thread(_text, found)
    return Response(body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"})


def _text(found: Vitals | None) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Families(found))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, found: Vitals | None) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        yield from metrics_files.families()
        yield from row_families(self._found)
