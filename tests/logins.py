"""Logging in over HTTP, and the lines it leaves."""

from typing import Any

import httpx
from sqlalchemy import select

from photochanger.tables import processing_log
from tests.administrators import ADMIN_PASSWORD
from tests.serving import Api


async def login(http: httpx.AsyncClient, api: Api, username: Any = "serg", password: Any = ADMIN_PASSWORD) -> Any:
    return await http.post(f"{api.url}/api/login", json={"username": username, "password": password})


async def lines(api: Api, event: str) -> list[Any]:
    async with api.db.at_once() as conn:
        return list(await conn.execute(select(processing_log).where(processing_log.c.event == event)))
