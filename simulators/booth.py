"""A photo booth for trying out, tests and load: posts photos to slots exactly as DSLR Remote Pro does.

    POST /ingest/slot-001          Expect: 100-continue, multipart/form-data, a new connection a shot
    password · hash · time user_id id profile status name model version · fileToUpload

It waits a second at most for `100 Continue`, then sends the body regardless (RFC 9110, 10.1.1), and takes the picture
or the error as the answer. The photo is streamed from its file; no booth holds it in memory.
"""

import argparse
import asyncio
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection

from photochanger.command import Command
from photochanger.errors import ConfigurationError, PhotoChangerError, PictureError
from simulators.booth_report import Answer, Progress, Report, read_answer, sentence
from simulators.sample import SAMPLE

SLOTS = tuple(f"slot-{number:03}" for number in range(1, 16))
CONTINUE_SECONDS = 1.0
CHUNK_BYTES = 256 * 1024
START_BYTES = 2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the booths are to do. They share the slots in turn, and all press the button at once."""

    url: str
    password: str = field(repr=False)
    slots: Sequence[str] = SLOTS[:1]
    photo: Path = SAMPLE
    booths: int = 1
    count: int = 1
    """Photos each booth takes, one after the other."""
    pause_seconds: float = 0.0
    timeout_seconds: float = 75.0
    unique: bool | None = None
    """Every shot's bytes differ, so that the server joins none with another: JPEG only. None: if there are several."""
    hash_name: str = "md5"
    save: Path | None = None
    """The folder for the pictures; it must exist."""
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    """Tells this run's unique shots from an earlier run's."""

    def __post_init__(self) -> None:
        if self.booths < len(self.slots) or self.count < 1:
            raise ConfigurationError([f"at least {len(self.slots)} booths, one a slot, and one photo each"])


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One photo as it is to be sent: `start` instead of the file's first two bytes, then the rest of the file."""

    plan: Plan
    slot: str
    booth: int
    number: int
    start: bytes = field(repr=False)
    size_bytes: int
    hash: str

    def head(self, boundary: str) -> bytes:
        """The form up to the photo's first byte, in the booth program's order."""
        fields = {"password": self.plan.password, "hash": self.hash, "time": time.strftime("%Y-%m-%d %H:%M:%S")}
        fields |= {"user_id": f"booth-{self.booth}", "id": str(self.number), "profile": self.slot, "status": "new"}
        fields |= {"name": f"Booth {self.booth}", "model": "Canon EOS R6", "version": "photochanger booth"}
        start = f'--{boundary}\r\nContent-Disposition: form-data; name="'
        parts = [f'{start}{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
        file_name = self.plan.photo.name.replace('"', "%22")
        parts.append(f'{start}fileToUpload"; filename="{file_name}"\r\nContent-Type: image/jpeg\r\n\r\n')
        return "".join(parts).encode()


def take(plan: Plan, *, booth: int, number: int) -> Shot:
    """Read and hash photo `number` of a booth, both from 1. Raises `PictureError` when the file will not do."""
    digest = hashlib.new(plan.hash_name, usedforsecurity=False)
    try:
        with plan.photo.open("rb") as file:
            start = file.read(START_BYTES)
            if plan.unique or (plan.unique is None and plan.booths * plan.count > 1):
                if start != b"\xff\xd8":
                    raise PictureError(f"{plan.photo} is no JPEG and cannot differ from shot to shot: use --same")
                # A comment segment straight after the start of the image: decoders pass over it.
                comment = f"{plan.run} {booth} {number}".encode()
                start += b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment
            digest.update(start)
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
            size_bytes = len(start) + max(0, file.tell() - START_BYTES)
    except OSError as error:
        raise PictureError(f"{plan.photo} cannot be read: {error.strerror}") from error
    slot, hash_ = plan.slots[(booth - 1) % len(plan.slots)], digest.hexdigest()
    return Shot(plan=plan, slot=slot, booth=booth, number=number, start=start, size_bytes=size_bytes, hash=hash_)


class Form(aiohttp.Payload):
    """A shot as the multipart form that a booth sends, streamed from the file."""

    def __init__(self, shot: Shot) -> None:
        boundary = "-" * 24 + secrets.token_hex(8)
        super().__init__(None, content_type=f"multipart/form-data; boundary={boundary}")
        self._shot = shot
        self._head, self._tail = shot.head(boundary), f"\r\n--{boundary}--\r\n".encode()
        self._size = len(self._head) + shot.size_bytes + len(self._tail)
        self.sent_bytes = 0

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Never: the form is not held whole."""
        raise TypeError("a booth's form is streamed")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the form; `sent_bytes` counts along."""
        await self._send(writer, self._head + self._shot.start)
        # Not in a thread: cancelled there, the file would stay open.
        with self._shot.plan.photo.open("rb") as file:
            file.seek(START_BYTES)
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                await self._send(writer, chunk)
        await self._send(writer, self._tail)

    async def _send(self, writer: AbstractStreamWriter, chunk: bytes) -> None:
        await writer.write(chunk)
        self.sent_bytes += len(chunk)


class BoothRequest(aiohttp.ClientRequest):
    """aiohttp's `expect100` waits for `100 Continue` without end; a booth goes on after a second."""

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        """Send the body once the server has asked for it, or the second is over."""
        if (go_on := self._continue) is not None:
            self.loop.call_later(CONTINUE_SECONDS, lambda: None if go_on.done() else go_on.set_result(True))
        await super().write_bytes(writer, conn, content_length)


def open_session() -> aiohttp.ClientSession:
    """A session for any number of booths at once: a connection a shot, no cookies, nothing unpacked."""
    return aiohttp.ClientSession(
        request_class=BoothRequest,
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Connection": "Keep-Alive", "User-Agent": "DSLR Remote Pro"},
        skip_auto_headers=("Accept-Encoding",),
    )


async def shoot(session: aiohttp.ClientSession, shot: Shot) -> Answer:
    """Send one photo and read the answer to its end. Whatever server or network do becomes an Answer, no error."""
    plan, form, started = shot.plan, Form(shot), time.monotonic()
    answer = Answer(slot=shot.slot, booth=shot.booth, number=shot.number)
    address = f"{plan.url.rstrip('/')}/ingest/{quote(shot.slot, safe='')}"
    limit = aiohttp.ClientTimeout(total=plan.timeout_seconds)
    try:
        async with session.post(address, data=form, expect100=True, allow_redirects=False, timeout=limit) as response:
            answer = await read_answer(response, answer, save=plan.save)
    except (aiohttp.ClientError, OSError) as error:
        answer = replace(answer, problem=sentence(error, url=plan.url, timeout_seconds=plan.timeout_seconds))
    return replace(answer, seconds=time.monotonic() - started, sent_bytes=form.sent_bytes)


async def run_booths(plan: Plan, *, on_answer: Callable[[Answer], None] | None = None) -> Report:
    """Let all booths take all their photos; `on_answer` hears of each at once. Raises `PictureError` as `take` does."""
    answers: list[Answer] = []

    async def stand(shot: Shot) -> None:
        while True:
            answers.append(await shoot(session, shot))
            if on_answer is not None:
                on_answer(answers[-1])
            if shot.number == plan.count:
                return
            await asyncio.sleep(plan.pause_seconds)
            shot = await asyncio.to_thread(take, plan, booth=shot.booth, number=shot.number + 1)

    numbers = range(1, plan.booths + 1)
    shots = await asyncio.gather(*(asyncio.to_thread(take, plan, booth=number, number=1) for number in numbers))
    started = time.monotonic()
    async with open_session() as session, asyncio.TaskGroup() as booths:
        for shot in shots:
            booths.create_task(stand(shot))
    return Report(answers=tuple(answers), seconds=time.monotonic() - started)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `photochanger booth`. The password is no option: other users of the machine could read it."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--slot", dest="slots", nargs=1, default=SLOTS[:1], help="the slot to post to (slot-001)")
    where.add_argument("--slots", type=lambda text: text.split(","), help="several slots: slot-001,slot-002,…")
    where.add_argument("--all-slots", dest="slots", action="store_const", const=SLOTS, help="all 15 slots")
    parser.add_argument("--photo", type=Path, default=SAMPLE, help="the photo to send (a drawn sample)")
    parser.add_argument("--count", type=int, default=1, help="photos each booth takes (1)")
    parser.add_argument("--booths", type=int, help="booths at once (one a slot)")
    parser.add_argument("--pause", dest="pause_seconds", type=float, default=0.0, help="seconds between its photos")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where PhotoChanger listens")
    parser.add_argument("--password-file", type=Path, help="else INGEST_PASSWORD, else the local installation's")
    parser.add_argument("--timeout", dest="timeout_seconds", type=float, default=75.0, help="seconds to wait (75)")
    parser.add_argument("--hash", dest="hash_name", choices=("md5", "sha1", "sha256"), default="md5")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="keep the pictures that come back")
    alike = parser.add_mutually_exclusive_group()
    alike.add_argument("--unique", action="store_true", default=None, help="every shot's bytes differ")
    alike.add_argument("--same", dest="unique", action="store_false", help="… are the same, also for many")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    """`photochanger booth`: 0 when every shot became a picture, 1 if not, 2 for a mistake, 130 after Ctrl-C."""
    options = {name: value for name, value in vars(arguments).items() if name in Plan.__dataclass_fields__}
    options["booths"] = len(arguments.slots) if arguments.booths is None else arguments.booths
    try:
        plan = Plan(password=_password(arguments.password_file, env=os.environ), **options)
        if plan.save is not None:
            plan.save.mkdir(parents=True, exist_ok=True)
        progress = Progress(sys.stderr if arguments.as_json else sys.stdout, total=plan.booths * plan.count)
        report = asyncio.run(progress.follow(run_booths(plan, on_answer=progress.tell)))
    except (PhotoChangerError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(report.as_json() if arguments.as_json else report.table())
    return 130 if report.interrupted else int(not report.good)


def _password(path: Path | None, *, env: Mapping[str, str]) -> str:
    if path is None and (password := env.get("INGEST_PASSWORD")):
        return password
    path = path or Path(env.get("PHOTOCHANGER_HOME") or "var") / "ingest_password"
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        told = f"no ingest password: {path} cannot be read; set INGEST_PASSWORD or name a --password-file"
        raise ConfigurationError([told]) from error


command = Command("booth", "post photos as a photo booth does", add_arguments, run)
