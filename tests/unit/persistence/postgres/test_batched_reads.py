"""Look-ups of many callers in one statement."""

import asyncio
from collections.abc import Sequence

import pytest

from persistence.postgres.batched_reads import BATCH_MAX, BatchedReads

ROWS = {1: "one", 2: "two"}


class Table:
    """Records which keys each statement reads. Statements return once ``may_answer`` is set."""

    def __init__(self) -> None:
        self.statements: list[list[int]] = []
        self.failure: Exception | None = None
        self.sent, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()

    async def read(self, keys: Sequence[int]) -> dict[int, str]:
        self.statements.append(list(keys))
        self.sent.set()
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return {key: ROWS[key] for key in keys if key in ROWS}


async def test_callers_of_one_turn_share_a_statement_and_each_gets_its_row():
    table = Table()
    reads = BatchedReads(table.read)
    assert await asyncio.gather(*map(reads.get, (1, 2, 3, 1))) == ["one", "two", None, "one"]
    assert table.statements == [[1, 2, 3]]


async def test_who_asks_while_a_statement_is_in_flight_gets_what_a_later_one_reads():
    table = Table()
    reads = BatchedReads(table.read)
    table.may_answer.clear()
    first = asyncio.create_task(reads.get(1))
    await table.sent.wait()
    later = [asyncio.create_task(reads.get(key)) for key in (1, 2)]
    await asyncio.sleep(0)
    table.may_answer.set()
    assert [await first, *(await asyncio.gather(*later))] == ["one", "one", "two"]
    assert table.statements == [[1], [1, 2]]


async def test_a_failure_reaches_those_whose_statement_failed_and_nobody_else():
    table = Table()
    reads = BatchedReads(table.read)
    table.failure = OSError("gone")
    failed = await asyncio.gather(reads.get(1), reads.get(2), return_exceptions=True)
    assert [type(one) for one in failed] == [OSError, OSError]
    table.failure = None
    assert await reads.get(1) == "one"


async def test_a_caller_that_gives_up_takes_nothing_from_the_others():
    table = Table()
    reads = BatchedReads(table.read)
    table.may_answer.clear()
    impatient, other = asyncio.create_task(reads.get(1)), asyncio.create_task(reads.get(1))
    await table.sent.wait()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    table.may_answer.set()
    assert await other == "one"


async def test_a_statement_has_a_maximum_of_keys():
    table = Table()
    reads = BatchedReads(table.read)
    await asyncio.gather(*map(reads.get, range(BATCH_MAX + 1)))
    assert [len(keys) for keys in table.statements] == [BATCH_MAX, 1]
