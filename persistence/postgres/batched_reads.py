"""Look-ups of many callers in one statement: while one is in flight, the next ones gather.

A statement for each caller costs both sides far more than the row that it reads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

BATCH_MAX = 1_000


class BatchedReads(Generic[K, V]):
    """Rows by key, for the callers of one event loop, who each get what was read after they asked.

    There is no bound but that on callers.
    """

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        """``read`` returns the rows of these keys; those without a row are missing. It has to have a deadline."""
        self._read = read
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The row of this key; None: there is none. Raises what ``read`` does."""
        caller: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(caller)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_waiting(), name="batched-reads")
        return await caller

    async def _read_waiting(self) -> None:
        try:
            while self._waiting:
                keys = list(islice(self._waiting, BATCH_MAX))
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            self._reading = None

    async def _answer(self, batch: Mapping[K, Sequence["asyncio.Future[V | None]"]]) -> None:
        found: Mapping[K, V] = {}
        failure: Exception | None = None
        try:
            found = await self._read(list(batch))
        except Exception as error:
            failure = error
        for key, callers in batch.items():
            for caller in callers:
                # Others were cancelled meanwhile.
                if not caller.done():
                    caller.set_result(found.get(key)) if failure is None else caller.set_exception(failure)
