"""The density bench's own arithmetic; the bench itself runs in tests/system/test_bench.py."""

import asyncio

import pytest

from bench.measures.density import at_once, slope


def test_the_slope_is_that_of_the_best_line():
    assert slope([(0, 68), (1, 71), (2, 74), (4, 80)]) == pytest.approx(3)
    assert slope([(0, 0), (1, 2), (2, 2), (3, 4)]) == pytest.approx(1.2)


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
