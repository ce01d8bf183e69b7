"""A job that can't be done ends once, also where the one that it waits for ends with it."""

import uuid
from collections.abc import Sequence
from typing import Any

from persistence.chain.jobs import ChainJobs
from persistence.chain.rows import ChainJob, DoneJob, PoisonedJob

CLAIM = uuid.uuid4()
COLLECTION, MINT, OTHER = (
    ChainJob(number, kind, str(number), b"", 1, 0, 64, None, CLAIM)
    for number, kind in ((1, "create_collection"), (2, "mint"), (3, "mint"))
)


class Rows:
    """A connection of a pool: MINT and OTHER wait for COLLECTION; ``poisoned``: (job, reason)."""

    def __init__(self) -> None:
        self.poisoned: list[tuple[int, str]] = []

    def acquire(self) -> "Rows":
        return self

    def transaction(self) -> "Rows":
        return self

    async def __aenter__(self) -> "Rows":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def fetch(self, query: str, *arguments: Any, **_: Any) -> list[tuple[Any, ...]]:
        jobs = [tuple(getattr(one, name) for name in ChainJob.__struct_fields__) for one in (COLLECTION, MINT, OTHER)]
        if "after_job = ANY" in query:
            return [(*job, COLLECTION.id) for job in jobs[1:]]
        return [job for job in jobs if job[0] in arguments[1]]

    async def execute(self, query: str, jobs: Sequence[int], reasons: Sequence[str], **_: Any) -> None:
        self.poisoned += zip(jobs, reasons, strict=True)


class Counted:
    """What follows: how often each job has ended."""

    def __init__(self) -> None:
        self.ended: list[int] = []

    async def done(self, connection: Any, jobs: Sequence[DoneJob]) -> None:
        raise AssertionError("none is done")

    async def poisoned(self, connection: Any, jobs: Sequence[PoisonedJob]) -> None:
        self.ended += [one.job.id for one in jobs]


async def test_a_job_that_ends_with_the_one_that_it_waits_for_is_counted_once():
    rows, counted = Rows(), Counted()
    pool: Any = rows
    unfit = [PoisonedJob(COLLECTION, "unknown"), PoisonedJob(MINT, "unknown")]
    assert await ChainJobs(pool).finish_claimed([], unfit, counted) == []
    assert rows.poisoned == [(1, "unknown"), (2, "unknown"), (3, "what it waits for has failed: unknown")]
    assert counted.ended == [1, 2, 3]
