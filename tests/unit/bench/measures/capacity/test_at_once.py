"""Work with a bounded number at a time."""

import asyncio

import pytest

from bench.measures.capacity.auctions import at_once


async def test_everything_is_done_and_never_more_than_so_much_at_once():
    running, most, done = 0, 0, []

    async def work(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done.append(item)

    await at_once(7, work, range(50))
    assert (sorted(done), most) == (list(range(50)), 7)


async def test_the_first_failure_ends_the_rest():
    waiting = asyncio.Event()
    ended: list[int] = []

    async def work(item: int) -> None:
        if item == 3:
            raise LookupError(item)
        try:
            await waiting.wait()
        except asyncio.CancelledError:
            ended.append(item)
            raise

    with pytest.raises(LookupError):
        await at_once(4, work, range(100))
    await asyncio.sleep(0)
    assert ended == [0, 1, 2]
