"""Administrators' uploads for tests: forms as programs send them, and what lies under MEDIA_ROOT."""

import hashlib
from typing import Any

import httpx
from sqlalchemy import select

from photochanger import templates
from photochanger.db import Database
from photochanger.images import CheckedResult
from photochanger.media import MARKER, Media
from photochanger.tables import processing_log
from photochanger.templates import Template
from tests.administrators import bearer
from tests.booths import photo_bytes
from tests.serving import Api

REGISTER = ("/api/template-media/register", "/api/media/register")


async def upload(
    api: Api,
    http: httpx.AsyncClient,
    picture: bytes,
    *,
    path: str = REGISTER[0],
    file_name: str = "style.jpg",
    **fields: str,
) -> httpx.Response:
    """Post it as an administrator's program does."""
    files = {"file": (file_name, picture, "image/jpeg")}
    return await http.post(f"{api.url}{path}", files=files, data=fields, headers=await bearer(api))


async def registered(api: Api, http: httpx.AsyncClient, picture: bytes | None = None) -> str:
    """The id of a template made of this picture, or of one that nobody has seen."""
    answer = await upload(api, http, picture or photo_bytes())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["media_object_id"])


def checked(media_id: str, *, mark: bytes = b"\x01") -> CheckedResult:
    """A picture that was checked, for rows that need no file; `mark` tells two apart."""
    return CheckedResult(
        file_name=f"{media_id}.jpg",
        preview_name=f"{media_id}.webp",
        mime="image/jpeg",
        width=640,
        height=480,
        size_bytes=1000,
        sha256=hashlib.sha256(mark).digest(),
    )


async def template_row(db: Database, media_id: str, *, mark: bytes = b"\x01", title: str | None = None) -> Template:
    """Register without a file."""
    async with db.begin() as conn:
        picture = checked(media_id, mark=mark)
        return await templates.register(conn, media_object_id=media_id, title=title, picture=picture, by="serg")


def tree(media: Media) -> set[str]:
    """Every file under MEDIA_ROOT."""
    return {
        str(path.relative_to(media.root)) for path in media.root.rglob("*") if not path.is_dir() and path.name != MARKER
    }


async def audit_lines(db: Database) -> list[Any]:
    """What administrators did, the oldest line first."""
    query = select(processing_log).where(processing_log.c.actor.is_not(None)).order_by(processing_log.c.at)
    async with db.at_once() as conn:
        return list(await conn.execute(query))
