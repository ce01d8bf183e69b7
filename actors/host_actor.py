"""A host process in a thread with an event loop of its own.

Ray restarts an actor by running only its constructor, and its own event loop serves control calls: so the
constructor starts everything, and the data path never waits for Ray.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import structlog
import uvloop

from actors.host_process import HostConfig, HostProcess

log = structlog.get_logger()

STOP_TIMEOUT_S = 8.0
TAKE_TIMEOUT_S = 5.0


class HostActor:
    """What Ray keeps: a plain class, wrapped late by ``actors.ray_runtime``. Methods answer fast or with a deadline.

    ``set_up(host_id)`` prepares the process (its logs) before anything else.
    """

    def __init__(self, config: HostConfig, set_up: Callable[[str], None]) -> None:
        set_up(config.host_id)
        self._config = config
        self._process: HostProcess | None = None
        self._failure: str | None = None
        self._serving = threading.Event()
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._run, name="host", daemon=True).start()

    def health(self) -> dict[str, Any]:
        """Whether it serves, where, and with how many auctions in memory."""
        process = self._process
        host = None if process is None else process.host
        return {
            "host_id": self._config.host_id,
            "pid": os.getpid(),
            "serving": self._serving.is_set(),
            "failure": self._failure,
            "port": None if process is None else process.port,
            "slots": 0 if host is None else len(host.slots),
            "auctions": 0 if host is None else len(host.keepers),
        }

    def take(self, slots: Sequence[int]) -> None:
        """Keep these slots from now on. Raises what went wrong, and TimeoutError."""
        process = self._process
        if process is None or not self._serving.is_set():
            raise RuntimeError("the host does not serve yet")
        asyncio.run_coroutine_threadsafe(process.take(slots), self._loop).result(TAKE_TIMEOUT_S)

    def stop(self) -> bool:
        """Drain and close; False when that took too long."""
        process = self._process
        if process is None or not self._serving.is_set():
            return True
        future = asyncio.run_coroutine_threadsafe(process.stop(), self._loop)
        try:
            future.result(STOP_TIMEOUT_S)
        except TimeoutError:
            return False
        return True

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._start())
            self._loop.run_forever()
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
            log.exception("host_failed", host=self._config.host_id)

    async def _start(self) -> None:
        # Another process keeps this host's name: this one is a leftover of a Ray that is gone.
        self._process = HostProcess(self._config, on_superseded=lambda: os._exit(1))
        await self._process.start()
        self._serving.set()
