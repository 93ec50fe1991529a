"""A job's own words."""

import re

from photochanger.job import new_job_id


def test_ids_of_jobs_are_in_the_order_of_their_seconds_and_cannot_be_guessed() -> None:
    ids = [new_job_id() for _ in range(10_000)]
    assert all(re.fullmatch("[0-9a-f]{32}", job_id) for job_id in ids)
    seconds = [int(job_id[:8], 16) for job_id in ids]
    assert seconds == sorted(seconds)
    assert seconds[-1] - seconds[0] < 60
    assert len({job_id[8:] for job_id in ids}) == len(ids)
    for place in range(8, 32):  # each digit is any of the sixteen
        assert len({job_id[place] for job_id in ids}) == 16
