"""Passwords as they are kept: every byte counts, whatever their length."""

import base64
import hashlib

import bcrypt
import pytest

from photochanger.passwords import COST, hash_password, verify_password

CHEAP = 4
PASSWORDS = [
    b"",
    b" ",
    b"secret",
    b" secret ",
    b"secret\n",
    "пароль с пробелами".encode(),
    "📷🎉".encode(),
    b"nul\0inside",
    b"\0",
    b"\xff\xfe not utf-8",
    b"x" * 72,
    b"x" * 73,
    b"x" * 100_000,
]


@pytest.mark.parametrize("password", PASSWORDS, ids=range(len(PASSWORDS)))
def test_any_password_is_known_again_and_taken_for_no_other(password: bytes) -> None:
    kept = hash_password(password, cost=CHEAP)
    assert verify_password(password, kept)
    for other in PASSWORDS:
        assert verify_password(other, kept) == (other == password)


def test_bytes_past_the_seventy_second_count() -> None:
    kept = hash_password(b"x" * 72 + b"a", cost=CHEAP)
    assert not verify_password(b"x" * 72 + b"b", kept)
    assert not verify_password(b"x" * 72, kept)


def test_what_follows_a_nul_counts() -> None:
    assert not verify_password(b"nul\0outside", hash_password(b"nul\0inside", cost=CHEAP))


def test_the_kept_text_is_bcrypt_at_its_cost_with_a_salt_of_its_own() -> None:
    kept = hash_password(b"secret")
    assert kept.startswith(f"$2b${COST}$")
    assert COST >= 12
    assert "secret" not in kept
    assert hash_password(b"secret", cost=CHEAP) != hash_password(b"secret", cost=CHEAP)


def test_hashes_kept_by_earlier_releases_stay_good() -> None:
    kept = bcrypt.hashpw(base64.b64encode(hashlib.sha256(b"secret").digest()), bcrypt.gensalt(CHEAP)).decode()
    assert verify_password(b"secret", kept)
    assert not verify_password(b"Secret", kept)


@pytest.mark.parametrize("kept", ["", "secret", "$2b$04$tooshort", "хеш", "\0"])
def test_a_kept_text_that_is_no_hash_is_an_error_and_not_a_no(kept: str) -> None:
    with pytest.raises(ValueError):
        verify_password(b"secret", kept)
