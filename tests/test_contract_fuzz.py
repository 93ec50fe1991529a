"""Everything the contract promises, asked for by schemathesis over real HTTP: good and bad values for every operation.

The operations come from `api/openapi.yaml`: one that is added there is asked for without a line here. Every request is
logged in with a session of its own (a logout would end a common one). An operation that needs another header to be more
than refused gets it in `given`.

Ingest is asked for as well: no photo made up here has the right password, so none is taken in and nothing waits.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.contract import document
from photochanger.sessions import Tokens
from tests import postgres
from tests.processes import environment_for
from tests.serving import SIGNING_KEY

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 12
UP_SECONDS = 30.0

contract = schemathesis.openapi.from_dict(document())


@dataclass(frozen=True)
class Served:
    """An API process of its own, and its database."""

    url: str
    database_url: str

    def given(self, path: str) -> dict[str, str]:
        """The headers that an operation needs to be more than refused."""
        del path
        return {"Authorization": f"Bearer {self._token()}"}

    def _token(self) -> str:
        tokens = Tokens(SIGNING_KEY)
        token = tokens.new()
        with psycopg.connect(self.database_url) as connection:
            connection.execute(
                "INSERT INTO session (session_id, kind, account) VALUES (%s, 'bearer', 'serg')",
                [tokens.session_id(token)],
            )
        return token


@pytest.fixture(scope="module")
def served(postgres_url: str, schema_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("contract")
    with (
        postgres.database(postgres_url, template=schema_template) as database_url,
        closing(socket.create_server(("127.0.0.1", 0))) as listening,
        (folder / "log").open("wb") as log,
    ):
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "api", "--fd", str(listening.fileno())],
            env=environment_for(folder, database_url),
            stderr=log,
            pass_fds=[listening.fileno()],
        )
        try:
            give_up = time.monotonic() + UP_SECONDS
            while True:
                try:
                    httpx.get(f"{url}/livez", timeout=2, trust_env=False).raise_for_status()
                    break
                except httpx.HTTPError:
                    assert time.monotonic() < give_up
            yield Served(url, database_url)
            told = (folder / "log").read_text()
            assert "request_crashed" not in told, told
        finally:
            process.kill()
            process.wait()


@contract.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_is_one_that_the_contract_promises(case: Any, served: Served) -> None:
    case.call_and_validate(base_url=served.url, headers=served.given(case.path), checks=CHECKS, timeout=30)
