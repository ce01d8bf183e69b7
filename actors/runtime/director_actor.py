"""The director in a thread with an event loop of its own, with its connections."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from actors.placement.control import ControlsHosts, DirectorLimits
from actors.placement.director import Director
from actors.runtime.loop_thread import LoopActor
from persistence.placement.directory import Directory
from persistence.placement.operator_overrides import OperatorOverrides
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool, close_pool, open_pool

log = structlog.get_logger()

DIRECTOR = "director"
NOTES_MAX = 200
STORE_RETRY_S = 0.25


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


class DirectorActor(LoopActor):
    """The class of the Ray actor; ``actors.runtime.cluster`` wraps it."""

    stop_timeout_s = 3.0

    def __init__(
        self, config: DirectorConfig, control: Callable[[], ControlsHosts], set_up: Callable[[str], None]
    ) -> None:
        """``control()`` makes the host control of this process."""
        self._config = config
        self._control = control
        self._pool: Pool | None = None
        self._director: Director | None = None
        self._notes: deque[tuple[int, str]] = deque(maxlen=NOTES_MAX)
        self._noted = 0
        super().__init__(DIRECTOR, set_up)

    def report(self, after: int) -> Report:
        """The status, and the notes after this number."""
        director = self._director
        return Report(
            pid=os.getpid(),
            placed=director is not None and director.placed.is_set(),
            missing_for_s=0.0 if director is None else director.missing_for_s(),
            failure=self.failure,
            notes=tuple(note for note in list(self._notes) if note[0] > after),
        )

    async def open(self) -> None:
        config = self._config
        while self._pool is None:
            try:
                self._pool = await open_pool(config.database_url, size_max=2)
            except StoreUnavailable as error:
                log.warning("waiting_for_database", error=str(error))
                await asyncio.sleep(STORE_RETRY_S)
        self._director = Director(
            Directory(self._pool),
            OperatorOverrides(self._pool),
            self._control(),
            config.cluster_secret,
            limits=config.limits,
            notify=self._note,
        )

    async def work(self) -> None:
        assert self._director is not None, "it is open"
        assert self._pool is not None, "it is open"
        try:
            await self._director.run()
        finally:
            await close_pool(self._pool)

    def _note(self, message: str) -> None:
        log.warning("fleet", note=message)
        self._noted += 1
        self._notes.append((self._noted, message))
