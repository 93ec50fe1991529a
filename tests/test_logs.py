"""Logs: nothing secret in them, one line an event, whatever the values hold."""

import json
import os
import pty
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from photochanger.logs import MAX_TEXT_CHARACTERS, redact

GOOGLE_KEY = "AIza" + "SyCanary0123456789_-abcdefghijklmnopq"
NASTY = "first\nsecond\r\x1b[31mred\x07\x00\u202eright\u2028line\u2029par\x85next\udcff"


def cleaned(**event: Any) -> str:
    """What would be written of this event."""
    return json.dumps(redact(None, "info", event), default=repr)


def logged(tmp_path: Path, body: str, **environment: str) -> list[str]:
    """The lines a process writes that configures its logs and does this."""
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, logging, structlog, sys, warnings\n"
        "from photochanger import logs\n"
        "logs.configure('tester')\n"
        "log = structlog.get_logger()\n"
        f"NASTY = {NASTY!r}\n"
        f"KEY = {GOOGLE_KEY!r}\n" + textwrap.dedent(body)
    )
    ended = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), **environment},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert ended.stdout == b""
    return ended.stderr.decode("utf-8", "surrogateescape").splitlines()


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "PASSWORD",
        "ingest_password",
        "password_hash",
        "client_secret",
        "secrets_key",
        "signing_key",
        "access_token",
        "Authorization",
        "api_key",
        "apikey",
        "gemini_api_key",
        "x-goog-api-key",
        "cookie",
        "Set-Cookie",
    ],
)
@pytest.mark.parametrize("value", ["canary", b"canary", ["canary"], {"x": "canary"}, 4711, None])
def test_a_value_under_a_telling_name_is_not_shown(name: str, value: Any) -> None:
    for text in (cleaned(**{name: value}), cleaned(headers={name: value}), cleaned(rows=[{"deep": {name: value}}])):
        assert "canary" not in text
        assert "4711" not in text


@pytest.mark.parametrize(
    "text",
    [
        GOOGLE_KEY,
        f"GET /v1beta/models?key={GOOGLE_KEY}&alt=json failed",
        "https://provider.example/v1?alt=json&key=canary-Canary",
        "Authorization: Bearer canary-Canary",
        "postgresql://photo:canary-Canary@db:5432/photochanger",
        "connection to postgres://:Canary@[::1]/x failed",
        "https://photo:Canary%40home@example.org/path",
        "$2b$12$CanaryCanaryCanaryCanaryCanaryCanaryCanaryCanaryCanaryC",
    ],
)
def test_a_key_like_text_is_not_shown_wherever_it_stands(text: str) -> None:
    for event in (
        {"event": text},
        {"reason": f"it said: {text} and hung up"},
        {"details": {"a": [{"b": text}]}},
        {"pair": (1, text)},
        {"both": f"{text} {text}"},
        {"exception": f"Traceback\n  File\nOSError: {text}\n"},
    ):
        assert "Canary" not in cleaned(**event), event


@pytest.mark.parametrize("kind", [ValueError, OSError, Path])
def test_an_object_is_shown_without_what_it_holds_secret(kind: Any) -> None:
    assert "Canary" not in cleaned(error=kind(f"no: {GOOGLE_KEY}"))
    assert "Canary" not in cleaned(error={"inner": [kind(f"no: {GOOGLE_KEY}")]})


def test_a_set_is_shown_without_what_it_holds_secret() -> None:
    assert "Canary" not in cleaned(keys={GOOGLE_KEY})


@pytest.mark.parametrize("secret", [GOOGLE_KEY, "postgresql://photo:canary-Canary-canary@db/x", "Bearer canary-Canary"])
def test_where_a_long_text_is_cut_no_half_of_a_secret_stays(secret: str) -> None:
    for shown in range(5, len(secret)):
        text = "x" * (MAX_TEXT_CHARACTERS - shown) + secret
        assert "anary" not in cleaned(reason=text), f"cut after {shown} characters"


def test_bytes_are_counted_and_not_shown() -> None:
    text = cleaned(body=b"canary" * 10, part=bytearray(b"canary"), nested={"data": [b"canary"]}, view=memoryview(b"ca"))
    assert "canary" not in text
    assert "[60 bytes]" in text
    assert "[6 bytes]" in text


def test_what_is_not_secret_stays_as_it_is() -> None:
    event = {
        "event": "photo_received",
        "job": "0af1" * 8,
        "seconds": 1.25,
        "joined": False,
        "password_required": True,
        "nothing": None,
        "url": "https://photos.example.org/public/results/1?inline=1",
        "sizes": [1, 2],
        "key": "k-1",
    }
    assert redact(None, "info", dict(event)) == event


def test_a_long_text_is_cut() -> None:
    assert len(cleaned(reason="x" * 100_000)) < MAX_TEXT_CHARACTERS + 100


def test_the_event_itself_is_not_changed() -> None:
    headers = {"authorization": "canary"}
    redact(None, "info", {"headers": headers})
    assert headers == {"authorization": "canary"}


def test_an_event_is_one_line_of_json_when_nobody_watches(tmp_path: Path) -> None:
    lines = logged(
        tmp_path,
        """
        log.info("photo_received", job="j-1", slot=NASTY, fields={NASTY: [NASTY]}, seconds=0.5)
        log.warning(NASTY)
        log.bind(job="j-2").error("job_crashed", exc_info=ValueError(NASTY))
        """,
    )
    events = [json.loads(line) for line in lines]
    assert len(events) == 3
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert events[0]["event"] == "photo_received"
    assert events[0]["slot"] == NASTY
    assert {event["process"] for event in events} == {"tester"}
    assert [event["level"] for event in events] == ["info", "warning", "error"]
    assert all(event["timestamp"].endswith("Z") for event in events)
    assert "ValueError" in events[2]["exception"]


def test_a_traceback_tells_its_error_however_long_it_is(tmp_path: Path) -> None:
    (line,) = logged(
        tmp_path,
        """
        def deeper(left):
            if left == 0:
                raise RuntimeError("the last words " + KEY)
            if left % 2:
                deeper(left - 1)
            else:
                deeper(left - 1)
        try:
            deeper(60)
        except RuntimeError:
            log.exception("job_crashed")
        """,
    )
    assert "the last words" in line
    assert "Canary" not in line


def test_what_other_libraries_say_comes_along_in_the_same_shape(tmp_path: Path) -> None:
    lines = logged(
        tmp_path,
        """
        logging.getLogger("sqlalchemy.pool").warning("lost %s", "postgresql://photo:Canary@db/x")
        logging.getLogger("aiohttp").info("too quiet to be told")
        try:
            raise ValueError("with " + KEY)
        except ValueError:
            logging.getLogger("asyncio").exception("Task exception\\nwas never retrieved")
        """,
    )
    events = [json.loads(line) for line in lines]
    assert [event["level"] for event in events] == ["warning", "error"]
    assert "Canary" not in "".join(lines)
    assert "ValueError" in events[1]["exception"]


def test_a_crash_of_a_task_nobody_awaits_is_told_without_its_secrets(tmp_path: Path) -> None:
    lines = logged(
        tmp_path,
        """
        async def main():
            async def crash():
                raise ValueError("https://photo:Canary@example.org")
            asyncio.create_task(crash())
            await asyncio.sleep(0.01)
        asyncio.run(main())
        """,
    )
    assert "Canary" not in "".join(lines)
    assert [json.loads(line)["level"] for line in lines] == ["error"]


def test_values_cannot_forge_lines_or_move_the_cursor_when_a_person_watches(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import structlog\n"
        "from photochanger import logs\n"
        "logs.configure('tester')\n"
        f"structlog.get_logger().info('photo_received', slot={NASTY!r}, fields={{'x': {NASTY!r}}})\n"
        f"structlog.get_logger().info({NASTY!r})\n"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(Path.cwd())}, stderr=theirs
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert process.wait(timeout=30) == 0
    text = written.decode("utf-8", "replace")
    assert "photo_received" in text
    assert text.count("\n") == 2
    for forbidden in ("\x1b[31mred", "\x07", "\x00", "\u202e", "\u2028", "\x85"):
        assert forbidden not in text, repr(forbidden)
