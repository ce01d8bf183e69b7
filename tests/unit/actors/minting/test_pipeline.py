"""One actor's pipeline: jobs that can't be done hold up no others."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from actors.minting.kinds.kind import Kind, Prepared, Ready
from actors.minting.pipeline import SIGNER_MS, Pipeline
from chain.bundle import Bundle
from chain.programs.memo import memo
from chain.signing import SignerUnavailable
from persistence.chain.rows import ChainJob, DoneJob, OpenTransaction, PoisonedJob, SignedRow

PAYER = Keypair().pubkey()
ROUNDS_MAX = 40


class Jobs:
    """The queue: (kind, trade) of each job, by number. A claim takes whole trades. ``later``: by job, for how long."""

    send_lease_ms = 5_000

    def __init__(self, *jobs: tuple[str, int | None]) -> None:
        self.queued = dict(enumerate(jobs, 1))
        self.later: dict[int, int] = {}
        self.signed: list[int] = []
        # The jobs of each transaction, by claim.
        self.stored: list[list[tuple[int, ...]]] = []
        self.poisoned: list[int] = []

    async def claim(self, jobs_max: Mapping[str, int], worker: str) -> list[ChainJob]:
        due = {number: job for number, job in self.queued.items() if number not in self.later}
        taken: set[int] = set()
        for kind, count in jobs_max.items():
            taken |= set([number for number, job in due.items() if job[0] == kind][:count])
        trades = {due[number][1] for number in taken} - {None}
        taken |= {number for number, job in due.items() if job[1] in trades}
        claim = uuid.uuid4()
        return [ChainJob(one, self.queued[one][0], str(one), b"", 0, 0, 64, None, claim) for one in sorted(taken)]

    async def put_back(self, jobs: Sequence[ChainJob], delay_ms: int) -> None:
        for job in jobs:
            if job.id in self.queued and job.id not in self.later:
                # To the end of the queue.
                self.queued[job.id] = self.queued.pop(job.id)
                if delay_ms > 1_000:
                    self.later[job.id] = delay_ms

    async def finish_claimed(self, done: Sequence[DoneJob], poisoned: Sequence[PoisonedJob], effects: Any) -> list[Any]:
        self.poisoned += [one.job.id for one in poisoned]
        for one in poisoned:
            del self.queued[one.job.id]
        return []

    async def store_signed(self, claim: uuid.UUID, rows: Sequence[SignedRow], *_: Any) -> list[OpenTransaction]:
        self.stored.append([row.jobs for row in rows])
        for row in rows:
            self.signed += row.jobs
            for job in row.jobs:
                del self.queued[job]
        return [OpenTransaction(one, row.signature, row.raw, row.last_valid_height) for one, row in enumerate(rows)]


class Chain:
    async def send(self, raw: bytes) -> None:
        pass


class Assembler:
    """A transaction for every two jobs; the signer of ``silent`` does not answer."""

    def __init__(self, silent: Pubkey | None = None) -> None:
        self._silent = silent

    async def version(self) -> int:
        return 1

    def pack(self, jobs: Sequence[Ready]) -> list[list[Ready]]:
        ordered = sorted(jobs, key=lambda one: one.job.id)
        return [ordered[first : first + 2] for first in range(0, len(ordered), 2)]

    async def sign(self, batch: Sequence[Ready], *, simulate: bool) -> SignedRow:
        if self._silent is not None and any(self._silent in one.bundle.signers for one in batch):
            raise SignerUnavailable("it waits for an approval", self._silent)
        return SignedRow(batch[0].job.key, b"", str(PAYER), 100, tuple(one.job.id for one in batch))


class Memos(Kind):
    """Jobs that can be done, each signed by these keys."""

    def __init__(self, kind: str, *signers: Pubkey) -> None:
        self.kind = kind  # type: ignore[misc]
        self._keys = frozenset(signers)

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        return [Ready(job, Bundle((memo(job.key.encode()),), self._keys, 1, 1_000)) for job in jobs]


class Faulty(Memos):
    """Those with these numbers are a fault of the program."""

    def __init__(self, kind: str, *faulty: int) -> None:
        super().__init__(kind)
        self._faulty = faulty

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        assert not {job.id for job in jobs} & set(self._faulty), "a fault"
        return await super().prepare(jobs, payer)


def pipeline(jobs: Jobs, *kinds: Kind, assembler: Any = None) -> Pipeline:
    parts: Any = (jobs, Chain(), assembler or Assembler())
    return Pipeline(*parts, kinds, PAYER, "actor")


async def rounds(work: Pipeline) -> int:
    """How many claims were made until nothing is due."""
    for number in range(ROUNDS_MAX):
        if not await work.sign_some():
            return number
    return ROUNDS_MAX


async def test_a_fault_is_found_also_while_other_kinds_have_jobs():
    jobs = Jobs(*[("mint", None)] * 20, ("swap", None), *[("anchor", None)] * 20)
    found = await rounds(pipeline(jobs, Memos("anchor"), Memos("mint"), Faulty("swap", 21)))
    assert (jobs.poisoned, sorted(jobs.signed)) == ([21], [one for one in range(1, 42) if one != 21])
    assert found < ROUNDS_MAX


async def test_a_fault_in_a_trade_ends_all_of_its_jobs():
    jobs = Jobs(("move", None), ("move", 7), ("move", 7), ("move", None))
    found = await rounds(pipeline(jobs, Faulty("move", 3)))
    assert (sorted(jobs.poisoned), sorted(jobs.signed)) == ([2, 3], [1, 4])
    assert found < ROUNDS_MAX


async def test_jobs_whose_signer_is_silent_wait_and_the_others_are_signed():
    jobs = Jobs(*[("withdrawal", None), ("mint", None)] * 3, ("mint", None))
    treasury = Keypair().pubkey()
    kinds = Memos("mint", Keypair().pubkey()), Memos("withdrawal", treasury)
    work = pipeline(jobs, *kinds, assembler=Assembler(treasury))
    outages = 0
    for _ in range(ROUNDS_MAX):
        try:
            if not await work.sign_some():
                break
        except SignerUnavailable:
            outages += 1
    assert sorted(jobs.signed) == [2, 4, 6, 7]
    assert jobs.later == dict.fromkeys([1, 3, 5], SIGNER_MS)
    assert outages == 3


async def test_what_is_not_signed_in_time_is_put_back_and_what_is_signed_is_stored_before_its_lease_ends(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("actors.minting.pipeline.SIGNED_WITHIN_S", 0.0, raising=False)
    jobs = Jobs(*[("mint", None)] * 6)
    assert await rounds(pipeline(jobs, Memos("mint"))) == 3
    assert jobs.stored == [[(1, 2)], [(3, 4)], [(5, 6)]]
