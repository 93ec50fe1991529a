"""The settings' API as an administrator's program uses it."""

from typing import Any

import httpx

from photochanger import audit
from tests.serving import Api
from tests.test_contract import check


class Settings:
    """The settings' API as one administrator uses it."""

    def __init__(self, api: Api, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.api = api
        self._http = http
        self._headers = headers

    async def ask(self, method: str, path: str = "", **options: Any) -> httpx.Response:
        return await self._http.request(method, f"{self.api.url}/api/settings{path}", headers=self._headers, **options)

    async def get(self) -> dict[str, Any]:
        answer = await self.ask("GET")
        assert answer.status_code == 200, answer.text
        check(answer.json(), "Settings")
        found: dict[str, Any] = answer.json()
        return found

    async def put(self, body: Any = None, /, **changes: Any) -> httpx.Response:
        return await self.ask("PUT", json=changes if body is None else body)

    async def saved(self, body: Any = None, /, **changes: Any) -> dict[str, Any]:
        answer = await self.put(body, **changes)
        assert answer.status_code == 200, answer.text
        check(answer.json(), "Settings")
        found: dict[str, Any] = answer.json()
        return found

    async def lines(self) -> list[tuple[str, dict[str, Any]]]:
        """The audit's, the oldest first."""
        async with self.api.db.begin() as conn:
            return [(line.event, dict(line.details)) for line in reversed(await audit.latest(conn))]
