"""`photochanger up`: one command on a new machine, and the line it prints really returns a changed picture."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from photochanger import embedded
from tests.processes import ROOT, environment_for

UP_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def gone_pid() -> int:
    """Of a process that has ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ended.pid


class Up:
    """`photochanger up` in a home of its own, and what it has printed."""

    def __init__(self, home: Path, *, port: int) -> None:
        told = environment_for(home.parent, None, HOST="127.0.0.1", PORT=str(port), PHOTOCHANGER_HOME=str(home))
        told = {name: value for name, value in told.items() if name not in {"GEMINI_API_KEY", "MEDIA_ROOT"}}
        self.home = home
        self._printed = home.parent / f"printed-{time.monotonic_ns()}"
        with self._printed.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "photochanger", "up"],
                cwd=ROOT,
                env=told,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def printed(self) -> str:
        return self._printed.read_text(encoding="utf-8")

    def wait_for(self, words: str) -> str:
        """Everything it has printed, once these words are among it."""
        give_up = time.monotonic() + UP_SECONDS
        while words not in (printed := self.printed()):
            assert self.popen.poll() is None, printed
            assert time.monotonic() < give_up, printed
            time.sleep(0.02)
        return printed

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code after this signal."""
        self.popen.send_signal(number)
        return self.popen.wait(timeout=UP_SECONDS)

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this home, by its environment, its arguments or its folder."""
        home, found = str(self.home), []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != os.getpid() and (
                    process.environ().get("PHOTOCHANGER_HOME") == home
                    or any(argument.startswith(home) for argument in process.cmdline())
                    or process.cwd().startswith(home)
                ):
                    found.append(process)
        return found

    def assert_nothing_left(self) -> None:
        psutil.wait_procs(self.processes(), timeout=5)
        left = self.processes()
        assert not left, [process.cmdline() for process in left]


@contextmanager
def started(home: Path, *, port: int) -> Iterator[Up]:
    up = Up(home, port=port)
    try:
        yield up
    finally:
        for process in [*up.processes()]:
            with suppress(psutil.Error):
                process.kill()
        up.popen.kill()
        up.popen.wait()


@pytest.fixture
def home() -> Iterator[Path]:
    """A fresh one, on a path that any user can reach: as root PostgreSQL runs as somebody else."""
    folder = Path(tempfile.mkdtemp(prefix="photochanger-up-"))
    folder.chmod(0o755)
    yield folder / "home"
    shutil.rmtree(folder, ignore_errors=True)


def printed_line(printed: str) -> str:
    """The command it tells people to try, as the shell gets it."""
    return printed.partition("Try it:\n")[2]


def try_it(line: str, folder: Path, environment: Mapping[str, str]) -> bytes:
    """Run it in a shell in this folder; the picture it has fetched."""
    done = subprocess.run(
        ["sh", "-ec", line], cwd=folder, capture_output=True, env=environment, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(folder / "changed.jpg") as image:
        image.load()
    return (folder / "changed.jpg").read_bytes()


def test_up_gives_a_changed_picture_keeps_its_data_and_ends_without_a_trace(home: Path) -> None:
    port, folder = free_port(), home.parent
    environment = {"PATH": os.environ["PATH"]}
    with started(home, port=port) as up:
        printed = up.wait_for("Try it:")
        time.sleep(0.1)
        first = try_it(printed_line(up.printed()), folder, environment)
        (password,) = re.findall(r"^ingest password +(\S+)", printed, re.MULTILINE)
        assert (home / "ingest_password").read_text() == password
        assert (home / "ingest_password").stat().st_mode & 0o777 == 0o600
        assert "simulators: no provider key is set" in printed
        admins = dict(re.findall(r"^password of (\w+) +(\S+)", printed, re.MULTILINE))
        assert list(admins) == ["serg", "igor"]
        for name, own in admins.items():
            given = {"username": name, "password": own}
            httpx.post(f"http://127.0.0.1:{port}/api/login", json=given, trust_env=False).raise_for_status()
        names = {" ".join(process.cmdline()) for process in up.processes()}
        for name in ("photochanger-api", "photochanger-runner", "photochanger-media-cleanup", "simulators", "postgres"):
            assert any(name in command for command in names), name
        (result,) = (home / "media" / "results").iterdir()
        assert result.read_bytes() == first
        assert up.stop() == 0
        up.assert_nothing_left()
    with started(home, port=port) as again:
        printed = again.wait_for("Try it:")
        assert "simulators: no provider key is set" in printed
        time.sleep(0.1)
        assert password not in printed
        assert "ingest password" not in printed
        assert "password of" not in printed
        link = f"http://127.0.0.1:{port}/public/results/{result.stem}"
        kept = subprocess.run(["curl", "-sS", "-f", link], capture_output=True, env=environment, check=True)
        assert kept.stdout == first
        (folder / "changed.jpg").unlink()
        try_it(printed_line(again.printed()), folder, environment)
        kept_texts = [path.read_text() for folder in ("log", "secrets") for path in (home / folder).iterdir()]
        for secret in (password, *admins.values()):
            assert secret not in "".join(kept_texts)
        assert again.stop(signal.SIGINT) == 0
        again.assert_nothing_left()
        told = environment_for(home.parent, None, PHOTOCHANGER_HOME=str(home))
        check = [sys.executable, "-m", "photochanger", "check"]
        subprocess.run(check, cwd=ROOT, env=told, capture_output=True, check=True)
        again.assert_nothing_left()  # the database that it has started goes with it
        (home / embedded.FOLDER / ".handle_pids.json").write_text(json.dumps([gone_pid()]))  # of one that was killed
        subprocess.run(check, cwd=ROOT, env=told, capture_output=True, check=True)
        again.assert_nothing_left()


def test_up_says_in_one_sentence_that_its_port_is_in_use_and_starts_nothing(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(home, port=port) as up:
            assert up.popen.wait(timeout=UP_SECONDS) == 2
            assert up.printed() == f"photochanger: port {port} cannot be used (Address already in use): set PORT\n"
            up.assert_nothing_left()
    assert not home.exists()


@pytest.mark.slow
def test_what_comes_up_late_is_told_to_be_late_and_then_says_hello_all_the_same(home: Path) -> None:
    marker = home / "media" / ".photochanger-media"
    with started(home, port=free_port()) as up:
        up.wait_for("Try it:")
        up.stop()
    (home / "secrets" / "runtime_credentials.json").unlink()
    ours = marker.read_text()
    marker.write_text(f"{'0' * 32}\n")  # the disk of another installation
    with started(home, port=free_port()) as up:
        assert "Try it:" not in up.wait_for("still not up: see the logs in")
        marker.write_text(ours)
        assert "password of serg" in up.wait_for("Try it:")
        assert up.stop() == 0


@pytest.mark.slow
def test_up_that_is_stopped_while_it_still_starts_leaves_nothing_running_and_starts_again(home: Path) -> None:
    pid_file = home / "postgres" / "postmaster.pid"
    for moment in ("", "ready", "Try it:"):
        with started(home, port=free_port()) as up:
            up.wait_for(moment if moment == "Try it:" else "starting")
            while not (pid_file.exists() and ("ready" in pid_file.read_text() or not moment)):
                assert up.popen.poll() is None, up.printed()
                time.sleep(0.01)
            up.stop()
            assert "Traceback" not in up.printed(), moment
            up.assert_nothing_left()
