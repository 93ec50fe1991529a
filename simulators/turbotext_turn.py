"""A request to Turbotext whose turn has come, and the scenes that can be played with it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from simulators import turns
from simulators.scenarios import Behaviour, Parameters
from simulators.turbotext_jobs import Job
from simulators.turbotext_pictures import Made
from simulators.turbotext_request import CREATE_QUEUE, GET_RESULT

JSON_TYPE = "application/json; charset=utf-8"
RECONNECT = {"action": "reconnect"}


@dataclass(frozen=True, kw_only=True)
class Turn(turns.Turn):
    """A well-formed request to Turbotext; its time to be answered has come."""

    right: Any = None
    """The JSON that would be the right answer; None where there is no job yet."""
    job: Job | None = None

    @property
    def root(self) -> str:
        """What the vendor's address is in reality, with a slash at its end."""
        return root_of(self.request)

    @property
    def made(self) -> Made:
        """The job's picture."""
        assert self.job is not None
        assert self.job.made is not None
        return self.job.made


Play = Callable[[Turn], Awaitable[web.StreamResponse]]


async def gives_right(turn: Turn) -> web.StreamResponse:
    """The right answer."""
    return json_response(turn.right)


async def gives_picture(turn: Turn) -> web.StreamResponse:
    """The whole picture."""
    return web.Response(body=turn.made.data, content_type=turn.made.mime)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One behaviour: another answer than the right one, in the phase `at`; another download than the whole picture."""

    answers: Play = gives_right
    at: str = GET_RESULT
    """A parameter `at` goes before it."""
    without_job: bool = False
    """At create_queue: answered before anything is fetched, queued or charged."""
    final: bool = True
    """At get_result: whether the client can take it for the end of the job."""
    downloads: Play = gives_picture
    paints: bool = True
    """Whether the pictures are decoded, and so checked, at all."""
    parameters: Parameters = field(default_factory=dict)

    def plays(self, phase: str, behaviour: Behaviour) -> bool:
        """Whether this phase has the scene's answer instead of the right one."""
        return bool(behaviour.parameters.get("at", self.at) == phase)


def json_response(document: Any, *, status: int = 200) -> web.Response:
    """A document as an answer."""
    return web.Response(body=json.dumps(document).encode(), status=status, headers={"Content-Type": JSON_TYPE})


def says(document: Callable[[Turn], Any], **scene: Any) -> Scene:
    """A scene with this JSON as its answer."""

    async def play(turn: Turn) -> web.StreamResponse:
        return json_response(document(turn))

    return Scene(answers=play, **scene)


def says_once_queued(document: Callable[[Turn], Any]) -> Scene:
    """A scene that answers the create_queue of a job with this JSON."""
    return says(document, at=CREATE_QUEUE)


def sends(body: Callable[[Turn], bytes], *, content_type: str, status: int = 200, **scene: Any) -> Scene:
    """A scene with these bytes as its answer."""

    async def play(turn: Turn) -> web.StreamResponse:
        return web.Response(body=body(turn), status=status, headers={"Content-Type": content_type})

    return Scene(answers=play, **scene)


def finished(turn: Turn, *, photos_left: int) -> Mapping[str, Any]:
    """The right answer to the get_result of a job that is done."""
    job, made = turn.job, turn.made
    assert job is not None
    known: Mapping[str, Any] = {
        **job.asked.values,
        "image": [relative_link(job)],
        "prompt": job.asked.content,
        "pattern_prompt": "",
        "width": made.width,
        "height": made.height,
        "seed": job.asked.seed,
        "strength": int(job.asked.values.get("strength", 40)),
        "scale": float(job.asked.values.get("scale", 7.5)),
        "user_id": int(job.asked.values.get("user_id", 1)),
        # The vendor's samples write it either way; as text it is true for whoever does not look closely.
        "forbidden_content": "False" if job.asked.method.name == "deepfake_photo" else False,
    }
    return {
        "success": True,
        "error": "",
        "data": {name: known[name] for name in job.asked.method.answers},
        "uploaded_image": absolute_link(turn),
        "limits": {"foto_limit": photos_left, "text_limit": 300},
    }


def absolute_link(turn: Turn) -> str:
    """The picture's whole URL."""
    assert turn.job is not None
    return f"{turn.root}download.php?f={turn.job.name}"


def relative_link(job: Job) -> str:
    """The picture's path below the vendor's root, as `data.image` has it."""
    return f"image/{job.name}"


def root_of(request: web.Request) -> str:
    """The simulator's own root, as whoever asks sees it."""
    return f"{request.scheme}://{request.host}/turbotext/"
