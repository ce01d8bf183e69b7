"""An event loop in a thread of its own, for actors; Ray's own loop serves only control calls.

Ray restarts an actor by running only its constructor: so the constructor starts everything.
"""

import asyncio
import threading
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
