"""A bounded fair queue for expensive work: callers are served in turn."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """The queue is full: nothing was done."""


class FairQueue:
    """``at_once_max`` requests run at the same time, ``waiting_max`` more may wait; callers are served round robin.

    In a full queue a new request replaces the last one of the caller with the most requests, if that caller has at
    least two more. So one caller alone may use the whole queue, but can't exclude others.
    """

    def __init__(self, at_once_max: int, waiting_max: int) -> None:
        self._free = self._at_once_max = at_once_max
        self._waiting_max = waiting_max
        self._waiting = 0
        # In the order in which callers are served next; none of the queues is empty.
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __len__(self) -> int:
        """The number of requests that run or wait."""
        return self._at_once_max - self._free + self._waiting

    def has_room(self, caller: str) -> bool:
        """Whether this caller would be let in now."""
        if self._free or self._waiting < self._waiting_max:
            return True
        return len(self._queues.get(self._longest(caller), ())) >= len(self._queues.get(caller, ())) + 2

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Wait for this caller's turn, which lasts as long as the block. Raises QueueFull, perhaps after a while."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(caller)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, caller: str) -> None:
        self._make_room(caller)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            self._remove(caller, turn)
            if not turn.cancelled() and turn.exception() is None:
                self._pass_on()  # its turn came at the same moment
            raise

    def _make_room(self, caller: str) -> None:
        if self._waiting < self._waiting_max:
            return
        if not self.has_room(caller):
            raise QueueFull
        longest = self._longest(caller)
        newest = self._queues[longest][-1]
        self._remove(longest, newest)
        if not newest.cancelled():  # that caller leaves at this very moment
            newest.set_exception(QueueFull())

    def _longest(self, caller: str) -> str:
        """The caller with the most requests that wait."""
        return max(self._queues, key=lambda other: len(self._queues[other]), default=caller)

    def _remove(self, caller: str, turn: "asyncio.Future[None]") -> None:
        """Remove it from its queue, if it is still there."""
        queue = self._queues.get(caller, deque())
        if turn not in queue:
            return
        queue.remove(turn)
        self._waiting -= 1
        if not queue:
            del self._queues[caller]

    def _pass_on(self) -> None:
        """Serve the oldest of the caller whose turn it is."""
        while self._queues:
            caller, queue = next(iter(self._queues.items()))
            turn = queue[0]
            self._queues.move_to_end(caller)
            self._remove(caller, turn)
            if not turn.cancelled():  # that caller leaves at this very moment
                turn.set_result(None)
                return
        self._free += 1
