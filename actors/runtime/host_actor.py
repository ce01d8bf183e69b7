"""A host process in a thread with an event loop of its own: the data path never waits for Ray."""

import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from actors.hosting.ownership.ownership import Assignment
from actors.runtime.host_process import HostConfig, HostProcess
from actors.runtime.loop_thread import Done, LoopThread

STOP_TIMEOUT_S = 8.0
ORDER_TIMEOUT_S = 5.0


class HostActor:
    """The class of the Ray actor; ``actors.runtime.cluster`` wraps it. Methods have deadlines.

    ``set_up(host_id)`` is called first, to configure logs.
    """

    def __init__(self, config: HostConfig, set_up: Callable[[str], None]) -> None:
        set_up(config.host_id)
        self._config = config
        self._process: HostProcess | None = None
        self._thread = LoopThread("host", self._start)

    def acquire(self, assigned: Assignment) -> None:
        """Acquire these. Raises as ``HostProcess.acquire``, and TimeoutError."""
        self._do(lambda process: process.acquire(assigned))

    def reacquire(self, assigned: Assignment) -> None:
        """Acquire these entities with their slots again. Raises as ``acquire`` does."""
        self._do(lambda process: process.reacquire(assigned))

    def hand_off(self, slots: Sequence[int], entities: Sequence[int]) -> int:
        """Hand off these. Returns the time (ms) from which another host may own them. Raises as ``acquire`` does."""
        return self._do(lambda process: process.hand_off(slots, entities))

    def stop(self) -> bool:
        """Drain and close; False if that took too long."""
        process = self._process
        if process is None or not self._thread.started:
            return True
        try:
            self._thread.do(process.stop(), STOP_TIMEOUT_S)
        except TimeoutError:
            return False
        return True

    def _do(self, order: Callable[[HostProcess], Coroutine[Any, Any, Done]]) -> Done:
        process = self._process
        if process is None or not self._thread.started:
            raise RuntimeError("the host does not serve yet")
        return self._thread.do(order(process), ORDER_TIMEOUT_S)

    async def _start(self) -> None:
        # If another process has registered this host's name, this one is left over from a Ray that is gone.
        self._process = HostProcess(self._config, on_superseded=lambda: os._exit(1))
        await self._process.start()
