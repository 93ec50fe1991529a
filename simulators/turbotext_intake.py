"""How a job's pictures come in: downloaded from the URLs, decoded, and painted into the one it will give out."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from photochanger.errors import PictureError
from simulators.scenarios import Behaviour
from simulators.turbotext_fetches import Fetcher, FetchFailed, Note
from simulators.turbotext_jobs import Job
from simulators.turbotext_pictures import Made, decode, paint, ready_made
from simulators.turbotext_request import Asked, Refused

Complain = Callable[[str], None]
"""Notes a violation."""


async def take_pictures(
    fetcher: Fetcher, asked: Asked, behaviour: Behaviour, *, paints: bool, complain: Complain
) -> Made:
    """The finished picture; not decoded and from stock, unless it `paints`. Raises `Refused` as url_error."""
    async with fetcher.places:
        fetched: dict[str, bytes] = {}
        declared: dict[str, str | None] = {}
        for name, url in asked.pictures.items():
            note: Note = {"method": asked.method.name, "parameter": name, "again": False}
            try:
                fetched[name] = await fetcher.fetch(url, note, keep=paints)
            except FetchFailed as error:
                raise Refused(f"{name} cannot be fetched: {error}", error="url_error", violation=False) from error
            if note["length"] is None:
                complain(f"{name} came without Content-Length")
            declared[name] = note["mime"]
        if not paints:
            return ready_made(behaviour.parameters["mime"])
        made, mimes = await asyncio.to_thread(_work, fetched, asked, behaviour.parameters)
    for name, mime in mimes.items():
        if declared[name] != mime:
            complain(f"{name} is {mime}, but came as {declared[name]}")
    return made


def watch_links(fetcher: Fetcher, job: Job, *, complain: Complain) -> None:
    """Have the job's URLs fetched once more later, if the scenario says so."""
    after: float | None = job.behaviour.parameters["fetch_again_after_seconds"]
    expires: float | None = job.behaviour.parameters["expires_after_seconds"]
    if after is None:
        return
    dead = expires is not None and after >= expires

    def judge(note: Note) -> None:
        if dead and note["status"] == 200:
            complain(f"{note['parameter']} could still be fetched after {after:g} s")
        elif expires is not None and not dead and note["status"] != 200:
            complain(f"{note['parameter']} could no longer be fetched after {after:g} s")

    for name, url in job.asked.pictures.items():
        note = {"method": job.asked.method.name, "parameter": name, "again": True, "queueid": job.queueid}
        fetcher.again_later(url, note, seconds=after, judge=judge)


def _work(fetched: Mapping[str, bytes], asked: Asked, parameters: Mapping[str, Any]) -> tuple[Made, Mapping[str, str]]:
    """The finished picture, and the real types of those it is made of; runs in a thread."""
    method = asked.method
    photos = {}
    for name, data in fetched.items():
        try:
            to_paint = name == method.photo or method.effect == "paste"
            photos[name] = decode(data, to_paint=to_paint, takes_webp=parameters["takes_webp"])
        except PictureError as error:
            raise Refused(f"{name} is no picture: {error}", error="url_error", violation=False) from error
    second = None if method.second is None else photos.get(method.second)
    made = paint(photos[method.photo], second, effect=method.effect, mime=parameters["mime"], seed=asked.seed)
    return made, {name: photo.mime for name, photo in photos.items()}
