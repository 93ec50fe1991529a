"""A call's pictures: the photo and the slot's templates, prepared; and links to them where the provider fetches."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from photochanger import provider_media
from photochanger.errors import Failure, Refusal
from photochanger.images import PreparedPicture
from photochanger.job import Job
from photochanger.providers import Operation, Provider
from runner.workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What goes into a call."""

    photo: PreparedPicture
    templates: Mapping[str, PreparedPicture]
    links: Mapping[str, str] = field(default_factory=dict)


async def prepare(shop: Workshop, job: Job, provider: Provider, operation: Operation, *, name: str) -> Inputs:
    """Everything under `work/<name>…`, upright and within the provider's limits.

    Raises `PictureError` for the photo, `Refusal` for a file that is missing, and for a template that cannot be used.
    """
    if shop.media.regular_file(job.photo_path) is None:
        raise Refusal(Failure.MEDIA_LOST, "The photo's file is missing.")
    work = shop.media.folder("work")
    photo = await shop.pictures.prepare(
        shop.media.path_of(job.photo_path), work, name=f"{name}-photo", limits=provider.input
    )
    templates = {
        role: await shop.pictures.prepare(shop.media.path_of(path), work, name=f"{name}-{role}", limits=provider.input)
        for role, path in (await _template_paths(shop, job, operation)).items()
    }
    inputs = Inputs(photo=photo, templates=templates)
    if operation.requires_public_media:
        return Inputs(photo=photo, templates=templates, links=await _links(shop, job, {**templates, "photo": photo}))
    return inputs


async def _template_paths(shop: Workshop, job: Job, operation: Operation) -> dict[str, str]:
    bound: Mapping[str, str] = job.snapshot.get("template_media", {})
    wanted = {role: bound.get(role) for role in operation.media_roles}
    async with shop.db.at_once() as conn:
        known = await provider_media.templates(conn, [media_id for media_id in wanted.values() if media_id])
    paths = {}
    for role, media_id in wanted.items():
        if media_id is None:
            raise Refusal(Failure.MEDIA_LOST, f"The slot has no template picture for {role!r}.")
        template = known.get(media_id)
        if template is None or template.path is None or shop.media.regular_file(template.path) is None:
            raise Refusal(Failure.MEDIA_LOST, f"The template picture for {role!r} is missing.")
        paths[role] = template.path
    return paths


async def _links(shop: Workshop, job: Job, pictures: Mapping[str, PreparedPicture]) -> dict[str, str]:
    """Public links by role: file first, then row."""
    base = shop.settings.public_base_url
    if base is None:
        raise Refusal(
            Failure.INTERNAL_ERROR, "PUBLIC_MEDIA_BASE_URL is not set, and this provider fetches its pictures."
        )
    links = {}
    for role, picture in pictures.items():
        media_id = provider_media.new_media_id()
        path = f"provider/{media_id}{picture.path.suffix}"
        await asyncio.to_thread(shop.media.keep_also, picture.path, path)
        digest = await asyncio.to_thread(lambda file: hashlib.sha256(file.read_bytes()).digest(), picture.path)
        async with shop.db.begin() as conn:
            await provider_media.publish(
                conn,
                media_id=media_id,
                job_id=job.job_id,
                path=path,
                mime=picture.mime,
                size_bytes=picture.size_bytes,
                sha256=digest,
            )
        links[role] = f"{base}/public/provider-media/{media_id}"
    return links
