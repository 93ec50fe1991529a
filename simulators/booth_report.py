"""What comes back to a booth: one answer, the report over all of them, and the lines a person watches.

    Answer ── one shot's: status, reason, seconds, bytes, and `problem` when it is not a whole picture
    Report ── all of them: how many of which outcome, how long they took, pictures a second

A person watches them through Progress, a program reads the report as JSON.
"""

import asyncio
import json
import math
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import aiohttp

MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
FIGURES = ("min", "median", "mean", "p95", "max")
TICK_SECONDS = 0.5
KEPT_BYTES = 64 * 1024
NOT_IN_NAMES = re.compile(r"[^0-9A-Za-z._-]")
CLEAR_LINE = "\r\x1b[K"


def picture_type(start: bytes) -> str | None:
    """The MIME type that a file's first 12 bytes show; None when it is no JPEG, PNG or WEBP."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in MAGIC.items() if start.startswith(magic)), None)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one shot. It is good only without a `problem`: 200 with a whole picture of a known type."""

    slot: str
    booth: int
    number: int
    status: int | None = None
    """None: the server said nothing."""
    failure_reason: str | None = None
    problem: str | None = None
    """A sentence for people; the same for all that failed the same way."""
    seconds: float = 0.0
    """From the first byte of the connection to the last of the answer."""
    sent_bytes: int = 0
    """Of the form; 0 when the server refused by the headers alone."""
    received_bytes: int = 0
    mime: str | None = None
    """By the picture's content, not its header."""
    job_id: str | None = None
    duplicate_of: str | None = None
    """The earlier job this shot was joined with: the server has seen the same file a moment ago."""

    @property
    def outcome(self) -> str:
        """`200`, `504 timeout`; the problem where that says more."""
        if self.status is None or self.status == 200:
            return " ".join(str(part) for part in (self.status, self.problem) if part)
        return " ".join(str(part) for part in (self.status, self.failure_reason or "without a reason"))

    def line(self) -> str:
        """The shot in one line, as a person watches it."""
        parts = [self.slot, self.outcome, f"{self.seconds:.2f} s", f"{self.received_bytes:,} bytes"]
        parts += [f"job {self.job_id}"] if self.job_id else []
        parts += [f"joined {self.duplicate_of}"] if self.duplicate_of else []
        parts += [self.problem] if self.problem and self.problem not in self.outcome else []
        return "  ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All answers of a run, in the order they came."""

    answers: tuple[Answer, ...]
    seconds: float
    """From the first shot to the last answer."""
    interrupted: bool = False

    @property
    def good(self) -> bool:
        """Every shot became a picture."""
        return bool(self.answers) and not self.interrupted and all(answer.problem is None for answer in self.answers)

    def figures(self) -> dict[str, Any]:
        """The summary for a program; `seconds` are of good answers only, each outcome has its own."""
        outcomes = defaultdict(list)
        for answer in self.answers:
            outcomes[answer.outcome].append(answer)
        pictures = [answer for answer in self.answers if answer.problem is None]
        return {
            "photos": len(self.answers),
            "pictures": len(pictures),
            "interrupted": self.interrupted,
            "wall_seconds": round(self.seconds, 3),
            "pictures_per_second": round(len(pictures) / self.seconds, 3) if self.seconds else 0.0,
            "sent_bytes": sum(answer.sent_bytes for answer in self.answers),
            "received_bytes": sum(answer.received_bytes for answer in self.answers),
            "seconds": spread([answer.seconds for answer in pictures]),
            "outcomes": [
                {
                    "outcome": outcome,
                    "status": same[0].status,
                    "failure_reason": same[0].failure_reason,
                    "photos": len(same),
                    "seconds": spread([answer.seconds for answer in same]),
                }
                for outcome, same in sorted(outcomes.items(), key=lambda item: -len(item[1]))
            ],
        }

    def as_json(self) -> str:
        """The figures as indented JSON."""
        return json.dumps(self.figures(), indent=2, ensure_ascii=False)

    def table(self) -> str:
        """The summary for a person: a line an outcome, then the whole."""
        figures = self.figures()
        rows = ["photos" + "".join(f"{name:>9}" for name in ("min", "median", "mean", "95 %", "max")) + "  outcome"]
        for outcome in figures["outcomes"]:
            seconds = "".join(f"{outcome['seconds'][name]:>9.2f}" for name in FIGURES)
            rows.append(f"{outcome['photos']:>6}{seconds}  {outcome['outcome']}")
        rows.append(
            f"{figures['pictures']} of {figures['photos']} photos changed in {self.seconds:.1f} s, "
            f"{figures['pictures_per_second']:.2f} a second; "
            f"{figures['sent_bytes'] / 1e6:.1f} MB sent, {figures['received_bytes'] / 1e6:.1f} MB received"
        )
        return "\n".join([*rows, "Interrupted: the summary so far."] if self.interrupted else rows)


async def read_answer(response: aiohttp.ClientResponse, answer: Answer, *, save: Path | None) -> Answer:
    """Read a response to its end and judge it; a picture goes into the folder `save`. Holds no picture otherwise."""
    received_bytes, kept, cut_short = 0, bytearray(), False
    try:
        async for chunk in response.content.iter_chunked(KEPT_BYTES):
            received_bytes += len(chunk)
            if save is not None or len(kept) < KEPT_BYTES:
                kept += chunk
    except aiohttp.ClientPayloadError:
        cut_short = True
    answer = replace(
        answer,
        status=response.status,
        received_bytes=received_bytes,
        job_id=response.headers.get("X-Job-Id"),
        duplicate_of=response.headers.get("X-Duplicate-Of"),
    )
    if response.status != 200:
        return _refused(answer, bytes(kept))
    answer = replace(answer, mime=picture_type(bytes(kept[:12])))
    if cut_short or response.content_length != received_bytes:
        return replace(answer, problem="the answer is cut short, or does not say its length")
    if answer.mime is None:
        return replace(answer, problem="the answer is not a picture")
    if save is not None:
        name = f"{answer.slot}_{answer.booth:03}_{answer.number:04}.{answer.mime.removeprefix('image/')}"
        await asyncio.to_thread((save / NOT_IN_NAMES.sub("_", name)).write_bytes, kept)
    return answer


def _refused(answer: Answer, body: bytes) -> Answer:
    try:
        error = json.loads(body)
        reason, details = str(error["failure_reason"]), str(error["details"])
    except (ValueError, TypeError, KeyError):
        return replace(answer, problem="the server gives no reason")
    printable = "".join(character if character.isprintable() else " " for character in details)
    return replace(answer, failure_reason=reason, problem=printable[:300])


def sentence(error: aiohttp.ClientError | OSError, *, url: str, timeout_seconds: float) -> str:
    """What went wrong with a shot that got no whole answer, for people."""
    match error:
        case TimeoutError():
            return f"no whole answer within {timeout_seconds:g} seconds"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return f"{url} is not an address like http://host:8000"
        case aiohttp.ClientConnectorDNSError():
            return f"the host of {url} is unknown"
        case aiohttp.ClientSSLError():
            return f"{url} does not speak TLS with a certificate that this machine trusts"
        case aiohttp.ClientConnectorError():
            return f"nothing answers at {url}: is PhotoChanger running there?"
        case aiohttp.ClientResponseError():
            return f"what answers at {url} does not speak HTTP"
        case aiohttp.ClientError():
            return "the connection was lost before the answer came"
        case _:
            return f"the picture cannot be saved: {error.strerror}"


def spread(seconds: Sequence[float]) -> dict[str, float] | None:
    """Least, median, mean, 95th percentile (nearest rank) and most, to the millisecond; None of nothing."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
    values = (ordered[0], statistics.median(ordered), statistics.fmean(ordered), p95, ordered[-1])
    return {name: round(value, 3) for name, value in zip(FIGURES, values, strict=True)}


class Progress:
    """Writes a line a shot as the answers come, and a live count below them while a person watches."""

    def __init__(self, stream: TextIO, *, total: int) -> None:
        self.answers: list[Answer] = []
        self._stream = stream
        self._total = total
        self._watched = stream.isatty()
        self._started = time.monotonic()

    def tell(self, answer: Answer) -> None:
        """Write this answer's line."""
        self.answers.append(answer)
        self._write(f"{time.strftime('%H:%M:%S')}  {answer.line()}\n")

    async def follow(self, running: Awaitable[Report]) -> Report:
        """Wait for the run and keep the count fresh. Ctrl-C ends both: the report then holds what came so far."""
        ticking = asyncio.create_task(self._tick())
        try:
            return await running
        except asyncio.CancelledError:
            return Report(answers=tuple(self.answers), seconds=time.monotonic() - self._started, interrupted=True)
        finally:
            ticking.cancel()
            if self._watched:
                self._stream.write(CLEAR_LINE)

    async def _tick(self) -> None:
        while self._watched:
            self._write("")
            await asyncio.sleep(TICK_SECONDS)

    def _write(self, line: str) -> None:
        if self._watched:
            failed = sum(answer.problem is not None for answer in self.answers)
            seconds = time.monotonic() - self._started
            line = f"{CLEAR_LINE}{line}{len(self.answers)} of {self._total} answered, {failed} failed, {seconds:.0f} s"
        self._stream.write(line)
        self._stream.flush()
