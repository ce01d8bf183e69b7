"""What subscriptions tell, and the queue that it waits in."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

QUEUE_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Update:
    """A notification: the slot that it is as of, None where the method has none, and its value as JSON has it."""

    slot: int | None
    value: Any


@dataclass(frozen=True, slots=True)
class Missed:
    """There may have been updates that were not received: read the state anew.

    ``since_slot``: that of the last update before; None if there was none.
    """

    reason: str
    since_slot: int | None = None


class Ended(Exception):
    """The subscription has ended: nothing comes any more."""


class Notices:
    """Bounded: if its reader is too slow, what waits becomes one ``Missed``."""

    def __init__(self, limit: int = QUEUE_MAX) -> None:
        self._limit = limit
        self._items: deque[Update | Missed] = deque()
        self._ready = asyncio.Event()
        self._ended = False
        # Of what the reader has got.
        self._read_slot: int | None = None

    def put(self, update: Update) -> None:
        """Never waits."""
        if self._ended:
            return
        if len(self._items) >= self._limit:
            self._items.clear()
            self._items.append(Missed("the reader is too slow", self._read_slot))
        self._items.append(update)
        self._ready.set()

    def missed(self, reason: str) -> None:
        """Say that updates may be missing. Several in a row become one."""
        if self._ended or (self._items and isinstance(self._items[-1], Missed)):
            return
        self._items.append(Missed(reason, self._read_slot))
        self._ready.set()

    def end(self) -> None:
        """Nothing comes after what waits."""
        self._ended = True
        self._ready.set()

    async def next(self) -> Update | Missed:
        """The next one. Waits for it; raises Ended behind the last."""
        while not self._items:
            if self._ended:
                raise Ended
            self._ready.clear()
            await self._ready.wait()
        found = self._items.popleft()
        if isinstance(found, Update) and found.slot is not None:
            self._read_slot = max(found.slot, self._read_slot or 0)
        return found

    def __len__(self) -> int:
        return len(self._items)
