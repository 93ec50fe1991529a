"""What a step writes down: where its job goes, how its attempt ended, and the facts of its one log line.

What the provider has answered may have been paid for. So every write is tried again while the database is away, until
the job's deadline, and an attempt that has ended is closed in its row even when its job is over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import attempts, breaker, jobs, metrics
from photochanger.attempts import AttemptEnd
from photochanger.db import UNAVAILABLE
from photochanger.errors import Failure
from photochanger.job import Job
from photochanger.providers import Model, Provider
from runner import gate, keeping
from runner.attempts import end_of, go_on
from runner.driver import Image, Outcome, ProviderFailed
from runner.workshop import Workshop

T = TypeVar("T")

DATABASE_RETRY_SECONDS = 0.3


class Ledger:
    """One step's. What its methods return is what the job became, as the step's line tells it."""

    def __init__(self, workshop: Workshop, job: Job, *, name: str) -> None:
        self._shop = workshop
        self._job = job
        self._name = name
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + job.seconds_left
        """By the event loop's clock."""
        self.facts: dict[str, Any] = {}
        """What the step's line tells besides."""
        self._unwritten: tuple[int, AttemptEnd] | None = None
        """An attempt that has ended, and how, until its row says so: it may have been paid for."""

    @property
    def seconds_left(self) -> float:
        """Until the deadline."""
        return self.deadline - self._loop.time()

    async def park(self, reference: str | None, after_seconds: float, *, why: str, polls_failed: int = 0) -> str:
        """Let it wait, for its provider's queue (`reference`) or to be tried again."""
        parked = await self.write(
            lambda conn: jobs.park(
                conn, self._job, reference=reference, after_seconds=after_seconds, polls_failed=polls_failed, why=why
            )
        )
        if parked and reference is not None and after_seconds > self.seconds_left:
            metrics.QUEUE_IDS.labels(self._job.plan["provider"], "expired").inc()
        return "parked" if parked else "lost"

    async def release(self, *, why: str) -> str:
        """Give it back to the queue."""
        given_back = await self.write(lambda conn: jobs.release(conn, self._job, why=why))
        return "released" if given_back else "lost"

    async def finish(self, number: int, image: Image, provider: Provider, model: Model) -> str:
        """Check and keep what the provider sent. Raises `ProviderFailed` or `Refusal` when that cannot be done."""
        reason = "the picture was not kept"
        self._unwritten = number, AttemptEnd(outcome=Outcome.NOT_KEPT.value, reason=reason, **vars(image.receipt))
        try:
            with self.timed("check"):
                checked = await keeping.check(self._shop, self._job, image, name=self._name)
        except ProviderFailed:
            self._unwritten = None  # whoever handles it knows whether the attempt ends with that
            raise

        async def record(conn: AsyncConnection) -> bool:
            await breaker.note(conn, provider.name, model.name, answered=True)
            return await keeping.record(conn, self._shop.media, self._job, checked, number=number)

        with self.timed("record"):
            done = await self.write(record)
        if not done:
            return "lost"
        self._unwritten = None
        metrics.attempted(provider.name, Outcome.OK)
        return "done"

    async def failed(self, number: int | None, failed: ProviderFailed, provider: Provider, model: Model) -> str:
        """Write the attempt down; then try again later, fall back, or give up. `number` is None: no call was made."""
        self.facts.update(outcome=failed.outcome.value, reason=failed.reason)
        if number is not None:
            self._unwritten = number, end_of(failed)

        async def record(conn: AsyncConnection) -> str:
            if number is not None:
                await attempts.end(conn, self._job.job_id, number, end_of(failed))
                await breaker.note(conn, provider.name, model.name, answered=failed.outcome not in gate.UNANSWERED)
            if failed.outcome is Outcome.TIMEOUT:
                return "too_late"  # the request that waits for it closes the job, at its deadline
            return await go_on(
                conn, self._shop, self._job, failed, number=number, model=model, seconds_left=self.seconds_left
            )

        became = await self.write(record)
        self._unwritten = None
        if number is not None:
            metrics.attempted(provider.name, failed.outcome)
        return became

    async def give_up(self, failure: Failure, details: str) -> str:
        """The job's end, not for the provider's sake. `details` is public."""
        failed = await self.write(lambda conn: jobs.fail(conn, self._job, failure=failure, details=details))
        return "failed" if failed else "lost"

    async def close_unwritten(self) -> None:
        """What an attempt has cost counts also when its job is over, or there was no room for the picture."""
        if self._unwritten is not None:
            number, ended = self._unwritten
            with suppress(TimeoutError):  # the database is away, and the deadline is over
                await self.write(lambda conn: attempts.end(conn, self._job.job_id, number, ended))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """How long what happens inside takes: the fact `<stage>_seconds`."""
        began = self._loop.time()
        try:
            yield
        finally:
            seconds = self._loop.time() - began
            self.facts[f"{stage}_seconds"] = round(seconds, 4)
            metrics.stage(stage, seconds)

    async def write(self, record: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """One transaction; tried again while the database is away, until shortly after the deadline."""
        while True:
            try:
                async with self._shop.db.begin() as conn:
                    return await record(conn)
            except UNAVAILABLE:
                if self._loop.time() > self.deadline:
                    raise TimeoutError from None
                await asyncio.sleep(DATABASE_RETRY_SECONDS)
