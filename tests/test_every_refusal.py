"""After every refusal of an upload: no file or descriptor, one line of log, no traceback, no secret; all is well."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from structlog.testing import capture_logs

from photochanger.media import MARKER
from tests.circumstances import Place
from tests.lags import HEALTH_SECONDS, health
from tests.outages import Outage
from tests.raw_http import RawAnswer, connect, eventually
from tests.refused_uploads import REFUSED, Refused
from tests.serving import PASSWORD, Api
from tests.upload_traces import descriptors

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(api: Api, postgres_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr("api.refusals.DISCARD_SECONDS", 0.3)
    return Place(api=api, outage=Outage(postgres_url, database_url), patch=monkeypatch)


def files(folder: Path) -> list[str]:
    """All below the folder of this installation, wherever its disk has gone."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != MARKER)


def open_below(folder: Path) -> list[str]:
    return [target for target in descriptors() if target.startswith(str(folder))]


def connections(api: Api) -> int:
    """How many the API has that came to its port."""
    port = urlsplit(api.url).port
    return sum(one.laddr.port == port and bool(one.raddr) for one in psutil.Process().net_connections("tcp"))


async def answered(place: Place, refused: Refused) -> RawAnswer:
    """The answer, with what happens meanwhile."""
    async with connect(place.api.url) as wire:
        happening = asyncio.create_task(refused.meanwhile(place))
        await wire.send(refused.request)
        answer = await wire.answer(seconds=30)
        await happening
        return answer


@pytest.mark.parametrize("name", REFUSED)
async def test_after_a_refusal_nothing_is_left_but_one_line_and_the_api_is_well(
    place: Place, http: httpx.AsyncClient, tmp_path: Path, name: str
) -> None:
    refused = REFUSED[name]
    await refused.before(place)
    before, open_before = files(tmp_path), open_below(tmp_path)
    with capture_logs() as lines:
        answer = await answered(place, refused)
        await eventually(lambda: any(line["event"] == "request_finished" for line in lines))
    assert answer.reason() == refused.outcome
    assert b"Traceback" not in answer.body
    assert answer.headers["cache-control"] == "no-store"
    (line,) = [line for line in lines if line["event"] == "request_finished"]
    assert (line["status"], line["failure_reason"]) == refused.outcome
    for told in (repr(lines), answer.body.decode(), str(answer.headers)):
        assert "CANARY" not in told
        assert PASSWORD.decode() not in told
    await eventually(lambda: files(tmp_path) == before)
    await eventually(lambda: open_below(tmp_path) == open_before)
    await eventually(lambda: connections(place.api) == 0)
    status, seconds = await health(http, place.api)
    assert (status, seconds < HEALTH_SECONDS) == (200 if refused.healthy else 503, True), seconds
