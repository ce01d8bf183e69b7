import asyncio
from collections import Counter

import pytest

from gateway.identity.passwords.fair_queue import FairQueue, QueueFull


class Desk:
    """Callers at a queue; each one served stays until it is let go."""

    def __init__(self, at_once_max: int, waiting_max: int) -> None:
        self.queue = FairQueue(at_once_max, waiting_max)
        self.served: list[str] = []
        self.refused: list[str] = []
        self._go: list[asyncio.Event] = []

    async def come(self, *callers: str) -> list["asyncio.Task[None]"]:
        tasks = [asyncio.create_task(self._visit(caller)) for caller in callers]
        await self.settle()
        return tasks

    async def finish(self, number: int = 1) -> list[str]:
        """Let the oldest who are served go, one by one; who has been served so far."""
        for _ in range(number):
            self._go.pop(0).set()
            await self.settle()
        return self.served

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def _visit(self, caller: str) -> None:
        try:
            async with self.queue.turn(caller):
                self.served.append(caller)
                go = asyncio.Event()
                self._go.append(go)
                await go.wait()
        except QueueFull:
            self.refused.append(caller)


async def test_who_asks_for_much_waits_behind_themselves():
    desk = Desk(at_once_max=2, waiting_max=40)
    await desk.come(*["many"] * 40)
    await desk.come("ann", "bob")
    assert desk.served == ["many", "many"]
    assert (await desk.finish(4))[2:] == ["many", "ann", "bob", "many"]


async def test_one_caller_alone_may_use_the_whole_queue_and_blocks_nobody():
    desk = Desk(at_once_max=1, waiting_max=4)
    await desk.come(*["many"] * 6)
    assert (len(desk.queue), desk.refused) == (5, ["many"])
    assert [desk.queue.has_room(caller) for caller in ("many", "ann")] == [False, True]
    await desk.come("ann", "bob")
    assert desk.refused == ["many"] * 3
    assert [desk.queue.has_room(caller) for caller in ("ann", "many", "new")] == [False, False, True]
    # With two of "many" and one each of the others nobody has two more than a newcomer.
    await desk.come("ann", "bob", "many")
    assert desk.refused == ["many"] * 3 + ["ann", "bob", "many"]
    assert Counter(await desk.finish(4)) == {"many": 3, "ann": 1, "bob": 1}


async def test_a_newcomer_takes_the_newest_place_of_the_longest_queue():
    desk = Desk(at_once_max=1, waiting_max=2)
    await desk.come("many")
    first, second = await desk.come("many", "many")
    await desk.come("ann")
    assert (first.done(), second.done()) == (False, True)


async def test_without_places_to_wait_the_answer_comes_at_once():
    desk = Desk(at_once_max=1, waiting_max=0)
    await desk.come("ann", "bob")
    assert (desk.served, desk.refused) == (["ann"], ["bob"])


@pytest.mark.parametrize("leaver", ["ann", "bob", "cat"])
async def test_who_leaves_while_being_served_or_waiting_gives_up_the_place(leaver: str):
    desk = Desk(at_once_max=1, waiting_max=4)
    tasks = dict(zip(("ann", "bob", "cat"), await desk.come("ann", "bob", "cat"), strict=True))
    tasks[leaver].cancel()
    await desk.settle()
    assert len(desk.queue) == 2
    desk.served.clear()
    await desk.come("dan")
    while len(desk.queue) > 1:
        await desk.finish()
    assert desk.served[-1] == "dan"


async def test_a_turn_that_comes_as_its_caller_leaves_is_passed_on():
    desk = Desk(at_once_max=1, waiting_max=4)
    ann, bob, cat = await desk.come("ann", "bob", "cat")
    ann.cancel()
    bob.cancel()  # ann's place is bob's when both are handled
    await desk.settle()
    assert (desk.served, len(desk.queue)) == (["ann", "cat"], 1)
    assert not cat.done()
