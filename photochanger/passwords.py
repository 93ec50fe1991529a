"""Passwords as they are kept: bcrypt at cost 12 over base64(sha256), so that any length and any byte counts.

bcrypt itself refuses more than 72 bytes. One check takes about a quarter of a second of a core: never in an event loop.
"""

import base64
import hashlib
import re

import bcrypt

COST = 12
LEAST_CHARACTERS = 10
MOST_BYTES = 1024
WELL_KNOWN = re.compile(
    r"(change[ _-]?me|pass(word|wort)|admin|photochanger|qwerty|secret|letmein|[0-9 .,!@#_-])+", re.IGNORECASE
)
"""What is tried first: the defaults of manuals, with digits and signs around them, and digits alone."""


def hash_password(password: bytes, *, cost: int = COST) -> str:
    """The text to keep."""
    return bcrypt.hashpw(_folded(password), bcrypt.gensalt(cost)).decode("ascii")


def verify_password(password: bytes, kept: str) -> bool:
    """Whether it is the one. Raises `ValueError` when the kept text is no bcrypt hash."""
    return bcrypt.checkpw(_folded(password), kept.encode("ascii"))


def weakness(password: bytes) -> str | None:
    """What speaks against it as an administrator's password, as the end of a sentence; None for a good one."""
    try:
        text = password.decode("utf-8")
    except UnicodeDecodeError:
        return "must be UTF-8 text"
    if len(text) < LEAST_CHARACTERS:
        return f"must have at least {LEAST_CHARACTERS} characters"
    if len(password) > MOST_BYTES:
        return f"may have {MOST_BYTES} bytes"
    if len(set(text)) < 4 or WELL_KNOWN.fullmatch(text):
        return "is one of those that are tried first"
    return None


def _folded(password: bytes) -> bytes:
    return base64.b64encode(hashlib.sha256(password).digest())
