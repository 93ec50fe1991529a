"""What an API process logs: one line a request, with its outcome, and never a password."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.booths import post_photo
from tests.postings import PHOTO, PICTURE
from tests.raw_http import queued
from tests.results import claimed_job, finish_job
from tests.serving import PASSWORD, SIGNING_KEY, Api

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def process(environment: dict[str, str]) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """An API process of its own, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api", "--fd", str(listening.fileno()),
            env={**os.environ, "SIGNING_KEY": SIGNING_KEY, **environment},
            pass_fds=[listening.fileno()], stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", serving
        finally:
            if serving.returncode is None:
                serving.kill()
                await serving.wait()


async def test_each_request_is_one_line_of_log_without_a_password(
    api: Api, http: httpx.AsyncClient, database_url: str, tmp_path: Path
) -> None:
    home = {"PHOTOCHANGER_HOME": f"{tmp_path}/home", "MEDIA_ROOT": str(api.media.root), "DATABASE_URL": database_url}
    home["SIGNING_KEY"] = SIGNING_KEY
    fields = {"name": "one\ntwo\r\nthree\u2028four", "q1\nq2": "FIELDCANARY"}
    async with process(home) as (url, serving):
        paths = {
            "/ingest/slot-001%0Aevent=forged": "not_found",
            "/ingest/slot-016?password=QUERYCANARY": "slot_not_found",
        }
        expected: list[tuple[int, str | None, httpx.Response]] = [
            (404, reason, await http.post(url + path, content=b"x")) for path, reason in paths.items()
        ]
        refused: list[tuple[dict[str, Any], int, str]] = [
            ({"password": b"WRONGCANARY"}, 401, "invalid_password"),
            ({"password": b"WRONGCANARY" * 100}, 401, "invalid_password"),
            ({"hash_": "HASHCANARY"}, 400, "hash_mismatch"),
            ({"headers": {"Idempotency-Key": "x" * 256}}, 400, "invalid_request"),
        ]
        for options, status, reason in refused:
            expected.append((status, reason, await post_photo(http, url, PHOTO, fields=fields, **options)))
        waiting = asyncio.create_task(post_photo(http, url, PHOTO, fields=fields))
        await queued(api)
        claimed = await claimed_job(api)
        assert await finish_job(api, claimed, PICTURE)
        expected.append((200, None, await waiting))
        await http.get(f"{url}/livez")
        serving.send_signal(signal.SIGTERM)
        _, said = await asyncio.wait_for(serving.communicate(), 10)
    assert [answer.status_code for _, _, answer in expected] == [status for status, _, _ in expected]
    lines = [json.loads(line) for line in said.decode().splitlines()]
    finished = [line for line in lines if line["event"] == "request_finished"]
    assert [(line["status"], line.get("failure_reason")) for line in finished] == [
        (status, reason) for status, reason, _ in expected
    ]
    assert {"slot": "slot-001", "job": claimed.job_id, "joined": False}.items() <= finished[-1].items()
    assert not re.search(rb"CANARY|%b" % PASSWORD, said)
    assert b"Traceback" not in said
