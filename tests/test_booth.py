"""The booth against a server of the test's own: what it sends, what it makes of answers, what a person is told."""

import asyncio
import hashlib
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from multipart import MultipartSegment, PushMultipartParser, parse_options_header
from PIL import Image, ImageChops, ImageStat

from photochanger.errors import ConfigurationError, PictureError
from simulators.booth import CONTINUE_SECONDS, SLOTS, Plan, open_session, run_booths, shoot, take
from simulators.booth_report import Answer, Progress, Report
from simulators.sample import SAMPLE, draw

pytestmark = pytest.mark.anyio

PASSWORD = "sésame öffne dich"
NAMES = ["password", "hash", "time", "user_id", "id", "profile", "status", "name", "model", "version", "fileToUpload"]
PICTURE = SAMPLE.read_bytes()[:5000]
RUN_BOOTH = (
    "import argparse, sys; from simulators.booth import command; parser = argparse.ArgumentParser(); "
    "command.add_arguments(parser); sys.exit(command.run(parser.parse_args()))"
)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Studio:
    """Takes forms apart, keeps what came, and answers as told."""

    url: str = ""
    answer: Callable[[str], Awaitable[web.StreamResponse]] | None = None
    headers: list[Mapping[str, str]] = field(default_factory=list)
    slots: list[str] = field(default_factory=list)
    forms: list[dict[str, bytes]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    async def ingest(self, request: web.Request) -> web.StreamResponse:
        form: dict[str, bytes] = {}
        boundary = parse_options_header(request.headers["Content-Type"])[1]["boundary"]
        with PushMultipartParser(boundary, strict=True) as parser:
            for event in parser.parse(await request.read()):
                if isinstance(event, MultipartSegment):
                    name, form[event.name] = event.name, b""
                    self.files += [event.filename] if event.filename else []
                elif event:
                    form[name] += event
        self.headers.append(request.headers)
        self.slots.append(request.match_info["slot"])
        self.forms.append(form)
        if self.answer is not None:
            return await self.answer(request.match_info["slot"])
        return picture()


def picture() -> web.Response:
    return web.Response(body=PICTURE, content_type="image/jpeg", headers={"X-Job-Id": "ab" * 16})


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    studio, app = Studio(), web.Application(client_max_size=2**26)
    app.router.add_post("/ingest/{slot}", studio.ingest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    studio.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield studio
    await runner.cleanup()


@asynccontextmanager
async def raw(serve: Serve) -> AsyncIterator[str]:
    """A server below HTTP; gives its address."""

    tasks: set[asyncio.Task[None]] = set()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait_for(asyncio.gather(*tasks), 5)


async def read_form(reader: asyncio.StreamReader) -> None:
    end = b""
    while not end.endswith(b"--\r\n"):
        end = (end + await reader.read(2**16))[-4:]


async def one(url: str, **options: Any) -> Answer:
    plan = Plan(url=url, password=PASSWORD, **options)
    async with open_session() as session:
        return await shoot(session, take(plan, booth=1, number=1))


def refusing(status: int, reason: str) -> Callable[[str], Awaitable[web.StreamResponse]]:
    async def answer(slot: str) -> web.StreamResponse:
        body = {"status": "error", "failure_reason": reason, "details": f"This is why,\x1b[2J {slot}."}
        return web.json_response(body, status=status, headers={"X-Job-Id": "cd" * 16})

    return answer


async def test_a_booth_sends_the_form_that_dslr_remote_pro_sends(studio: Studio) -> None:
    answer = await one(studio.url, slots=["slot-007"])
    form, headers = studio.forms[0], studio.headers[0]
    assert list(form) == NAMES
    assert form["fileToUpload"] == SAMPLE.read_bytes()
    assert form["hash"].decode() == hashlib.md5(SAMPLE.read_bytes()).hexdigest()
    assert form["password"].decode() == PASSWORD
    assert (studio.slots, studio.files) == (["slot-007"], ["sample.jpg"])
    assert headers["Expect"] == "100-continue"
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert int(headers["Content-Length"]) == answer.sent_bytes > len(SAMPLE.read_bytes())
    assert "Transfer-Encoding" not in headers
    assert (answer.status, answer.problem, answer.mime, answer.received_bytes) == (200, None, "image/jpeg", 5000)
    assert answer.job_id == "ab" * 16


@pytest.mark.parametrize("name", ["sha1", "sha256"])
async def test_the_hash_can_be_another_one(studio: Studio, name: str) -> None:
    await one(studio.url, hash_name=name)
    assert studio.forms[0]["hash"].decode() == hashlib.new(name, SAMPLE.read_bytes()).hexdigest()


@pytest.mark.parametrize("says_continue", [True, False])
async def test_the_body_waits_for_100_continue_but_a_second_at_most(says_continue: bool) -> None:
    waited: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        await reader.readuntil(b"\r\n\r\n")
        started = loop.time()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.4)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" if says_continue else b"")
        await reader.readuntil(b"fileToUpload")
        waited.append(loop.time() - started)
        await read_form(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xd8\xff")

    async with raw(serve) as url:
        assert (await one(url)).status == 200
    assert waited[0] < 0.8 if says_continue else CONTINUE_SECONDS - 0.1 < waited[0] < CONTINUE_SECONDS + 0.5


async def test_a_refusal_by_the_headers_alone_costs_no_upload() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"failure_reason": "slot_not_found", "details": "There is no such slot."}'
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await reader.read()

    async with raw(serve) as url:
        answer = await one(url, slots=["../x"])
    assert (answer.status, answer.failure_reason, answer.sent_bytes) == (404, "slot_not_found", 0)


async def test_a_refusal_in_the_middle_of_the_upload_is_heard(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.readuntil(b'"hash"')
        writer.write(
            b'HTTP/1.1 401 No\r\nContent-Length: 52\r\n\r\n{"failure_reason":"invalid_password","details":"no"}'
        )
        await reader.read()

    (tmp_path / "large.jpg").write_bytes(os.urandom(12_000_000))
    async with raw(serve) as url:
        answer = await one(url, photo=tmp_path / "large.jpg")
    assert (answer.status, answer.failure_reason) == (401, "invalid_password")
    assert answer.sent_bytes < 12_000_000


@pytest.mark.parametrize(("status", "reason"), [(401, "invalid_password"), (504, "timeout")])
async def test_an_error_of_the_server_is_told_by_its_reason(studio: Studio, status: int, reason: str) -> None:
    studio.answer = refusing(status, reason)
    answer = await one(studio.url)
    assert (answer.status, answer.failure_reason, answer.job_id) == (status, reason, "cd" * 16)
    assert answer.problem == "This is why, [2J slot-001."
    assert f"{status} {reason}" in answer.line()


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not a picture"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n\xff\xd8\xff", "cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\xff\xd8\xff\r\n0\r\n\r\n", "its length"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n[]", "gives no reason"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "gives no reason"),
        (b"220 mail.example.org ESMTP\r\n", "does not speak HTTP"),
        (b"", "the connection was lost"),
    ],
)
async def test_what_is_no_whole_picture_is_a_problem(response: bytes, problem: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)

    async with raw(serve) as url:
        assert problem in str((await one(url)).problem)


async def test_silence_and_nobody_are_told_in_a_sentence() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw(serve) as url:
        assert (
            (await one(url, timeout_seconds=0.3)).line().endswith("no whole answer within 0.3 seconds  0.30 s  0 bytes")
        )
    answer = await one(url)
    assert (answer.status, answer.problem) == (None, f"nothing answers at {url}: is PhotoChanger running there?")
    assert (await one("localhost:8000")).problem == "localhost:8000 is not an address like http://host:8000"


async def test_shots_differ_unless_told_otherwise(studio: Studio) -> None:
    report = await run_booths(Plan(url=studio.url, password=PASSWORD, booths=3, count=2))
    assert report.good
    files = [form["fileToUpload"] for form in studio.forms]
    assert len(set(files)) == len(files) == 6
    for form in studio.forms:
        assert form["hash"].decode() == hashlib.md5(form["fileToUpload"]).hexdigest()
        with Image.open(io.BytesIO(form["fileToUpload"])) as sent, Image.open(SAMPLE) as sample:
            assert sent.tobytes() == sample.tobytes()
    assert {(form["user_id"], form["id"]) for form in studio.forms} == {
        (b"booth-%d" % booth, b"%d" % number) for booth in (1, 2, 3) for number in (1, 2)
    }
    studio.forms.clear()
    await run_booths(Plan(url=studio.url, password=PASSWORD, booths=2, unique=False))
    assert {form["fileToUpload"] for form in studio.forms} == {SAMPLE.read_bytes()}


async def test_two_runs_send_different_photos(studio: Studio) -> None:
    for _ in range(2):
        await one(studio.url, unique=True)
    assert studio.forms[0]["hash"] != studio.forms[1]["hash"]


async def test_all_booths_post_at_once_and_each_keeps_to_its_slot(studio: Studio) -> None:
    everybody = asyncio.Barrier(len(SLOTS))

    async def answer(slot: str) -> web.StreamResponse:
        await everybody.wait()
        return picture()

    studio.answer = answer
    report = await run_booths(Plan(url=studio.url, password=PASSWORD, slots=SLOTS, booths=15, count=2))
    assert report.good
    assert sorted(studio.slots) == sorted([*SLOTS, *SLOTS])


async def test_pictures_are_saved_under_the_shots_name(studio: Studio, tmp_path: Path) -> None:
    await run_booths(Plan(url=studio.url, password=PASSWORD, booths=2, save=tmp_path))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["slot-001_001_0001.jpeg", "slot-001_002_0001.jpeg"]
    assert (tmp_path / names[0]).read_bytes() == PICTURE


async def test_a_photo_that_will_not_do_is_refused_before_anything_is_sent(studio: Studio, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    with pytest.raises(PictureError, match="is no JPEG"):
        await run_booths(Plan(url=studio.url, password=PASSWORD, photo=text, booths=2))
    with pytest.raises(PictureError, match="cannot be read"):
        await run_booths(Plan(url=studio.url, password=PASSWORD, photo=tmp_path / "none.jpg"))
    assert not studio.forms
    await run_booths(Plan(url=studio.url, password=PASSWORD, photo=text))
    assert studio.forms[0]["fileToUpload"] == b"not a picture"


def test_a_report_counts_by_outcome_and_takes_seconds_of_pictures() -> None:
    answers = [Answer(slot="s", booth=1, number=n, status=200, seconds=n / 10) for n in range(1, 21)]
    answers += [Answer(slot="s", booth=1, number=0, status=504, failure_reason="timeout", problem="late", seconds=48)]
    report = Report(answers=tuple(answers), seconds=10.0)
    figures = report.figures()
    assert figures["seconds"] == {"min": 0.1, "median": 1.05, "mean": 1.05, "p95": 1.9, "max": 2.0}
    assert [(row["outcome"], row["photos"]) for row in figures["outcomes"]] == [("200", 20), ("504 timeout", 1)]
    assert figures["pictures_per_second"] == 2.0
    assert not report.good
    assert "20 of 21 photos changed in 10.0 s, 2.00 a second" in report.table()
    assert Report(answers=(), seconds=0.0).figures()["seconds"] is None


async def booth(*arguments: str, **environment: str) -> tuple[int | None, str, str]:
    """Run the command as a process: exit code, output, errors."""
    process = await start(*arguments, **environment)
    out, err = await process.communicate()
    assert PASSWORD not in (out + err).decode()
    assert b"Traceback" not in err
    return process.returncode, out.decode(), err.decode()


async def start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    env = {name: value for name, value in os.environ.items() if name not in ("INGEST_PASSWORD", "PHOTOCHANGER_HOME")}
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-W", "error", "-c", RUN_BOOTH, *arguments)
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=env | environment)


async def test_the_command_succeeds_only_when_every_shot_became_a_picture(studio: Studio) -> None:
    code, out, _ = await booth("--url", studio.url, "--count", "2", INGEST_PASSWORD=PASSWORD)
    assert (code, out.count("slot-001  200")) == (0, 2)
    assert "2 of 2 photos changed" in out
    studio.answer = refusing(401, "invalid_password")
    code, out, err = await booth("--url", studio.url, "--json", INGEST_PASSWORD=PASSWORD)
    assert code == 1
    assert json.loads(out)["outcomes"][0]["failure_reason"] == "invalid_password"
    assert "slot-001  401 invalid_password" in err


async def test_the_password_comes_from_a_file_the_environment_or_the_installation(
    studio: Studio, tmp_path: Path
) -> None:
    (tmp_path / "ingest_password").write_text(f"{PASSWORD}\n")
    (tmp_path / "other").write_text("other")
    await booth("--url", studio.url, PHOTOCHANGER_HOME=str(tmp_path))
    await booth("--url", studio.url, "--password-file", str(tmp_path / "other"), INGEST_PASSWORD=PASSWORD)
    assert [form["password"].decode() for form in studio.forms] == [PASSWORD, "other"]
    code, _, err = await booth("--url", studio.url, PHOTOCHANGER_HOME=str(tmp_path / "none"))
    assert code == 2
    assert err.startswith("no ingest password: ")


async def test_ctrl_c_prints_the_summary_so_far(studio: Studio) -> None:
    process = await start("--url", studio.url, "--count", "9", "--pause", "60", INGEST_PASSWORD=PASSWORD)
    assert process.stdout is not None
    assert b"200" in await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130
    assert b"1 of 1 photos changed" in out
    assert out.strip().endswith(b"Interrupted: the summary so far.")
    assert err == b""


async def test_a_watching_person_sees_the_count() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    async def shots() -> Report:
        progress.tell(Answer(slot="slot-001", booth=1, number=1, status=200))
        return Report(answers=tuple(progress.answers), seconds=1.0)

    progress = Progress(terminal := Terminal(), total=2)
    await progress.follow(shots())
    assert "slot-001  200" in terminal.getvalue()
    assert "1 of 2 answered, 0 failed" in terminal.getvalue()


def test_more_slots_than_booths_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError):
        Plan(url="http://x", password="", slots=SLOTS, booths=2)


def test_the_sample_is_what_the_code_draws() -> None:
    with Image.open(SAMPLE) as kept:
        difference = ImageChops.difference(kept.convert("RGB"), draw())
    assert kept.size == (1800, 1200)
    assert 300_000 <= SAMPLE.stat().st_size <= 600_000
    assert max(ImageStat.Stat(difference).mean) < 3
    assert max(ImageStat.Stat(difference.reduce(8)).extrema)[1] < 24
