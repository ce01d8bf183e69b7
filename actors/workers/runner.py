"""Runs jobs: claims due jobs, one batch of each kind at a time, and records the outcome.

Several runners share the work; each job is leased to one of them. After a batch that failed, jobs of that kind are
claimed one by one, so that a job which always fails is alone with its failure.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress

import structlog

from actors.workers.job import PERIODIC_KEY, Job
from persistence.jobs.rows import JobRow
from persistence.jobs.store import Claimed, JobStore, LeaseLost, PutBack
from persistence.postgres.errors import StoreError, StoreUnavailable

log = structlog.get_logger()

# Finds jobs whose notification was lost, and those that become due.
POLL_S = 0.25
# The least time between claims: under load, jobs gather to larger batches.
CLAIM_EVERY_S = 0.02
OUTAGE_S = 1.0
DRAIN_S = 2.0
# Leases are extended three times before they end.
EXTENSIONS = 3


class Runner:
    """``run`` until ``stop``; ``wake`` when jobs may be due."""

    def __init__(self, jobs: JobStore, kinds: Sequence[Job], worker: str) -> None:
        self._jobs = jobs
        self._kinds = {kind.kind: kind for kind in kinds}
        self._worker = worker
        # The batch size of each kind. One at first: a job may have killed an earlier worker.
        self._batch_max = {kind.kind: 1 for kind in kinds}
        self._running: dict[str, asyncio.Task[None]] = {}
        # Kinds whose jobs gather, and are not claimed.
        self._gathering: set[str] = set()
        self._claims: dict[str, Sequence[Claimed]] = {}
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look for due jobs now."""
        self._wake.set()

    def stop(self) -> None:
        """Claim no more jobs. ``run`` returns when the running batches have ended, or after DRAIN_S."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Run jobs until stopped. Waits while the database is unavailable."""
        extending = asyncio.create_task(self._extend_forever(), name="job-leases")
        try:
            while not self._stopping:
                try:
                    await self._add_periodic()
                    await self._claim_forever()
                except StoreError as error:
                    log.warning("jobs_wait_for_database", error=str(error))
                    await self._pause(OUTAGE_S)
            await self._drain()
        finally:
            extending.cancel()
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(extending, *self._running.values(), return_exceptions=True)

    async def _add_periodic(self) -> None:
        await self._jobs.add(
            [JobRow(kind.kind, PERIODIC_KEY) for kind in self._kinds.values() if kind.every_ms is not None]
        )

    async def _claim_forever(self) -> None:
        while not self._stopping:
            self._wake.clear()
            busy = self._running.keys() | self._gathering
            idle = {kind: limit for kind, limit in self._batch_max.items() if kind not in busy}
            claimed = await self._jobs.claim(idle, self._worker) if idle else []
            for kind in {job.kind for job in claimed}:
                self._begin(self._kinds[kind], [job for job in claimed if job.kind == kind])
            await asyncio.sleep(CLAIM_EVERY_S)
            await self._pause(POLL_S)

    def _begin(self, kind: Job, batch: Sequence[Claimed]) -> None:
        self._claims[kind.kind] = batch
        self._running[kind.kind] = asyncio.create_task(self._work(kind, batch), name=f"job-{kind.kind}")
        if kind.gather_s:
            self._gathering.add(kind.kind)
            asyncio.get_running_loop().call_later(kind.gather_s, self._gathered, kind.kind)

    def _gathered(self, kind: str) -> None:
        self._gathering.discard(kind)
        self.wake()

    async def _work(self, kind: Job, batch: Sequence[Claimed]) -> None:
        spent = [self._spent(job) for job in batch if kind.every_ms is None and job.attempts > kind.retry.attempts_max]
        fresh = [job for job in batch if job.attempts <= kind.retry.attempts_max or kind.every_ms is not None]
        try:
            put_back = await self._attempt(kind, fresh) if fresh else []
            await self._record(kind, batch, [*spent, *put_back])
        except asyncio.CancelledError:
            with suppress(StoreError):
                await self._jobs.put_back([_again(job, 0) for job in batch])
            raise
        except StoreError as error:
            # The lease ends, and the jobs run again.
            log.warning("jobs_not_recorded", kind=kind.kind, jobs=len(batch), error=str(error))
        except Exception:
            log.exception("jobs_not_recorded", kind=kind.kind, jobs=len(batch))
        finally:
            self._running.pop(kind.kind, None)
            self._claims.pop(kind.kind, None)
            if kind.every_ms is None:
                # Others of this kind may have come due meanwhile.
                self.wake()

    async def _attempt(self, kind: Job, batch: Sequence[Claimed]) -> list[PutBack]:
        """Run the batch; returns the jobs that are not done."""
        try:
            async with asyncio.timeout(kind.timeout_s):
                later = await kind.run(batch)
        except (StoreUnavailable, LeaseLost) as outage:
            log.warning("jobs_wait", kind=kind.kind, jobs=len(batch), error=str(outage))
            self._batch_max[kind.kind] = 1
            return [_again(job, round(OUTAGE_S * 1000)) for job in batch]
        except Exception as fault:
            self._batch_max[kind.kind] = 1
            if len(batch) > 1:
                # They are run one by one, to find the one that fails.
                log.warning("jobs_failed", kind=kind.kind, jobs=len(batch), error=repr(fault))
                return [_again(job, 0) for job in batch]
            return [self._failed(kind, batch[0], fault)]
        self._batch_max[kind.kind] = min(2 * self._batch_max[kind.kind], kind.batch_max)
        return [_again(one.job, one.delay_ms) for one in later]

    def _spent(self, job: Claimed) -> PutBack:
        error = "in each attempt its worker died or lost its lease"
        log.error("job_dead", kind=job.kind, key=job.key, attempts=job.attempts - 1, error=error)
        return PutBack(job, 0, job.attempts - 1, error, dead=True)

    def _failed(self, kind: Job, job: Claimed, fault: Exception) -> PutBack:
        dead = kind.every_ms is None and job.attempts >= kind.retry.attempts_max
        delay_ms = max(kind.retry.delay_ms(job.attempts, random.random()), kind.every_ms or 0)
        report = log.error if dead else log.warning
        report(
            "job_dead" if dead else "job_failed", kind=job.kind, key=job.key, attempts=job.attempts,
            error=repr(fault), exc_info=fault, next_step=f"ece jobs show {job.kind} {job.key}",
        )  # fmt: skip
        return PutBack(job, delay_ms, job.attempts, repr(fault), dead)

    async def _record(self, kind: Job, batch: Sequence[Claimed], put_back: list[PutBack]) -> None:
        not_done = {one.job.key for one in put_back}
        done = [job for job in batch if job.key not in not_done]
        if kind.every_ms is None:
            await self._jobs.complete(done)
        else:
            put_back += [PutBack(job, kind.every_ms, 0) for job in done]
        await self._jobs.put_back(put_back)
        for delay_ms in {one.delay_ms for one in put_back if one.delay_ms < POLL_S * 1000}:
            asyncio.get_running_loop().call_later(delay_ms / 1000, self.wake)

    async def _extend_forever(self) -> None:
        while True:
            await asyncio.sleep(self._jobs.lease_ms / 1000 / EXTENSIONS)
            claims = {job.claim for batch in self._claims.values() for job in batch}
            if claims:
                try:
                    await self._jobs.extend(list(claims))
                except StoreError as error:
                    log.warning("leases_not_extended", error=str(error))

    async def _pause(self, seconds: float) -> None:
        # Not `wait_for`: Python 3.11's forgets a cancellation that comes together with the event.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _drain(self) -> None:
        if self._running:
            await asyncio.wait(self._running.values(), timeout=DRAIN_S)


def _again(job: Claimed, delay_ms: int) -> PutBack:
    """Put the job back without counting this attempt."""
    return PutBack(job, delay_ms, job.attempts - 1)
