"""The thread that makes slots durable, so that the event loop never waits for the disk."""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from chain.local.state.store import SlotBatch, write

log = structlog.get_logger()

# Slots that wait for the disk. When they are so many, the chain stalls.
PENDING_MAX = 64
# Slots that are written in one transaction of SQLite, if the disk is slower than the chain.
TOGETHER_MAX = 16
# Time for a full disk to become free: after that the process ends, and the supervisor says why.
TRIES_MAX = 240
RETRY_S = 0.5


class Writer:
    """Calls `on_durable(slot)` and, when it gives up, `on_failure(error)`, both from its own thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        on_durable: Callable[[int], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._connection = connection
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._queue: queue.Queue[SlotBatch | None] = queue.Queue(PENDING_MAX)
        self._thread = threading.Thread(target=self._run, name="chain-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be submitted. One place is left for the end."""
        return self._queue.qsize() >= PENDING_MAX - 1

    def submit(self, batch: SlotBatch) -> None:
        """Slots come in order. Raises queue.Full; callers look at `is_full` first."""
        self._queue.put_nowait(batch)

    def stop(self, within_s: float) -> None:
        """Write what was submitted, and end. What does not reach the disk in time is lost."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=within_s)
        self._thread.join(within_s)

    def _run(self) -> None:
        while True:
            batches, last = self._next()
            if batches and not self._write(batches):
                return
            if last:
                return

    def _next(self) -> tuple[list[SlotBatch], bool]:
        batches: list[SlotBatch] = []
        while len(batches) < TOGETHER_MAX:
            try:
                batch = self._queue.get(block=not batches)
            except queue.Empty:
                break
            if batch is None:
                return batches, True
            batches.append(batch)
        return batches, False

    def _write(self, batches: list[SlotBatch]) -> bool:
        for attempt in range(TRIES_MAX):
            try:
                write(self._connection, batches)
            except sqlite3.OperationalError as error:
                if attempt % 20 == 0:
                    log.warning("chain_state_not_written", error=str(error), slots=len(batches))
                time.sleep(RETRY_S)
                continue
            except Exception as error:
                self._on_failure(error)
                return False
            self._on_durable(batches[-1].slot)
            return True
        self._on_failure(OSError(f"the state could not be written {TRIES_MAX} times in a row"))
        return False
