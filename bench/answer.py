"""The service's own share of an answer: everything but the provider's time and the wait for the poll tick.

own share = from the booth's first byte to the answer's last − the provider's 2 s − the mean wait for the tick

The tick is 0.1 s here, and a job that becomes final at any moment waits half of that in the mean: 0.05 s are taken off
every answer. What differs from the mean stays in the spread, so the 95th percentile is up to 0.05 s too high.
"""

import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench.database import rows
from bench.figures import FEW, Figure, percentile
from bench.house import House, house, pictures
from bench.photos import photo_file

PROVIDER_SECONDS = 2.0
TICK_SECONDS = 0.1
TAKEN_OFF_SECONDS = PROVIDER_SECONDS + TICK_SECONDS / 2

STAGES = """
    SELECT avg(extract(epoch FROM claimed.at - queued.at))::float,
           avg(extract(epoch FROM started_at - claimed.at))::float,
           avg(extract(epoch FROM job.finished_at - started_at))::float,
           avg((queued.details ->> 'received_seconds')::float)
    FROM job
    JOIN processing_log AS queued ON queued.job_id = job.job_id AND queued.event = 'queued'
    JOIN processing_log AS claimed ON claimed.job_id = job.job_id AND claimed.event = 'claimed'
    JOIN job_attempt ON job_attempt.job_id = job.job_id
    WHERE job.status = 'done' AND job.created_at > now() - interval '{seconds} seconds'
"""


def measure(*, quick: bool) -> Iterator[Figure]:
    """All its figures."""
    with (
        house(instant=True, delay_seconds=PROVIDER_SECONDS, poll_seconds=TICK_SECONDS) as home,
        photo_file(2) as photo,
    ):
        home.shoot(booths=15, photo=photo)
        began = time.monotonic()
        alone = [own for _ in range(5 if quick else 15) for own in _own_shares(home, photo, booths=1)]
        yield Figure(what="one booth, 2 MB: own share", values=alone, unit="s", goal=(FEW, 0.12))
        yield from _stages(home, seconds=time.monotonic() - began)
        began = time.monotonic()
        rounds = [_own_shares(home, photo, booths=15) for _ in range(3 if quick else 8)]
        means, p95s = [statistics.mean(one) for one in rounds], [percentile(one, 0.95) for one in rounds]
        yield Figure(what="15 booths at once, 2 MB each: mean own share", values=means, unit="s", goal=(FEW, 0.3))
        yield Figure(what="… 95th percentile", values=p95s, unit="s", goal=(FEW, 0.7))
        yield from _stages(home, seconds=time.monotonic() - began)


def _own_shares(home: House, photo: Path, *, booths: int) -> list[float]:
    time.sleep(random.random() * TICK_SECONDS)  # not in step with the tick
    answers = pictures(home.shoot(booths=booths, photo=photo))
    return [answer.seconds - TAKEN_OFF_SECONDS for answer in answers]


def _stages(home: House, *, seconds: float) -> Iterator[Figure]:
    """Where it goes, by the rows of the photos since then."""
    queued, prepared, called, received = rows(home.database_url, STAGES.format(seconds=seconds))[0]
    yield Figure(what="… of it receiving and checking the photo", values=[received], unit="s")
    yield Figure(what="… of it until a runner claims it", values=[queued], unit="s")
    yield Figure(what="… of it preparing the picture", values=[prepared], unit="s")
    yield Figure(what="… of it calling, checking, keeping", values=[called - PROVIDER_SECONDS], unit="s")
