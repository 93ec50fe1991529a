"""What became of the answers to booths: lines of the processing log, each written when its answer is out already."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from photochanger.prepared import Connection, Prepared


@dataclass(frozen=True, kw_only=True)
class SentAnswer:
    """One answer about a job. `gone`: the booth hung up before it had all of it."""

    job_id: str
    http_status: int
    size_bytes: int
    """Of the body; what was handed to the network, where the booth has gone."""
    seconds: float
    """From the answer's first byte to its last."""
    gone: bool
    joined: bool
    """It went to another request than the one that brought the photo."""


_RECORD = Prepared(
    text("""
INSERT INTO processing_log (job_id, event, at, details)
SELECT job_id, event, clock_timestamp() - make_interval(secs => seconds_ago), details
FROM jsonb_to_recordset(CAST(:lines AS jsonb)) AS line(job_id uuid, event text, seconds_ago float8, details jsonb)
""").bindparams(bindparam("lines", type_=JSONB))
)


async def record(conn: Connection, answers: Sequence[tuple[SentAnswer, float]]) -> None:
    """Write a line for each (`sent` or `booth_gone`), in one statement. With each, how many seconds ago it was out."""
    await _RECORD.count(conn, {"lines": [_line(answer, seconds_ago) for answer, seconds_ago in answers]})


def _line(answer: SentAnswer, seconds_ago: float) -> dict[str, Any]:
    details: dict[str, Any] = {
        "http_status": answer.http_status,
        "bytes": answer.size_bytes,
        "seconds": round(answer.seconds, 3),
    }
    if answer.joined:
        details["joined"] = True
    event = "booth_gone" if answer.gone else "sent"
    return {"job_id": answer.job_id, "event": event, "seconds_ago": seconds_ago, "details": details}
