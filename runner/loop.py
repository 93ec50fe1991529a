"""The runner: claims as many jobs as it has free places, takes each one step further, and keeps its heart beating.

On SIGTERM it claims nothing more, gives back what has not begun its call, and waits for the rest: a call that is out
has been paid for. After kill -9 the others take its jobs back when its lease runs out.
"""

import asyncio
import math
import os
import secrets
import socket

import structlog

from photochanger import jobs, leases, metrics
from photochanger.db import UNAVAILABLE
from photochanger.job import Job
from photochanger.process import sleep_unless
from runner.key_checks import keep_checking
from runner.step import Step
from runner.workshop import Workshop

log = structlog.get_logger()

IDLE_SECONDS = 0.05
"""Between two looks at an empty queue: a photo is picked up after 29 ms in the median, for 1.3 % of a core."""
DATABASE_PAUSE_SECONDS = 0.5
TAKE_BACK_SECONDS = 0.5


class Runner:
    """One runner process's work."""

    def __init__(self, workshop: Workshop, *, places: int) -> None:
        self._shop = workshop
        self._places = places
        self._held: dict[asyncio.Task[None], str] = {}
        """The steps in hand, and their jobs."""
        self._claim_lost = False
        self._host = socket.gethostname()
        self._last_beat = -math.inf
        self.name = f"{self._host}:{os.getpid()}:{secrets.token_hex(4)}"

    async def run(self) -> None:
        """Work until told to stop, then finish what is in hand."""
        log.info("runner_started", runner=self.name, places=self._places)
        heart = asyncio.create_task(self._beat())
        attending = asyncio.create_task(self._shop.administration.keep_looking())
        checking = asyncio.create_task(keep_checking(self._shop))
        alongside = (heart, attending, checking)
        try:
            while not self._shop.stopping.is_set():
                for task in alongside:
                    if task.done():
                        task.result()  # what stops by a mistake of ours ends the runner
                claimed = await self._claim()
                await sleep_unless(self._shop.stopping, seconds=0 if claimed else IDLE_SECONDS)
            log.info("runner_stopping", runner=self.name, steps=len(self._held))
            await asyncio.gather(*self._held)
        finally:
            for task in alongside:
                task.cancel()
            await asyncio.gather(*alongside, return_exceptions=True)
            await self._leave()
        log.info("runner_stopped", runner=self.name)

    async def _claim(self) -> bool:
        places = self._places - len(self._held)
        if places == 0 or not self._shop.administration.known:
            return False
        if asyncio.get_running_loop().time() - self._last_beat > leases.LEASE_SECONDS / 2:
            return False  # without a fresh lease others would take back at once what is claimed now
        try:
            if self._claim_lost:
                async with self._shop.db.begin() as conn:
                    unheld = await leases.release_unheld(conn, self.name, held_job_ids=set(self._held.values()))
                metrics.TAKEN_BACK.labels("claim_lost").inc(unheld)
                self._claim_lost = False
            claimed = await self._claimed(places)
        except UNAVAILABLE as error:
            self._claim_lost = True  # it may have been made all the same
            log.warning("claim_failed", error=type(error).__name__)
            await sleep_unless(self._shop.stopping, seconds=DATABASE_PAUSE_SECONDS)
            return False
        for job in claimed:
            metrics.claimed(job.provider, waited_seconds=job.waited_seconds)
            step = asyncio.create_task(Step(self._shop, job).run())
            self._held[step] = job.job_id
            step.add_done_callback(self._held.pop)
        return bool(claimed)

    async def _claimed(self, places: int) -> list[Job]:
        in_flight = self._shop.administration.in_flight
        if any(in_flight.values()):
            async with self._shop.db.begin() as conn:
                return await jobs.claim_within_limits(conn, runner=self.name, places=places, in_flight=in_flight)
        async with self._shop.db.direct() as conn:
            return await jobs.claim(conn, runner=self.name, places=places)

    async def _beat(self) -> None:
        """Renew the lease, and take back what dead runners held.

        A runner judges others only when its own heart has beaten for a whole lease: after an outage of the database, or
        when the whole machine slept, all leases have run out, and whoever came first would rob the living.
        """
        loop = asyncio.get_running_loop()
        steady_since = looked = loop.time()
        while True:
            if loop.time() - looked > leases.LEASE_SECONDS / 2:
                steady_since = loop.time()
            looked = loop.time()
            metrics.PLACES.labels("busy").set(len(self._held))
            metrics.PLACES.labels("all").set(self._places)
            metrics.look_at_pool("runner", self._shop.db)
            try:
                async with self._shop.db.begin() as conn:
                    if loop.time() - self._last_beat >= leases.BEAT_SECONDS:
                        began = loop.time()
                        await leases.beat(conn, self.name, host=self._host, pid=os.getpid())
                        self._last_beat = began
                    if loop.time() - steady_since > leases.LEASE_SECONDS:
                        taken = await leases.take_back(conn)
                        metrics.TAKEN_BACK.labels("runner_lost").inc(taken)
                        if taken:
                            log.warning("jobs_taken_back", runner=self.name, jobs=taken)
            except UNAVAILABLE as error:
                log.warning("beat_failed", error=type(error).__name__)
                steady_since = loop.time()
            await asyncio.sleep(TAKE_BACK_SECONDS)

    async def _leave(self) -> None:
        try:
            async with self._shop.db.at_once() as conn:
                await leases.leave(conn, self.name)
        except UNAVAILABLE as error:
            log.warning("leave_failed", error=type(error).__name__)
