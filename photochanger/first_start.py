"""The first start of an installation: an ingest password and two administrators, where there are none already."""

import asyncio
import secrets

from photochanger import admins, app_settings
from photochanger.db import Database
from photochanger.keys import replace_private
from photochanger.passwords import hash_password
from photochanger.settings import Settings

PASSWORD_FILE = "ingest_password"  # noqa: S105 - a file's name
FIRST_ACCOUNTS = ("serg", "igor")


async def ensure_ingest_password(settings: Settings, database_url: str) -> str | None:
    """Set the first ingest password: the environment's, else a random one. The password, when it was set just now.

    The database keeps its hash only. A copy lies in `PHOTOCHANGER_HOME/ingest_password`, readable by its owner, so that
    the booth simulator and the line that `up` prints can use it; it may be deleted.
    """
    async with Database(database_url, connections=1) as db:
        async with db.begin() as conn:
            current = await app_settings.load(conn, result_ttl_hours=settings.result_ttl_hours)
        if current.ingest_password_hash is not None:
            return None
        password = settings.ingest_password or secrets.token_urlsafe(12)
        kept = await asyncio.to_thread(hash_password, password.encode())
        # Before the hash: what dies in between has set nothing, and the next start makes another one. Without a newline
        # at its end: curl takes the file as it is.
        settings.home.mkdir(parents=True, exist_ok=True)
        replace_private(settings.home / PASSWORD_FILE, password)
        async with db.begin() as conn:
            await app_settings.store(conn, "ingest.password_hash", kept, by="first start")
    return password


def ensure_accounts(settings: Settings) -> dict[str, str]:
    """Make the first administrators, when there are none. Their names and passwords, when they were made just now.

    With ADMIN_PASSWORD as both passwords, else random ones; nothing keeps them in the clear: who loses his gets another
    one by `photochanger set-password`.
    """
    path = admins.file_of(settings)
    if admins.read(path):
        return {}
    made = {name: settings.admin_password or secrets.token_urlsafe(12) for name in FIRST_ACCOUNTS}
    admins.set_passwords(path, {name: password.encode() for name, password in made.items()})
    return made
