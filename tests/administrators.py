"""An administrator for tests of what lies behind the login."""

import json
from collections.abc import Mapping

from sqlalchemy import func, select

from photochanger import admins, sessions
from photochanger.db import Database
from photochanger.keys import replace_private
from photochanger.passwords import hash_password
from photochanger.sessions import Kind
from photochanger.settings import Settings
from photochanger.tables import login_failure
from tests.serving import Api

ADMIN_PASSWORD = "фотобудка на свадьбе 📷"


async def token(api: Api, *, account: str = "serg", kind: Kind = "bearer") -> str:
    """The token of a session that is open."""
    async with api.db.begin() as conn:
        return await sessions.begin(
            conn, api.services.tokens, account=account, kind=kind, address="127.0.0.1", user_agent="tests"
        )


async def bearer(api: Api, *, account: str = "serg") -> dict[str, str]:
    """The headers of a program that has logged in."""
    return {"Authorization": f"Bearer {await token(api, account=account)}"}


async def browser(api: Api, *, account: str = "serg", csrf: bool = True) -> dict[str, str]:
    """The headers that a page of ours sends with its cookie; without the session's token on demand."""
    cookie = await token(api, account=account, kind="cookie")
    session_id = api.services.tokens.session_id(cookie)
    assert session_id is not None
    told = {"X-CSRF-Token": api.services.tokens.csrf_token(session_id)} if csrf else {}
    return {"Cookie": f"photochanger_session={cookie}", "Origin": api.url, **told}


def give_passwords(settings: Settings, passwords: Mapping[str, str] | None = None) -> None:
    """Accounts with these passwords, by default `serg` with ADMIN_PASSWORD; their hashes cost little."""
    document = {
        name: {"password_hash": hash_password(password.encode(), cost=4), "updated_at": "2026-11-05T18:00:00.000Z"}
        for name, password in (passwords or {"serg": ADMIN_PASSWORD}).items()
    }
    path = admins.file_of(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_private(path, json.dumps(document))


async def login_failures(db: Database) -> int:
    """How many wrong passwords are counted at the moment."""
    async with db.at_once() as conn:
        found: int = (await conn.execute(select(func.count()).select_from(login_failure))).scalar_one()
    return found
