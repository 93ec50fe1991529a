"""What can be wrong when an upload comes: the slot, the settings, the disk, the database, the provider."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import pytest
from sqlalchemy import text, update

from api.passwords import WRONG_LIMIT
from photochanger import app_settings
from photochanger.errors import Failure, Refusal
from photochanger.tables import slot
from tests.outages import Outage
from tests.postings import fail_job
from tests.raw_http import queued
from tests.results import claimed_job
from tests.serving import Api
from tests.upload_traces import limit_megabytes


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where it happens, and what can be done to it."""

    api: Api
    outage: Outage
    patch: pytest.MonkeyPatch


Happening = Callable[[Place], Coroutine[None, None, None]]


async def nothing(_place: Place) -> None:
    """All is well."""


async def switch_off(place: Place) -> None:
    async with place.api.db.begin() as conn:
        await conn.execute(update(slot).values(is_active=False))


async def one_megabyte(place: Place) -> None:
    await limit_megabytes(place.api, 1)


async def no_password(place: Place) -> None:
    async with place.api.db.begin() as conn:
        await app_settings.store(conn, "ingest.password_hash", None, by="test")


async def full_slot(place: Place) -> None:
    async with place.api.db.begin() as conn:
        await app_settings.store(conn, "ingest.photos_in_work_per_slot", 0, by="test")


async def guessed_too_often(place: Place) -> None:
    for _ in range(WRONG_LIMIT):
        with pytest.raises(Refusal):
            await place.api.services.passwords.check(b"a guess", kept=(), address="127.0.0.1")


async def impatient(place: Place) -> None:
    place.patch.setattr("api.upload.SILENCE_SECONDS", 0.3)


async def slow_is_too_slow(place: Place) -> None:
    place.patch.setattr("api.upload.RATE_WINDOW_SECONDS", 0.0)
    place.patch.setattr("api.upload.LEAST_BYTES_PER_SECOND", 1 << 40)


async def one_second(place: Place) -> None:
    async with place.api.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", 1, by="test")


async def no_room(place: Place) -> None:
    place.patch.setattr("photochanger.media.LEAST_FREE_BYTES", 1 << 60)


async def no_folder(place: Place) -> None:
    folder = place.api.media.folder("ingest")
    folder.rename(folder.with_name("ingest-away"))


async def disk_away(place: Place) -> None:
    place.api.media.root.rename(place.api.media.root.with_name("away"))


async def database_away(place: Place) -> None:
    await place.outage.begin()


async def mistake_of_ours(place: Place) -> None:
    async with place.api.db.begin() as conn:
        await conn.execute(text("ALTER TABLE job_input RENAME TO lost"))


def failing(failure: Failure) -> Happening:
    async def fail(place: Place) -> None:
        await queued(place.api)
        await fail_job(place.api, await claimed_job(place.api), failure, "The provider said so.")

    return fail
