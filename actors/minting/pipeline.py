"""One minting actor's work: claim jobs, prepare them, pack, sign, store, send; and follow what was sent.

A signed transaction is stored before it is sent, so whoever finds it can send the same bytes. A job is never in two
transactions that could both land: another one is signed only after the first can't land any more.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
import structlog
from solders.pubkey import Pubkey

from actors.minting.follower import Follower
from actors.minting.kinds.kind import Connection, Finished, Kind, NotYet, Prepared, Ready, Record, Unfit
from actors.minting.ports import Assembler, Chain, ChainFault, WouldFail
from chain.signing import SignerRefused, SignerUnavailable
from persistence.chain.jobs import ChainJobs
from persistence.chain.rows import ChainJob, DoneJob, PoisonedJob, SignedRow
from persistence.jobs.store import LeaseLost
from persistence.postgres.errors import StoreError

log = structlog.get_logger()

# Jobs of one kind in a claim.
CLAIM_MAX = 256
# Jobs whose signer does not answer wait so long.
SIGNER_MS = 30_000
# After this time no more is signed for a claim: its lease (15 s) has to hold until that is stored.
SIGNED_WITHIN_S = 8.0
# What passes by itself: a chain, a signer, a database or a disk that does not answer.
_OUTAGES = (ChainFault, SignerUnavailable, StoreError, OSError)


class PipelineLimits(msgspec.Struct, frozen=True):
    """Bounds of one actor. Intervals are seconds."""

    # Transactions without a final outcome: finality takes 13 s, so this is what limits the rate.
    in_flight_max: int = 2_000
    # Fewer than these wait for more room.
    room_min: int = 16
    follow_s: float = 0.4
    # A lost notification is found after this time.
    poll_s: float = 1.0
    back_off_first_s: float = 0.5
    back_off_max_s: float = 5.0


class KindEffects:
    """What follows from the end of jobs, by their kinds."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:
        """Raises what the stores raise: then nothing of it happens."""
        for name in sorted({one.job.kind for one in jobs}):
            await self._kinds[name].done(connection, [one for one in jobs if one.job.kind == name])

    async def poisoned(self, connection: Connection, jobs: Sequence[PoisonedJob]) -> None:
        """As ``done``."""
        for one in jobs:
            log.error(
                "chain_job_poisoned", kind=one.job.kind, key=one.job.key, reason=one.reason,
                next_step="ece mints poisoned",
            )  # fmt: skip
        for name in sorted({one.job.kind for one in jobs}):
            await self._kinds[name].poisoned(connection, [one for one in jobs if one.job.kind == name])


class Pipeline:
    """``run`` until it is cancelled; ``wake`` when jobs may be queued."""

    def __init__(
        self, jobs: ChainJobs, chain: Chain, assembler: Assembler, kinds: Sequence[Kind], payer: Pubkey, worker: str,
        limits: PipelineLimits | None = None,
    ) -> None:  # fmt: skip
        self._jobs = jobs
        self._assembler = assembler
        self._kinds = {kind.kind: kind for kind in kinds}
        self._payer = payer
        self._worker = worker
        self._limits = limits or PipelineLimits()
        self._effects = KindEffects(self._kinds)
        self._wake = asyncio.Event()
        self.follower = Follower(jobs, chain, self._effects, worker, lambda: asyncio.get_running_loop().time())
        self._claim_max = CLAIM_MAX
        self._turns = itertools.cycle(self._kinds)
        self._take_over_at = 0.0
        # Why no jobs are taken now; None: they are. Set from outside, and by failures.
        self.paused: str | None = None
        self.trouble: str | None = None

    def wake(self) -> None:
        """Look for jobs now."""
        self._wake.set()

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._for_ever(self._sign_all, self._idle), name="minting-sign")
            tasks.create_task(self._for_ever(self.follow, self._between_looks), name="minting-follow")

    async def follow(self) -> None:
        """One look at what is in flight, and at what dead actors have left."""
        now = asyncio.get_running_loop().time()
        if now >= self._take_over_at:
            await self.follower.take_over(self._limits.in_flight_max - self.follower.in_flight)
            self._take_over_at = now + self._limits.poll_s
        if self.follower.in_flight:
            await self.follower.follow()

    async def sign_some(self) -> int:
        """Claim, prepare, sign, store and send once; returns how many jobs were claimed."""
        room = self._limits.in_flight_max - self.follower.in_flight
        if self.paused is not None or room < self._limits.room_min:
            return 0
        alone = self._claim_max == 1
        claimed = await self._claim_one() if alone else await self._claim(room)
        if claimed:
            try:
                await self._work_on(claimed)
            except _OUTAGES:
                with suppress(StoreError):
                    await self._jobs.put_back(claimed, round(self._limits.back_off_first_s * 1000))
                raise
            except Exception as fault:
                await self._failed(claimed, fault, alone=alone or len(claimed) == 1)
            else:
                self._claim_max = min(2 * self._claim_max, CLAIM_MAX)
        return len(claimed)

    async def _claim(self, room: int) -> list[ChainJob]:
        return await self._jobs.claim(
            {name: min(kind.claim_max, room, self._claim_max) for name, kind in self._kinds.items()}, self._worker
        )

    async def _claim_one(self) -> list[ChainJob]:
        """A job of the next kind that has one, with those that belong to it."""
        for _ in self._kinds:
            claimed = await self._jobs.claim({next(self._turns): 1}, self._worker)
            if claimed:
                return claimed
        return []

    async def _work_on(self, claimed: Sequence[ChainJob]) -> None:
        until = asyncio.get_running_loop().time() + SIGNED_WITHIN_S
        prepared = await self._prepare(claimed)
        done = [DoneJob(one.job, one.slot, None) for one in prepared if isinstance(one, Finished)]
        unfit = [PoisonedJob(one.job, one.reason) for one in prepared if isinstance(one, Unfit)]
        self.follower.counts.done(await self._jobs.finish_claimed(done, unfit, self._effects))
        later = [one for one in prepared if isinstance(one, NotYet)]
        for delay_ms in sorted({one.delay_ms for one in later}):
            await self._jobs.put_back([one.job for one in later if one.delay_ms == delay_ms], delay_ms)
        ready = [one for one in prepared if isinstance(one, Ready)]
        signed, outage = await self._sign(ready, until)
        if signed:
            await self._send(claimed, ready, signed)
        if outage is not None:
            raise outage

    async def _send(self, claimed: Sequence[ChainJob], ready: Sequence[Ready], signed: Sequence[SignedRow]) -> None:
        claim = claimed[0].claim
        assert claim is not None, "it was claimed"
        in_transactions = {job for row in signed for job in row.jobs}
        record = self._record([one for one in ready if one.job.id in in_transactions])
        try:
            stored = await self._jobs.store_signed(claim, signed, self._worker, record)
        except LeaseLost as lost:
            # Nothing was stored, so nothing may be sent.
            log.warning("claim_lost", jobs=len(in_transactions), error=str(lost))
            return
        await self.follower.add(stored)

    async def _failed(self, claimed: Sequence[ChainJob], fault: Exception, *, alone: bool) -> None:
        """A fault of this program. Jobs are claimed one by one then, so the one that causes it is alone with it."""
        log.exception("chain_jobs_failed", jobs=len(claimed), exc_info=fault)
        self._claim_max = 1
        if alone:
            await self._jobs.finish_claimed([], [PoisonedJob(job, repr(fault)) for job in claimed], self._effects)
        else:
            await self._jobs.put_back(claimed, 0)

    async def _prepare(self, claimed: Sequence[ChainJob]) -> list[Prepared]:
        prepared: list[Prepared] = []
        for name in sorted({job.kind for job in claimed}):
            prepared += await self._kinds[name].prepare([job for job in claimed if job.kind == name], self._payer)
        return prepared

    async def _sign(self, ready: Sequence[Ready], until: float) -> tuple[list[SignedRow], SignerUnavailable | None]:
        """Signed transactions for these, and why there are no more. Jobs that were tried before are simulated, to know
        why they would fail. At least one is signed; what is left at the time ``until`` is put back."""
        signed: list[SignedRow] = []
        if ready:
            # How many jobs fit into a transaction depends on it.
            await self._assembler.version()
        batches = self._assembler.pack(ready)
        for place, batch in enumerate(batches):
            if place and asyncio.get_running_loop().time() >= until:
                await self._jobs.put_back([one.job for left in batches[place:] for one in left], 0)
                break
            jobs = [one.job for one in batch]
            try:
                signed.append(await self._assembler.sign(batch, simulate=any(job.attempts for job in jobs)))
            except (WouldFail, SignerRefused) as failure:
                await self._jobs.fail_claimed(jobs, str(failure), self._effects)
            except SignerUnavailable as outage:
                # The next claims are of jobs that other keys sign.
                await self._jobs.put_back([one.job for one in batch if outage.address in one.bundle.signers], SIGNER_MS)
                return signed, outage
        return signed, None

    def _record(self, ready: Sequence[Ready]) -> Record | None:
        records = [
            record
            for name, kind in sorted(self._kinds.items())
            if (mine := [one for one in ready if one.job.kind == name]) and (record := kind.signed(mine)) is not None
        ]

        async def all_of_them(connection: Connection) -> None:
            for record in records:
                await record(connection)

        return all_of_them if records else None

    # Loops

    async def _sign_all(self) -> None:
        self._wake.clear()
        claimed = await self.sign_some()
        while claimed:
            claimed = await self.sign_some()

    async def _idle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.poll_s):
                await self._wake.wait()

    async def _between_looks(self) -> None:
        await asyncio.sleep(self._limits.follow_s)

    async def _for_ever(self, work: Callable[[], Awaitable[None]], pause: Callable[[], Awaitable[None]]) -> None:
        """Do the work again and again; longer pauses while the chain, a signer or the database does not answer."""
        failures = 0
        while True:
            try:
                await work()
                failures, self.trouble = 0, None
                await pause()
            except Exception as error:
                if not isinstance(error, _OUTAGES):
                    log.exception("minting_failed")
                self.trouble = f"{type(error).__name__}: {error}"
                if failures % 16 == 0:
                    log.warning("minting_waits", error=self.trouble)
                failures += 1
                longest = self._limits.back_off_first_s * 2 ** min(failures - 1, 10)
                await asyncio.sleep(min(self._limits.back_off_max_s, longest))
