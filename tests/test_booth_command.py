"""The booth as a command: what a person is told, and what its exit code says."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulators.booth_report import Answer, Progress, Report
from tests.booth_studio import PASSWORD, Studio, opened, refusing

pytestmark = pytest.mark.anyio
RUN_BOOTH = (
    "import argparse, sys; from simulators.booth import command; parser = argparse.ArgumentParser(); "
    "command.add_arguments(parser); sys.exit(command.run(parser.parse_args()))"
)


@pytest.fixture
async def studio(anyio_backend: str) -> AsyncIterator[Studio]:
    async with opened() as studio:
        yield studio


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
