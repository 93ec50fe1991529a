"""A call's pictures: the photo and the slot's templates, prepared; and links to them where the provider fetches."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import plain_files, provider_media
from photochanger.errors import Failure, PictureError, Refusal
from photochanger.images import PreparedPicture
from photochanger.job import Job
from photochanger.provider_media import MediaObject
from photochanger.providers import InputLimits, Operation, Provider
from runner.workshop import Workshop

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What goes into a call."""

    photo: PreparedPicture
    templates: Mapping[str, PreparedPicture]
    links: Mapping[str, str] = field(default_factory=dict)


Write = Callable[[Callable[[AsyncConnection], Awaitable[T]]], Awaitable[T]]
"""A transaction that is made again while the database is away."""


async def prepare(
    shop: Workshop, job: Job, provider: Provider, operation: Operation, *, name: str, write: Write[Any]
) -> Inputs:
    """Everything under `work/<name>…`, upright and within the provider's limits.

    Raises `PictureError` for the photo, `Refusal` for a file that is missing, and for a template that cannot be used.
    """
    work, limits = shop.media.folder("work"), provider.input
    try:
        photo = await shop.pictures.prepare(
            shop.media.path_of(job.photo_path), work, name=f"{name}-photo", limits=limits
        )
    except FileNotFoundError as error:
        shop.media.check_root()
        raise Refusal(Failure.MEDIA_LOST, "The photo's file is missing.") from error
    templates = {}
    for role, template in (await _templates(shop, job, operation, write)).items():
        templates[role] = await _prepared_template(shop, template, role=role, name=f"{name}-{role}", limits=limits)
    if not operation.requires_public_media:
        return Inputs(photo=photo, templates=templates)
    links = await _links(shop, job, {**templates, "photo": photo}, write)
    return Inputs(photo=photo, templates=templates, links=links)


async def _templates(shop: Workshop, job: Job, operation: Operation, write: Write[Any]) -> dict[str, MediaObject]:
    """Those of the job's snapshot that the operation needs, by role. One may have been deleted since."""
    if not operation.media_roles:
        return {}
    bound: Mapping[str, str] = job.snapshot.get("template_media", {})
    wanted = {role: bound.get(role) for role in operation.media_roles}
    ids = [media_id for media_id in wanted.values() if media_id]
    known: dict[str, MediaObject] = await write(lambda conn: provider_media.templates(conn, ids))
    found = {}
    for role, media_id in wanted.items():
        if media_id is None:
            raise Refusal(Failure.MEDIA_LOST, f"The slot has no template picture for {role!r}.")
        if media_id not in known:
            raise Refusal(Failure.MEDIA_LOST, f"The template picture for {role!r} was deleted: {media_id}.")
        found[role] = known[media_id]
    return found


async def _prepared_template(
    shop: Workshop, template: MediaObject, *, role: str, name: str, limits: InputLimits
) -> PreparedPicture:
    """Raises `Refusal` naming role and template: nothing is wrong with the booth's photo."""
    named = f"The template picture for {role!r}"
    missing = Refusal(Failure.MEDIA_LOST, f"{named} is missing: {template.media_object_id}.")
    if template.path is None:
        raise missing
    file = shop.media.path_of(template.path)
    try:
        return await shop.pictures.prepare(file, shop.media.folder("work"), name=name, limits=limits)
    except FileNotFoundError as error:
        raise missing from error
    except PictureError as error:
        raise Refusal(Failure.MEDIA_LOST, f"{named} cannot be used: {template.media_object_id}. {error}") from error


async def _links(
    shop: Workshop, job: Job, pictures: Mapping[str, PreparedPicture], write: Write[Any]
) -> dict[str, str]:
    """Public links by role: file first, then row."""
    base = shop.administration.links_base_url
    if base is None:
        raise Refusal(
            Failure.INTERNAL_ERROR, "PUBLIC_MEDIA_BASE_URL is not set, and this provider fetches its pictures."
        )
    return {role: f"{base}{await _link(shop, job, picture, write)}" for role, picture in pictures.items()}


async def _link(shop: Workshop, job: Job, picture: PreparedPicture, write: Write[Any]) -> str:
    media_id = provider_media.new_media_id()
    path = f"provider/{media_id}{picture.path.suffix}"
    await asyncio.to_thread(shop.media.keep_also, picture.path, path)
    digest = await asyncio.to_thread(lambda: hashlib.sha256(plain_files.read(picture.path)).digest())
    await write(
        lambda conn: provider_media.publish(
            conn,
            media_id=media_id,
            job_id=job.job_id,
            path=path,
            mime=picture.mime,
            size_bytes=picture.size_bytes,
            sha256=digest,
        )
    )
    return f"/public/provider-media/{media_id}"
