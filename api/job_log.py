"""`GET /api/jobs`: the log of jobs for administrators, the newest first, page by page."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import administrators
from api.bodies import moment
from api.state import public_url, services
from photochanger import job_log
from photochanger.errors import Failure, Refusal
from photochanger.job import Source, Status
from photochanger.job_log import LoggedJob, Place, Wanted
from photochanger.log_choice import PROVIDER_ERROR
from photochanger.slots import SLOT_ID

T = TypeVar("T")

DEFAULT_LIMIT = 50
MOST = 200
PROVIDER = re.compile(r"[a-z][a-z0-9_-]{0,63}")
ID_PREFIX = re.compile(r"[0-9a-f]{1,32}")
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)")


@administrators
async def jobs(request: Request) -> JSONResponse:
    """A page of the log. 422 `validation_failed` names each parameter that cannot be taken."""
    reader = _Reader(request.query_params)
    wanted = reader.wanted()
    limit = reader.get("limit", _limit) or DEFAULT_LIMIT
    beyond = reader.get("cursor", Place.of_cursor)
    reader.finish()
    async with services(request).db.begin() as conn:
        found, following = await job_log.page(conn, wanted, limit=limit, beyond=beyond)
    body = {
        "jobs": [line(request, logged) for logged in found],
        "next_cursor": None if following is None else following.cursor(),
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def wanted_jobs(parameters: QueryParams) -> Wanted:
    """The filters of a query. Raises `Refusal` (`validation_failed`); other parameters do not matter."""
    reader = _Reader(parameters)
    wanted = reader.wanted()
    reader.finish(strict=False)
    return wanted


def line(request: Request, logged: LoggedJob) -> dict[str, Any]:
    """One job as the log tells it."""
    result = f"/public/results/{logged.job_id}"
    return {
        "job_id": logged.job_id,
        "slot_id": logged.slot_id,
        "display_name": logged.slot_name,
        "source": logged.source,
        "provider": logged.provider,
        "model": logged.model,
        "status": logged.status,
        "failure_reason": logged.failure_reason,
        "created_at": moment(logged.created_at),
        "finished_at": moment(logged.finished_at),
        "seconds": None if logged.seconds is None else round(logged.seconds, 3),
        "attempts": logged.attempts,
        "cost_usd": None if logged.cost_usd is None else float(logged.cost_usd),
        "result_url": public_url(request, result) if logged.result_there else None,
        "preview_url": public_url(request, f"{result}/preview") if logged.preview_there else None,
        "result_expires_at": moment(logged.result_expires_at) if logged.result_there else None,
        "replay_of": logged.replay_of,
    }


class _Reader:
    """Reads parameters one by one and keeps the mistakes for the end. One that is empty counts as not given."""

    def __init__(self, parameters: QueryParams) -> None:
        self._parameters = parameters
        self._known: set[str] = set()
        self._mistakes: dict[str, str] = {}

    def get(self, name: str, parse: Callable[[str], T]) -> T | None:
        self._known.add(name)
        values = self._parameters.getlist(name)
        if len(values) > 1:
            self._mistakes[name] = "It is given more than once."
        elif values and values[0]:
            try:
                return parse(values[0])
            except (KeyError, ValueError):
                self._mistakes[name] = _EXPECTED[name]
        return None

    def wanted(self) -> Wanted:
        wanted = Wanted(
            slot_id=self.get("slot_id", _matching(SLOT_ID)),
            status=self.get("status", Status),
            failure_reason=self.get("failure_reason", _reason),
            source=self.get("source", Source),
            provider=self.get("provider", _matching(PROVIDER)),
            since=self.get("from", _moment),
            until=self.get("to", _moment),
            id_prefix=self.get("job_id", _matching(ID_PREFIX)),
        )
        if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
            self._mistakes["to"] = "It must be later than from."
        return wanted

    def finish(self, *, strict: bool = True) -> None:
        """Raises `Refusal` with every mistake; `strict`: unknown names are mistakes too."""
        if strict:
            self._mistakes |= dict.fromkeys(set(self._parameters) - self._known, "There is no such parameter.")
        if self._mistakes:
            raise Refusal(Failure.VALIDATION_FAILED, facts={"fields": self._mistakes})


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(text)
        return text

    return parse


def _reason(text: str) -> str:
    return text if text == PROVIDER_ERROR else Failure.of(text).code


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST:
        raise ValueError(text)
    return int(text)


def _moment(text: str) -> datetime:
    # A plus that was not escaped comes as a space.
    text = text.replace(" ", "+")
    if not RFC_3339.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text.upper())


_RFC_3339_EXPECTED = "It must be a moment with its zone, like 2026-11-05T18:00:00Z."
_EXPECTED = {
    "slot_id": "It must be slot-001 to slot-015.",
    "status": f"It must be one of {', '.join(Status)}.",
    "failure_reason": f"It must be a failure's code, like no_image, or {PROVIDER_ERROR}.",
    "source": f"It must be one of {', '.join(Source)}.",
    "provider": "It must be a provider's name, like gemini.",
    "from": _RFC_3339_EXPECTED,
    "to": _RFC_3339_EXPECTED,
    "job_id": "It must be the beginning of an id: 1 to 32 hex digits in lower case.",
    "limit": f"It must be a whole number from 1 to {MOST}.",
    "cursor": "It must be the next_cursor of a page.",
}
