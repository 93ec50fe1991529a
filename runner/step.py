"""One claim's short step: prepare the photo, have it changed or ask for it, check what came back, keep it.

    claimed ─┬─ prepare ─ gate ─ driver.submit ─┬─ Accepted ── park (asked again later)
             └─ has a reference: driver.poll ───┼─ Pending ─── park
                                                ├─ Image ───── check ─ finish, files in place, commit
                                                └─ failed ──── park (tried again later), fall back, or fail

The attempt's row is written before the call, because from then on it may have been paid for. What comes of it stands in
the step's ledger.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import structlog

from photochanger import attempts, metrics
from photochanger.errors import Failure, PictureError, Refusal
from photochanger.job import Job
from photochanger.providers import Model, Operation, Provider
from runner import gate, inputs
from runner.attempts import end_of, reason_of
from runner.driver import Accepted, Call, Outcome, Pending, ProviderFailed
from runner.gate import NotYet
from runner.inputs import Inputs
from runner.ledger import Ledger
from runner.workshop import Workshop

T = TypeVar("T")
log = structlog.get_logger()

POLL_AGAIN_SECONDS = 2.0
MOST_UNREADABLE_POLLS = 3
"""In a row: then the provider's answer is taken for what it is."""
KEEPING_SECONDS = 0.1
"""What it takes to check, store and record a picture: an answer later than that before the deadline is in vain."""


class Step:
    """One claim being worked on."""

    def __init__(self, workshop: Workshop, job: Job) -> None:
        self._shop = workshop
        self._job = job
        self._name = f"{job.job_id}-{job.claim_number}"
        self._loop = asyncio.get_running_loop()
        self._ledger = Ledger(workshop, job, name=self._name)
        self._answer_by = self._ledger.deadline - KEEPING_SECONDS

    async def run(self) -> None:
        """Take the job one step further. Raises nothing that belongs to the job."""
        job = self._job
        started = self._loop.time()
        line = log.bind(job=job.job_id, slot=job.slot_id, provider=job.provider, claim=job.claim_number)
        try:
            became = await self._ended(line)
        except TimeoutError:  # the database was away beyond the deadline
            became = "too_late"
        finally:
            await self._ledger.close_unwritten()
            self._shop.media.discard_work(self._name)
        if became in {"done", "failed", "too_late"}:
            self._shop.media.discard(job.photo_path)
        metrics.stepped(job.provider, became, in_queue=job.reference is not None)
        line.info(
            "job_stepped",
            became=became,
            seconds=round(self._loop.time() - started, 4),
            seconds_left=round(self._ledger.seconds_left, 2),
            **self._ledger.facts,
        )

    async def _ended(self, line: Any) -> str:
        """What became of the job. Raises `TimeoutError` when that cannot be written down before its deadline."""
        try:
            async with asyncio.timeout_at(self._ledger.deadline):
                return await self._work()
        except TimeoutError:
            return "too_late"
        except Refusal as refusal:
            return await self._ledger.give_up(refusal.failure, refusal.details)
        except Exception as error:
            line.error("job_crashed", exc_info=error)
            return await self._ledger.give_up(Failure.INTERNAL_ERROR, Failure.INTERNAL_ERROR.sentence)

    async def _work(self) -> str:
        plan = self._job.plan
        provider, operation = self._shop.providers.get(plan["provider"], plan["operation"])
        model = self._shop.models.current(provider, plan["settings"])
        if self._job.reference is not None:
            return await self._poll(provider, operation, model, self._job.reference)
        try:
            with self._ledger.timed("prepare"):
                prepared = await inputs.prepare(
                    self._shop, self._job, provider, operation, name=self._name, write=self._ledger.write
                )
        except PictureError as error:
            return await self._ledger.give_up(Failure.INVALID_IMAGE, str(error))
        if self._shop.stopping.is_set():
            return await self._ledger.release(why="the runner stops")
        return await self._submit(provider, operation, model, prepared)

    async def _submit(
        self, provider: Provider, operation: Operation, model: Model, prepared: Inputs, *, granted: bool = False
    ) -> str:
        """One attempt: one call of the provider, and one more when it says that the model is gone."""
        job, driver = self._job, self._shop.drivers[provider.name]
        number: int | None = None
        try:
            await self._shop.spent_budgets.check(self._shop.db, provider)
            begun = await self._ledger.write(
                lambda conn: gate.begin(
                    conn,
                    job,
                    provider=provider.name,
                    limits=self._shop.administration.limits(provider.name),
                    model=model,
                    granted=granted,
                )
            )
            if isinstance(begun, NotYet):
                return await self._wait_for_the_minute(begun, model)
            number = begun
            self._ledger.facts.update(attempt=number, model=model.name)
            call = Call(
                **vars(self._shop.exchange(self._job, provider, operation, model, deadline=self._answer_by)),
                **vars(prepared),
            )
            answer = await self._answered(driver.submit(call, self._shop.http))
            if isinstance(answer, Accepted):
                # Nothing comes before this: without the reference the picture would be bought twice. The attempt
                # stays open until its picture is there.
                metrics.QUEUE_IDS.labels(provider.name, "accepted").inc()
                return await self._ledger.park(answer.reference, answer.poll_after_seconds, why="accepted")
            return await self._ledger.finish(number, answer, provider, model)
        except gate.NotOursError:
            return "lost"
        except ProviderFailed as failed:
            replacement = self._replacement(provider, model, failed)
            if replacement is None or number is None:
                return await self._ledger.failed(number, failed, provider, model)
            ended, closed = end_of(failed), number
            await self._ledger.write(lambda conn: attempts.end(conn, job.job_id, closed, ended))
            metrics.attempted(provider.name, ended.outcome)
        return await self._submit(provider, operation, replacement, prepared, granted=True)

    def _replacement(self, provider: Provider, model: Model, failed: ProviderFailed) -> Model | None:
        if failed.outcome is not Outcome.MODEL_RETIRED:
            return None
        return self._shop.models.note_gone(provider, model)

    async def _wait_for_the_minute(self, not_yet: NotYet, model: Model) -> str:
        """The provider's requests per minute are used up: other jobs may pass while this one waits its turn."""
        if not_yet.wait_seconds + model.least_seconds > self._ledger.seconds_left:
            raise ProviderFailed(Outcome.RATE_LIMITED, "its turn would come too late")
        return await self._ledger.park(None, not_yet.wait_seconds, why="the provider's minute is full")

    async def _poll(self, provider: Provider, operation: Operation, model: Model, reference: str) -> str:
        """Ask the provider's own queue once. What cannot be asked now is asked later: it is bought already."""
        driver = self._shop.drivers[provider.name]
        answered = False
        try:
            exchange = self._shop.exchange(self._job, provider, operation, model, deadline=self._answer_by)
            answer = await self._answered(driver.poll(exchange, reference, self._shop.http))
            answered = True
            metrics.polled(provider.name, "pending" if isinstance(answer, Pending) else "picture")
            if isinstance(answer, Pending):
                return await self._ledger.park(reference, answer.poll_after_seconds, why="pending")
            return await self._ledger.finish(self._job.attempt, answer, provider, model)
        except ProviderFailed as failed:
            if not answered:
                metrics.polled(provider.name, "failed")
            unreadable = self._job.polls_failed + 1 if failed.outcome is Outcome.BAD_RESPONSE else 0
            if failed.repeatable and unreadable < MOST_UNREADABLE_POLLS:
                wait = failed.retry_after_seconds or POLL_AGAIN_SECONDS
                return await self._ledger.park(reference, wait, polls_failed=unreadable, why=reason_of(failed))
            return await self._ledger.failed(self._job.attempt, failed, provider, model)

    async def _answered(self, answering: Awaitable[T]) -> T:
        """The driver's answer, while there is still time to keep what it brings."""
        call = "submit" if self._job.reference is None else "poll"
        try:
            with self._ledger.timed("provider"), metrics.called(self._job.plan["provider"], call):
                async with asyncio.timeout_at(self._answer_by):
                    return await answering
        except TimeoutError:
            raise ProviderFailed(Outcome.TIMEOUT, "no answer before the deadline") from None
