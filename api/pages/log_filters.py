"""The log's filters as a page's address has them: what `GET /api/jobs` takes, and what people put in by hand.

A moment may come from a field without a zone (it is the reader's then), an id as a part of one, as a pasted link or as
the name of a downloaded picture. The links of the page have all of them in one form, so that they mean the same to a
colleague in another zone. Without `source` only booths' photos are meant: test runs are apart.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request

from api.job_log import wanted_jobs
from api.pages.formats import zone_of
from api.pages.language import marked
from photochanger import moments
from photochanger.errors import Refusal
from photochanger.job import Source
from photochanger.job_log import Wanted

NAMES = ("slot_id", "status", "failure_reason", "provider", "from", "to", "job_id", "source")
EVERYTHING = "all"
"""As `source`: booths' photos and test runs."""
LONGEST_ID = 300
WHOLE_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
FILE_NAME = re.compile(r"photo-\d{4}-\d\d-\d\d-\d{6}-([0-9a-f]{6})\b")
"""What a result is called when a guest keeps it (api/public.py)."""
PART_OF_ID = re.compile(r"[0-9a-f]{1,32}")
FIELD_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?")
NOT_AN_ID = marked(
    "That is no id: it has the digits 0 to 9 and the letters a to f, 32 in all; the first few are enough."
)
NO_TIME_BETWEEN = marked("The end must be later than the beginning.")
QUICK = (
    (timedelta(minutes=15), marked("15 minutes")),
    (timedelta(hours=1), marked("an hour")),
    (timedelta(days=1), marked("24 hours")),
)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What is chosen."""

    wanted: Wanted
    given: Mapping[str, str]
    """For links, each in its one form."""
    typed_id: str
    """As it was put in."""
    mistake: str | None
    """Why nothing can be found; a message for the catalogues."""

    @property
    def query(self) -> str:
        """For links to pages with the same filters."""
        return urlencode(self.given)

    @property
    def chosen(self) -> int:
        """How many; whether tests are shown is not one of them."""
        return len(self.given.keys() - {"source"})

    @property
    def source(self) -> str:
        """`ingest`, `ui_test` or `all`."""
        return self.given.get("source", Source.INGEST)


def read(request: Request) -> Filters:
    """Raises `Refusal` (`validation_failed`) for an address that no page of ours makes."""
    asked = {name: request.query_params.getlist(name) for name in NAMES}
    typed = "".join(asked["job_id"][:1])[:LONGEST_ID].strip()
    given = {name: values for name, values in asked.items() if any(values)}
    mistake = None
    for name in ("from", "to"):
        if name in given:
            given[name] = [_in_utc(value, request) for value in given[name]]
    if typed:
        found = id_in(typed)
        given["job_id"] = [found or ""]
        mistake = None if found else NOT_AN_ID
    source = given.get("source", [Source.INGEST.value])
    passed = {**given, "source": [] if source == [EVERYTHING] else source}
    try:
        wanted = wanted_jobs(QueryParams([(name, value) for name, values in passed.items() for value in values]))
    except Refusal as refusal:
        if set(refusal.facts.get("fields", ())) != {"to"} or "T" not in "".join(given.get("to", ())):
            raise
        wanted, mistake = Wanted(), NO_TIME_BETWEEN
    kept = {name: values[0] for name, values in given.items() if values[0] and values != [Source.INGEST.value]}
    return Filters(wanted=wanted, given=kept, typed_id=typed, mistake=mistake)


def id_in(text: str) -> str | None:
    """The id, or its beginning, in what somebody has typed or pasted; None when there is none."""
    text = text.lower()
    for spelled in (text, text.replace("-", "")):
        if found := WHOLE_ID.search(spelled):
            return found[0]
    if named := FILE_NAME.search(text):
        return named[1]
    bare = text.strip(" \t#….,;:'\"«»()").rstrip("/").rpartition("/")[2].partition("?")[0].rstrip(".…")
    return bare if PART_OF_ID.fullmatch(bare) else None


def _in_utc(text: str, request: Request) -> str:
    """A field's moment, which is the reader's; what has a zone, or is none, stays as it is."""
    if not FIELD_MOMENT.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=zone_of(request)).astimezone(UTC)
    except (OverflowError, ValueError):
        return text
    return moments.written(moment, down_to="seconds")


def quick(filters: Filters, *, now: datetime) -> list[tuple[str, str]]:
    """The same filters over the last minutes, hour and day: a word for the catalogues and a query, each."""
    kept = {name: value for name, value in filters.given.items() if name not in {"from", "to"}}
    return [(word, urlencode({**kept, "from": moments.written(now - span, down_to="seconds")})) for span, word in QUICK]


def shown_moment(filters: Filters, name: str, request: Request) -> str:
    """For its field: in the reader's zone, without one."""
    moment: datetime | None = getattr(filters.wanted, {"from": "since", "to": "until"}[name])
    if moment is None:
        given = filters.given.get(name)
        moment = datetime.fromisoformat(given) if given else None
    return moment.astimezone(zone_of(request)).strftime("%Y-%m-%dT%H:%M:%S") if moment else ""
