"""An administrator for tests of what lies behind the login."""

from photochanger import sessions
from photochanger.sessions import Kind
from tests.serving import Api


async def token(api: Api, *, account: str = "serg", kind: Kind = "bearer") -> str:
    """The token of a session that is open."""
    async with api.db.begin() as conn:
        return await sessions.begin(
            conn, api.services.tokens, account=account, kind=kind, address="127.0.0.1", user_agent="tests"
        )


async def bearer(api: Api, *, account: str = "serg") -> dict[str, str]:
    """The headers of a program that has logged in."""
    return {"Authorization": f"Bearer {await token(api, account=account)}"}
