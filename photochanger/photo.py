"""A photo on its way in: the file that lies in `ingest/`, and the order that becomes a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from photochanger.job import Source
from photochanger.media import Media
from photochanger.picture_header import read_header
from photochanger.providers import Providers


@dataclass(frozen=True, kw_only=True)
class StoredPhoto:
    """A picture in `ingest/` whose type and pixels are known from its content."""

    path: str
    """Relative to MEDIA_ROOT."""
    mime: str
    size_bytes: int
    width: int
    height: int
    sha256: bytes


def stored_photo(media: Media, path: str, *, size_bytes: int, sha256: bytes) -> StoredPhoto:
    """What its header says of a file in `ingest/`. Reads it: for a thread. Raises `Refusal` for what is no photo."""
    header = read_header(media.path_of(path))
    return StoredPhoto(
        path=path, mime=header.mime, size_bytes=size_bytes, width=header.width, height=header.height, sha256=sha256
    )


@dataclass(frozen=True, kw_only=True)
class NewPhoto:
    """A photo that has passed every check and lies in `ingest/`."""

    job_id: str
    source: str
    slot_id: str
    slot_version: int | None
    """None: these settings were never saved."""
    provider: str
    snapshot: Mapping[str, Any]
    booth_fields: Mapping[str, str]
    photo_path: str
    """Relative to MEDIA_ROOT."""
    mime: str
    size_bytes: int
    width: int
    height: int
    sha256: bytes
    idempotency_key: str | None
    age_seconds: float
    """From the request's arrival to the beginning of the transaction that takes it in."""
    sync_response_seconds: int
    least_seconds: float
    """The shortest time the provider needs: later than that before the deadline nothing is started."""
    max_attempts: int
    replay_of: str | None = None
    """The job that an administrator runs again."""


def new_photo(
    providers: Providers,
    stored: StoredPhoto,
    *,
    job_id: str,
    source: Source,
    snapshot: Mapping[str, Any],
    booth_fields: Mapping[str, str],
    age_seconds: float,
    sync_response_seconds: int,
    idempotency_key: str | None = None,
    replay_of: str | None = None,
) -> NewPhoto:
    """The order: what the snapshot says of provider and repeats, and the photo. Raises `KeyError` for a provider,
    operation or model that providers.json does not have.
    """
    provider, _ = providers.get(snapshot["provider"], snapshot["operation"])
    settings = snapshot["settings"]
    return NewPhoto(
        job_id=job_id,
        source=source,
        slot_id=snapshot["slot_id"],
        slot_version=snapshot["slot_version"],
        provider=provider.name,
        snapshot=snapshot,
        booth_fields=booth_fields,
        photo_path=stored.path,
        mime=stored.mime,
        size_bytes=stored.size_bytes,
        width=stored.width,
        height=stored.height,
        sha256=stored.sha256,
        idempotency_key=idempotency_key,
        age_seconds=age_seconds,
        sync_response_seconds=sync_response_seconds,
        least_seconds=provider.model(settings).least_seconds,
        max_attempts=1 + settings.get("retries", 1),
        replay_of=replay_of,
    )
