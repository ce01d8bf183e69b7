"""Hours in a moment: an event loop whose time jumps to the next thing that is due, and a clock that follows it.

Nothing sleeps, every run takes the same turns, and waiting for what can never come fails at once.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from actors.clock import Clock

EPOCH_MS = 1_800_000_000_000


class NothingLeft(AssertionError):
    """Everybody waits, and nothing is due: the test would hang."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """No input from outside: what happens is what tasks and timers do."""

    _virtual_s = 0.0

    def time(self) -> float:
        return self._virtual_s

    def _run_once(self) -> None:
        if not self._ready:
            due = [handle.when() for handle in self._scheduled if not handle.cancelled()]
            if not due:
                raise NothingLeft
            self._virtual_s = max(self._virtual_s, min(due))
        super()._run_once()


class VirtualClock(Clock):
    """The server's clock, on the loop's time; a test may set it forward or back, as an administrator would."""

    def __init__(self) -> None:
        super().__init__()
        self.offset_ms = 0

    def steady_s(self) -> float:
        return asyncio.get_running_loop().time()

    def now_ms(self) -> int:
        now = EPOCH_MS + self.offset_ms + round(asyncio.get_running_loop().time() * 1000)
        self._last_ms = max(self._last_ms, now)
        return self._last_ms


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test in virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def until(condition: Callable[[], Any], within_s: float = 20.0, step_s: float = 0.001) -> None:
    """Wait for a condition; in virtual time this costs none. Fails when it does not come true in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not condition():
        assert loop.time() < deadline, "it did not come true in time"
        await asyncio.sleep(step_s)


async def turns(count: int = 5) -> None:
    """Let everything that is ready happen."""
    for _ in range(count):
        await asyncio.sleep(0)
