"""The keys of requests in memory."""

from collections.abc import Callable
from typing import Any

from persistence.postgres.idempotency import RUNNING_MAX_MS, Answered, Begun, KeyReused, StillRunning


class MemoryIdempotencyKeys:
    """`persistence.postgres.idempotency.IdempotencyKeys` over a dict. ``new_id`` names what a request creates."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id
        # By (user, key): hash of the request, created id, received at, running until, answer.
        self._rows: dict[tuple[int, str], list[Any]] = {}

    async def begin(self, user_id: int, key: str, request_hash: bytes, now_ms: int) -> Begun | Answered:
        running_until = now_ms + RUNNING_MAX_MS
        row = self._rows.get((user_id, key))
        if row is None:
            row = self._rows[user_id, key] = [request_hash, self._new_id(), now_ms, running_until, None]
            return Begun(row[1], row[2])
        if row[0] != request_hash:
            raise KeyReused("this Idempotency-Key was used for another request")
        if row[4] is not None:
            return Answered(*row[4])
        if row[3] > now_ms:
            raise StillRunning("a request with this Idempotency-Key is still running")
        row[3] = running_until
        return Begun(row[1], row[2])

    async def finish(self, user_id: int, key: str, status: int, response: bytes) -> None:
        if (user_id, key) in self._rows:
            self._rows[user_id, key][4] = (status, response)

    async def release(self, user_id: int, key: str) -> None:
        row = self._rows.get((user_id, key))
        if row is not None and row[4] is None:
            row[3] = 0

    async def forget(self, user_id: int, key: str) -> None:
        row = self._rows.get((user_id, key))
        if row is not None and row[4] is None:
            del self._rows[user_id, key]
