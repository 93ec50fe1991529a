"""The accounts' file: whole or not at all, for its owner alone, read afresh when it is another one."""

import json
import os
import threading
from pathlib import Path

import bcrypt
import pytest

from photochanger import admins
from photochanger.admins import NOBODYS_HASH, Accounts
from photochanger.errors import ConfigurationError
from photochanger.first_start import ensure_accounts
from photochanger.passwords import COST, MOST_BYTES, verify_password, weakness
from photochanger.settings import Settings

GOOD = "правильный пароль".encode()


def settings(tmp_path: Path, **environment: str) -> Settings:
    return Settings.from_env({"PHOTOCHANGER_HOME": str(tmp_path), **environment})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return admins.file_of(settings(tmp_path))


def test_an_account_is_made_and_gets_another_password(path: Path) -> None:
    assert admins.set_passwords(path, {"serg": GOOD}) == ["serg"]
    first = admins.read(path)["serg"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert GOOD.decode() not in path.read_text()
    assert verify_password(GOOD, first.password_hash)
    assert admins.set_passwords(path, {"serg": b"another password"}) == []
    assert not verify_password(GOOD, admins.read(path)["serg"].password_hash)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "password",
    [
        "📷🎉 десять знаков",
        " leading and trailing ",
        "nul\0inside it",
        "x" * 60 + "yz0123456789" * 3,
        "tab\tand\nbreak",
    ],
)
def test_every_byte_of_a_password_counts(path: Path, password: str) -> None:
    admins.set_passwords(path, {"serg": password.encode()})
    kept = admins.read(path)["serg"].password_hash
    assert verify_password(password.encode(), kept)
    for other in (password.strip() + "!", password[:-1], password.rstrip(), password.partition("\0")[0]):
        if other != password:
            assert not verify_password(other.encode(), kept)


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        (b"", "at least 10"),
        ("девять зн".encode(), "at least 10"),
        (b"x" * 20, "tried first"),
        (b"changeme123", "tried first"),
        (b"Password!2026", "tried first"),
        (b"photochanger admin", "tried first"),
        (b"1234567890", "tried first"),
        (b"\xff\xfe" * 8, "UTF-8"),
        (b"0123456789abcdef" * 65, f"{MOST_BYTES} bytes"),
    ],
)
def test_a_weak_password_is_refused_and_nothing_is_written(path: Path, password: bytes, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        admins.set_passwords(path, {"serg": password})
    assert not path.exists()


@pytest.mark.parametrize(
    "password", [GOOD, "📷🎉🎂💍🥂🎈🎁🎀🎊🪩".encode(), b"correct horse battery", b"a1!" * 4 + b"z"]
)
def test_a_good_password_is_not_called_weak(password: bytes) -> None:
    assert weakness(password) is None


@pytest.mark.parametrize("name", ["", "Serg", "серг", "a b", "../x", "a" * 65, "-x", "a\n"])
def test_a_name_that_is_none_is_refused(path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is no name"):
        admins.set_passwords(path, {name: GOOD})
    assert not path.exists()


def test_an_account_is_removed_once(path: Path) -> None:
    admins.set_passwords(path, {"serg": GOOD, "igor": GOOD})
    assert admins.remove(path, "serg")
    assert not admins.remove(path, "serg")
    assert list(admins.read(path)) == ["igor"]


HASH = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()
BROKEN = [
    "",
    "[]",
    "null",
    "{",
    '{"serg": "x"}',
    '{"serg": {}}',
    '{"serg": {"password_hash": "plain", "updated_at": "x"}}',
    '{"serg": {"password_hash": null, "updated_at": "x"}}',
    json.dumps({"Серг": {"password_hash": HASH, "updated_at": "x"}}),
    json.dumps({"serg": {"password_hash": HASH}}),
    "[" * 100_000,
    "\udcff",
]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_is_told_in_a_sentence_and_left_alone(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"runtime_credentials\.json is broken: repair it"):
        admins.read(path)
    with pytest.raises(ConfigurationError, match="is broken"):
        admins.set_passwords(path, {"serg": GOOD})
    assert path.read_bytes() == before


def test_a_file_that_others_may_read_is_refused(path: Path) -> None:
    admins.set_passwords(path, {"serg": GOOD})
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="may be read by others: chmod 600"):
        admins.read(path)


def test_a_change_counts_at_once_and_an_unchanged_file_is_not_read_again(path: Path, tmp_path: Path) -> None:
    accounts = Accounts(settings(tmp_path))
    assert accounts.find("serg") is None
    admins.set_passwords(path, {"serg": GOOD})
    first = accounts.find("serg")
    assert first is not None
    assert accounts.find("serg") is first
    admins.set_passwords(path, {"serg": b"another password"})
    assert accounts.find("serg") != first
    path.unlink()
    assert accounts.find("serg") is None


def test_commands_at_the_same_time_lose_no_account(path: Path) -> None:
    names = [f"admin{number}" for number in range(8)]
    threads = [threading.Thread(target=admins.set_passwords, args=(path, {name: GOOD})) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(admins.read(path)) == names


def test_a_write_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    admins.set_passwords(path, {"serg": GOOD})
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", _disk_full)
    with pytest.raises(OSError, match="No space left"):
        admins.set_passwords(path, {"igor": GOOD})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def _disk_full(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_the_file_to_the_owner_of_its_folder(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    os.chown(path.parent, 65534, 65534)
    admins.set_passwords(path, {"serg": GOOD})
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_the_first_start_makes_two_accounts_once(tmp_path: Path, path: Path) -> None:
    made = ensure_accounts(settings(tmp_path))
    assert list(made) == ["serg", "igor"]
    assert made["serg"] != made["igor"]
    for name, password in made.items():
        assert verify_password(password.encode(), admins.read(path)[name].password_hash)
        assert password not in path.read_text()
    assert ensure_accounts(settings(tmp_path)) == {}


def test_the_first_start_takes_admin_password_and_refuses_a_weak_one(tmp_path: Path) -> None:
    made = ensure_accounts(settings(tmp_path, ADMIN_PASSWORD=GOOD.decode()))
    assert set(made.values()) == {GOOD.decode()}
    for weak in ("short", "changeme1234", "password2026"):
        with pytest.raises(ConfigurationError, match="ADMIN_PASSWORD"):
            settings(tmp_path, ADMIN_PASSWORD=weak)


def test_nobodys_hash_costs_as_much_as_a_real_one() -> None:
    assert NOBODYS_HASH.startswith(f"$2b${COST}$")
    assert admins.BCRYPT.fullmatch(NOBODYS_HASH)
    assert not verify_password(b"", NOBODYS_HASH)
