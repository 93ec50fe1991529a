"""`photochanger set-password`, `unlock` and `remove-account`, as somebody at the machine runs them."""

import asyncio
import os
import pty
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from photochanger import admins, login_throttle
from photochanger.passwords import verify_password
from photochanger.tables import processing_log
from tests.administrators import ADMIN_PASSWORD, bearer, give_passwords
from tests.serving import Api

pytestmark = pytest.mark.anyio


async def command(api: Api, *arguments: str, stdin: bytes = b"", **environment: str) -> tuple[int, str]:
    """Its exit code, and what it prints."""
    settings = api.services.settings
    told = {
        "PATH": os.environ["PATH"],
        "PHOTOCHANGER_HOME": str(settings.home),
        "DATABASE_URL": str(settings.database_url),
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "photochanger", *arguments, env=told,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, printed.decode()


def kept(api: Api) -> dict[str, admins.Account]:
    return admins.read(admins.file_of(api.services.settings))


async def test_a_new_account_logs_in(api: Api, http: httpx.AsyncClient) -> None:
    code, printed = await command(api, "set-password", "Serg", "--password-stdin", stdin=ADMIN_PASSWORD.encode())
    assert (code, printed) == (0, "serg: a new account\n0 session(s) ended\n")
    given = {"username": "serg", "password": ADMIN_PASSWORD}
    assert (await http.post(f"{api.url}/api/login", json=given)).status_code == 200


async def test_a_new_password_ends_the_accounts_sessions_its_lock_and_no_others(
    api: Api, http: httpx.AsyncClient
) -> None:
    give_passwords(api.services.settings, {"serg": ADMIN_PASSWORD, "igor": "igor has another one"})
    mine, others = await bearer(api), await bearer(api, account="igor")
    for _ in range(login_throttle.MOST_PER_ACCOUNT):
        await http.post(f"{api.url}/api/login", json={"username": "serg", "password": "x"})
    code, printed = await command(api, "set-password", "serg", "--password-stdin", stdin=b"quite another one")
    assert (code, printed) == (0, "serg: the password is set\n1 session(s) ended\n")
    assert (await http.get(f"{api.url}/api/me", headers=mine)).status_code == 401
    assert (await http.get(f"{api.url}/api/me", headers=others)).status_code == 200
    for password, status in ((ADMIN_PASSWORD, 401), ("quite another one", 200)):
        answer = await http.post(f"{api.url}/api/login", json={"username": "serg", "password": password})
        assert answer.status_code == status
    async with api.db.at_once() as conn:
        (line,) = await conn.execute(select(processing_log).where(processing_log.c.event == "password_set"))
    assert (line.actor, line.details) == ("console", {"account": "serg", "sessions_ended": 1})


@pytest.mark.parametrize(
    ("stdin", "password"),
    [
        (b"ten letters\n", b"ten letters"),
        (b"ten letters\r\n", b"ten letters"),
        (b" ten letters ", b" ten letters "),
        (b"ten letters\n\n", b"ten letters\n"),
        (b"ten letters\r", b"ten letters\r"),
        (b"nul\0inside it", b"nul\0inside it"),
        ("📷 пароль 🎉".encode() * 8, "📷 пароль 🎉".encode() * 8),
    ],
)
async def test_standard_input_is_taken_byte_by_byte_but_for_the_line_break_of_echo(
    api: Api, stdin: bytes, password: bytes
) -> None:
    code, _ = await command(api, "set-password", "serg", "--password-stdin", stdin=stdin)
    assert code == 0
    assert verify_password(password, kept(api)["serg"].password_hash)


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        (b"short", "the password must have at least 10 characters"),
        (b"", "the password must have at least 10 characters"),
        (b"x" * 5000, "the password may have 1024 bytes"),
        (b"\xff" * 20, "the password must be UTF-8 text"),
        (b"password123", "the password is one of those that are tried first"),
    ],
)
async def test_a_weak_password_is_refused_in_a_sentence(api: Api, stdin: bytes, sentence: str) -> None:
    code, printed = await command(api, "set-password", "serg", "--password-stdin", stdin=stdin)
    assert (code, printed) == (2, f"photochanger: {sentence}\n")
    assert kept(api) == {}


async def test_without_a_terminal_it_does_not_ask(api: Api) -> None:
    code, printed = await command(api, "set-password", "serg", stdin=b"ten letters\nten letters\n")
    assert (code, printed) == (2, "photochanger: there is no terminal to ask on: use --password-stdin\n")


@pytest.mark.parametrize(("second", "code"), [(ADMIN_PASSWORD, 0), ("another one", 2)])
async def test_on_a_terminal_it_asks_twice_and_shows_nothing(api: Api, second: str, code: int) -> None:
    settings = api.services.settings
    told = {
        "PATH": os.environ["PATH"],
        "PHOTOCHANGER_HOME": str(settings.home),
        "DATABASE_URL": str(settings.database_url),
        "PYTHONUTF8": "1",
    }
    pid, terminal = pty.fork()
    if pid == 0:  # the child sees nothing of this process but the terminal
        os.execve(sys.executable, [sys.executable, "-m", "photochanger", "set-password", "serg"], told)
    screen = b""
    for prompt, answer in ((b"New password of serg: ", ADMIN_PASSWORD), (b"Once more: ", second)):
        while prompt not in screen:
            screen += await asyncio.to_thread(os.read, terminal, 1000)
        os.write(terminal, answer.encode() + b"\n")
    screen += await asyncio.to_thread(_rest, terminal)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == code, screen.decode()
    assert ADMIN_PASSWORD.encode() not in screen
    assert bool(kept(api)) == (code == 0)
    if code == 0:
        assert verify_password(ADMIN_PASSWORD.encode(), kept(api)["serg"].password_hash)


def _rest(terminal: int) -> bytes:
    """What is still printed until the other end is closed."""
    printed = b""
    while True:
        try:
            piece = os.read(terminal, 1000)
        except OSError:
            return printed
        if not piece:
            return printed
        printed += piece


async def test_an_unlocked_account_may_log_in_again_and_its_sessions_go_on(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    headers = await bearer(api)
    given = {"username": "serg", "password": ADMIN_PASSWORD}
    for _ in range(login_throttle.MOST_PER_ACCOUNT):
        await http.post(f"{api.url}/api/login", json={**given, "password": "x"})
    assert (await http.post(f"{api.url}/api/login", json=given)).status_code == 429
    assert await command(api, "unlock", "serg") == (0, "serg may log in again\n")
    assert (await http.post(f"{api.url}/api/login", json=given)).status_code == 200
    assert (await http.get(f"{api.url}/api/me", headers=headers)).status_code == 200


async def test_an_unlocked_address_may_try_again_whatever_the_account(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    for number in range(login_throttle.MOST_PER_ADDRESS):
        wrong = {"username": f"name{number}", "password": "x"}
        assert (await http.post(f"{api.url}/api/login", json=wrong)).status_code == 401
    given = {"username": "serg", "password": ADMIN_PASSWORD}
    assert (await http.post(f"{api.url}/api/login", json=given)).status_code == 429
    assert await command(api, "unlock", "serg") == (0, "serg may log in again\n")
    assert (await http.post(f"{api.url}/api/login", json=given)).status_code == 429
    assert await command(api, "unlock", "serg", "--address", "127.0.0.1") == (
        0,
        "serg and 127.0.0.1 may log in again\n",
    )
    assert (await http.post(f"{api.url}/api/login", json=given)).status_code == 200
    async with api.db.at_once() as conn:
        (line,) = await conn.execute(select(processing_log).where(processing_log.c.event == "address_unlocked"))
    assert (line.actor, line.details) == (
        "console",
        {"address": "127.0.0.1", "failures": login_throttle.MOST_PER_ADDRESS},
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [((), "unlock what? An account's NAME, or --address"), (("--address", "router"), "router is no address")],
)
async def test_unlock_says_what_it_needs(api: Api, arguments: tuple[str, ...], sentence: str) -> None:
    assert await command(api, "unlock", *arguments) == (2, f"photochanger: {sentence}\n")


async def test_a_removed_account_is_out_at_once(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    headers = await bearer(api)
    code, printed = await command(api, "remove-account", "serg")
    assert (code, printed) == (0, "serg: the account is removed\n1 session(s) ended\n")
    assert (await http.get(f"{api.url}/api/me", headers=headers)).status_code == 401
    given = {"username": "serg", "password": ADMIN_PASSWORD}
    assert (await http.post(f"{api.url}/api/login", json=given)).status_code == 401


@pytest.mark.parametrize("name", ["unlock", "remove-account"])
async def test_an_unknown_account_is_told(api: Api, name: str) -> None:
    assert await command(api, name, "nobody") == (2, "photochanger: there is no account nobody\n")


async def test_without_the_database_the_password_is_set_and_the_rest_is_told(api: Api) -> None:
    nowhere = "postgresql://photo@127.0.0.1:1/photochanger"
    code, printed = await command(
        api, "set-password", "serg", "--password-stdin", stdin=ADMIN_PASSWORD.encode(), DATABASE_URL=nowhere
    )
    assert code == 2
    assert printed.startswith("serg: a new account\n")
    assert "the database cannot be reached: sessions and failed logins are as they were" in printed
    assert "Traceback" not in printed
    assert list(kept(api)) == ["serg"]


@pytest.mark.parametrize(
    ("mode", "text", "sentence"),
    [(0o644, "{}", "may be read by others: chmod 600"), (0o600, "{", "runtime_credentials.json is broken")],
)
async def test_the_api_does_not_start_on_a_file_it_cannot_trust(
    api: Api, tmp_path: Path, mode: int, text: str, sentence: str
) -> None:
    path = admins.file_of(api.services.settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api",
        env={
            "PATH": os.environ["PATH"],
            "PHOTOCHANGER_HOME": str(api.services.settings.home),
            "DATABASE_URL": str(api.services.settings.database_url),
            "SIGNING_KEY": str(api.services.settings.signing_key),
        },
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate()
    assert process.returncode == 2
    assert sentence in printed.decode()
    assert len(printed.decode().splitlines()) == 1
