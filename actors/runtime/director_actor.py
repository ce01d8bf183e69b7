"""The director in a thread with an event loop of its own, with its connections. Ray starts it again when it dies."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from actors.placement.control import ControlsHosts, DirectorLimits
from actors.placement.director import Director
from actors.runtime.loop_thread import LoopThread
from persistence.placement.directory import Directory
from persistence.placement.operator_overrides import OperatorOverrides
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import close_pool, open_pool

log = structlog.get_logger()

DIRECTOR = "director"
NOTES_MAX = 200
STORE_RETRY_S = 0.25
STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class DirectorConfig:
    """The configuration of a director, which reads no environment. Pickled to the actor's process."""

    limits: DirectorLimits
    database_url: str = field(repr=False)
    cluster_secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Report:
    """The director's status. ``notes`` are (number, message) after the number that was asked for."""

    pid: int
    placed: bool
    missing_for_s: float
    failure: str | None
    notes: tuple[tuple[int, str], ...]


class DirectorActor:
    """The class of the Ray actor; ``actors.runtime.cluster`` wraps it.

    ``control()`` makes the host control of this process; ``set_up(name)`` is called first, to configure logs.
    """

    def __init__(
        self, config: DirectorConfig, control: Callable[[], ControlsHosts], set_up: Callable[[str], None]
    ) -> None:
        set_up(DIRECTOR)
        self._config = config
        self._control = control
        self._director: Director | None = None
        self._running: asyncio.Task[None] | None = None
        self._notes: deque[tuple[int, str]] = deque(maxlen=NOTES_MAX)
        self._noted = 0
        self._thread = LoopThread(DIRECTOR, self._start)

    def report(self, after: int) -> Report:
        """The status, and the notes after this number."""
        director = self._director
        return Report(
            pid=os.getpid(),
            placed=director is not None and director.placed.is_set(),
            missing_for_s=0.0 if director is None else director.missing_for_s(),
            failure=self._thread.failure,
            notes=tuple(note for note in list(self._notes) if note[0] > after),
        )

    def stop(self) -> bool:
        """Stop the director; False if that took too long."""
        if not self._thread.started:
            return True
        try:
            self._thread.do(self._stop(), STOP_TIMEOUT_S)
        except TimeoutError:
            return False
        return True

    async def _start(self) -> None:
        config = self._config
        while True:
            try:
                pool = await open_pool(config.database_url, size_max=2)
                break
            except StoreUnavailable as error:
                log.warning("waiting_for_database", error=str(error))
                await asyncio.sleep(STORE_RETRY_S)
        director = Director(
            Directory(pool),
            OperatorOverrides(pool),
            self._control(),
            config.cluster_secret,
            limits=config.limits,
            notify=self._note,
        )
        self._director = director

        async def run() -> None:
            try:
                await director.run()
            finally:
                await close_pool(pool)

        self._running = asyncio.create_task(run(), name=DIRECTOR)
        self._running.add_done_callback(_end_with)

    async def _stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _note(self, message: str) -> None:
        log.warning("fleet", note=message)
        self._noted += 1
        self._notes.append((self._noted, message))


def _end_with(running: "asyncio.Task[None]") -> None:
    """End the process when the director fails, so that Ray restarts it."""
    if not running.cancelled() and (error := running.exception()) is not None:
        log.error("director_failed", error=repr(error))
        os._exit(1)
