"""A chain that drops, delays, forks and lags, and signers that die at any moment: each job is done once.

The chain here takes every valid transaction, also a second one for the same job: nothing but the rules keeps a job
from being done twice, as with a transfer of money.
"""

import random
from dataclasses import dataclass, field

import pytest

from domain.minting.landing import (
    BATCH_MAX,
    Poison,
    Retry,
    Seen,
    Step,
    Tried,
    after_expiry,
    after_failure,
    next_step,
)

VALID_BLOCKS, FINAL_AFTER, LAG_MAX = 12, 5, 4
JOBS = 40
STEPS_MAX = 20_000


@dataclass
class Transaction:
    """Signed bytes: what they do, and until when they can land."""

    number: int
    jobs: tuple[int, ...]
    last_valid: int
    state: str = "signed"


@dataclass
class Chain:
    """Blocks of transactions. What is not FINAL_AFTER blocks deep can be rolled back."""

    dice: random.Random
    blocks: list[list[Transaction]] = field(default_factory=lambda: [[]])
    in_the_air: list[tuple[int, Transaction]] = field(default_factory=list)

    @property
    def height(self) -> int:
        return len(self.blocks) - 1

    def send(self, transaction: Transaction) -> None:
        if self.dice.random() < 0.5:
            return
        self.in_the_air.append((self.height + self.dice.randrange(1, 10), transaction))

    def advance(self) -> None:
        if self.dice.random() < 0.05 and self.height > FINAL_AFTER:
            depth = self.dice.randrange(1, FINAL_AFTER)
            undone = [one for block in self.blocks[-depth:] for one in block]
            del self.blocks[-depth:]
            # The other fork goes on at once, and may have what was undone, or not.
            self.blocks += [[] for _ in range(depth)]
            self.in_the_air += [(self.height + 1, one) for one in undone if self.dice.random() < 0.5]
        block: list[Transaction] = []
        self.blocks.append(block)
        landed = {one.number for earlier in self.blocks for one in earlier}
        for due, one in self.in_the_air:
            if due <= self.height <= one.last_valid and one.number not in landed:
                block.append(one)
                landed.add(one.number)
        self.in_the_air = [(due, one) for due, one in self.in_the_air if due > self.height]

    def look(self, transaction: Transaction, height: int) -> Seen | None:
        """As a node sees it that has come to this height."""
        for slot, block in enumerate(self.blocks[: height + 1]):
            if transaction in block:
                bad = any(job % 13 == 7 for job in transaction.jobs)
                return Seen(slot, "bad" if bad else None, slot <= height - FINAL_AFTER)
        return None


class Database:
    """Jobs and transactions: what survives when a signer dies."""

    def __init__(self) -> None:
        self.tried = {job: Tried(0, 0, BATCH_MAX) for job in range(JOBS)}
        self.queued = list(range(JOBS))
        self.done: list[int] = []
        self.poisoned: set[int] = set()
        self.transactions: list[Transaction] = []

    @property
    def open(self) -> list[Transaction]:
        return [one for one in self.transactions if one.state == "signed"]

    def sign(self, chain: Chain, dice: random.Random) -> Transaction | None:
        """Store a transaction; only who comes back from here may send it."""
        batch = self.queued[: min(4, *(self.tried[job].batch_max for job in self.queued[:4]), 4)]
        if not batch or dice.random() < 0.2:
            return None
        del self.queued[: len(batch)]
        for job in batch:
            tried = self.tried[job]
            self.tried[job] = Tried(tried.attempts + 1, tried.faults, tried.batch_max)
        made = Transaction(len(self.transactions), tuple(batch), chain.height + VALID_BLOCKS)
        self.transactions.append(made)
        return made

    def finish(self, transaction: Transaction, step: Step) -> None:
        transaction.state = step.value
        if step is Step.LANDED:
            self.done += transaction.jobs
            return
        for job in transaction.jobs:
            tried = self.tried[job]
            failed = step is Step.FAILED
            decided = after_failure(tried, len(transaction.jobs), "bad") if failed else after_expiry(tried)
            match decided:
                case Retry(faults, batch_max, _):
                    self.tried[job] = Tried(tried.attempts, faults, batch_max)
                    self.queued.append(job)
                case Poison(_):
                    self.poisoned.add(job)


def follow(database: Database, chain: Chain, dice: random.Random) -> None:
    """One look of a signer that may die between any two transactions."""
    for transaction in database.open:
        if dice.random() < 0.1:
            return
        # Height and status of one node, which may lag.
        height = max(0, chain.height - dice.randrange(LAG_MAX))
        seen = chain.look(transaction, height)
        step = next_step(seen, height - FINAL_AFTER, transaction.last_valid, searched=False)
        if step is Step.SEARCH:
            step = next_step(seen, height - FINAL_AFTER, transaction.last_valid, searched=True)
        if step is Step.SEND:
            chain.send(transaction)
        elif step in (Step.LANDED, Step.FAILED, Step.EXPIRED):
            database.finish(transaction, step)


@pytest.mark.parametrize("seed", range(40))
def test_each_job_is_done_once_and_the_bad_ones_are_poisoned(seed: int):
    dice = random.Random(seed)
    chain, database = Chain(dice), Database()
    for _ in range(STEPS_MAX):
        signed = database.sign(chain, dice)
        # It may die before it sends: then another one finds the transaction.
        if signed is not None and dice.random() < 0.7:
            chain.send(signed)
        follow(database, chain, dice)
        chain.advance()
        if not database.queued and not database.open:
            break
    bad = {job for job in range(JOBS) if job % 13 == 7}
    assert sorted(database.done) == sorted(set(range(JOBS)) - bad)
    assert database.poisoned == bad
    on_chain = [
        job
        for block in chain.blocks
        for one in block
        if not any(other in bad for other in one.jobs)
        for job in one.jobs
    ]
    assert sorted(on_chain) == sorted(set(range(JOBS)) - bad)
