"""An event loop in a thread of its own, for actors; Ray's own loop serves only control calls.

Ray restarts an actor by running only its constructor: so the constructor starts everything.
"""

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog
import uvloop

log = structlog.get_logger()

Done = TypeVar("Done")


class LoopThread:
    """Runs ``start`` once, then the tasks that it created. ``failure``: why it could not be started."""

    def __init__(self, name: str, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._start = start
        self._started = threading.Event()
        self._loop = uvloop.new_event_loop()
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether ``start`` is done."""
        return self._started.is_set()

    def do(self, work: Coroutine[Any, Any, Done], within_s: float) -> Done:
        """Run this in the loop and wait for it, from another thread. Raises what it raises, and TimeoutError."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within_s)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._start())
            self._started.set()
            self._loop.run_forever()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            log.exception("not_started", thread=self._thread.name)


class LoopActor(ABC):
    """A Ray actor that works in such a thread until it is stopped. If the work fails, its process ends, and Ray starts
    it again. A subclass sets its attributes first, and then calls this constructor."""

    stop_timeout_s = 5.0

    def __init__(self, name: str, set_up: Callable[[str], None]) -> None:
        """``set_up(name)`` is called first, to configure logs."""
        set_up(name)
        self._name = name
        self._running: asyncio.Task[None] | None = None
        self._thread = LoopThread(name, self._start)

    @abstractmethod
    async def work(self) -> None:
        """Work until it is cancelled."""

    async def open(self) -> None:
        """What comes before the work. If it fails, the process stays, to say why."""
        return

    @property
    def failure(self) -> str | None:
        """Why ``open`` failed."""
        return self._thread.failure

    def stop(self) -> bool:
        """Stop working; False if that took too long."""
        if not self._thread.started:
            return True
        try:
            self._thread.do(self._stop(), self.stop_timeout_s)
        except TimeoutError:
            return False
        return True

    async def _start(self) -> None:
        await self.open()
        self._running = asyncio.create_task(self.work(), name=self._name)
        self._running.add_done_callback(self._end)

    async def _stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _end(self, running: "asyncio.Task[None]") -> None:
        if not running.cancelled() and (error := running.exception()) is not None:
            log.error("actor_failed", actor=self._name, error=repr(error), exc_info=error)
            os._exit(1)
