"""Passwords as they are kept: bcrypt at cost 12 over base64(sha256), so that any length and any byte counts.

bcrypt itself refuses more than 72 bytes. One check takes about a quarter of a second of a core: never in an event loop.
"""

import base64
import hashlib

import bcrypt

COST = 12


def hash_password(password: bytes, *, cost: int = COST) -> str:
    """The text to keep."""
    return bcrypt.hashpw(_folded(password), bcrypt.gensalt(cost)).decode("ascii")


def verify_password(password: bytes, kept: str) -> bool:
    """Whether it is the one. Raises `ValueError` when the kept text is no bcrypt hash."""
    return bcrypt.checkpw(_folded(password), kept.encode("ascii"))


def _folded(password: bytes) -> bytes:
    return base64.b64encode(hashlib.sha256(password).digest())
