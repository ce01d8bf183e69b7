"""An event loop on virtual time that runs several simulated processes, each of which can be killed or stopped.

A process is a context variable: all callbacks and tasks that it starts belong to it. Kill drops them without running
another line of them, as ``kill -9`` does, at whatever they wait for. Within a process callbacks run in the order of
asyncio; which of the processes that are ready runs first is drawn from the seed.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from typing import Any

from tests.virtual_time import NothingLeft

PROCESS: ContextVar["Process"] = ContextVar("process")


class Process:
    """One simulated operating-system process."""

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self.name = name
        self.alive = True
        self.stopped = False
        # All that it started: kept, so that no task of a killed process is finalised in the middle of the run.
        self.tasks: list[asyncio.Task[Any]] = []
        self.context: Context = copy_context()
        self.context.run(PROCESS.set, self)
        self._loop = loop
        # What became ready while it was stopped.
        self.held: list[asyncio.Handle] = []

    def __repr__(self) -> str:
        return self.name

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of this process."""
        return self._loop.create_task(work, context=self.context)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """A callback of this process at this virtual time (s)."""
        return self._loop.call_at(when, callback, *args, context=self.context)

    def kill(self) -> None:
        """As ``kill -9``: it does nothing more, not even clean up."""
        self.alive = False
        self.held.clear()

    def stop(self, for_s: float) -> None:
        """As SIGSTOP, and SIGCONT after this time."""
        self.stopped = True
        self._loop.call_later(for_s, self._resume, context=Context())

    def _resume(self) -> None:
        self.stopped = False
        held, self.held = self.held, []
        if self.alive:
            self._loop.resume(held)


class SimulatedLoop(asyncio.BaseEventLoop):
    """No input from outside: time jumps to what is due next. ``network`` connects the processes."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice
        self._now_s = 0.0
        self.processes: list[Process] = []
        self.network: Any = None
        self.set_exception_handler(self._note_fault)
        self.faults: list[str] = []
        # By time, and in the order in which they were set: tuples compare faster than handles.
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_set = 0

    def process(self, name: str) -> Process:
        """A new process."""
        process = Process(self, name)
        self.processes.append(process)
        return process

    def time(self) -> float:
        return self._now_s

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:  # fmt: skip
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_set += 1
        heapq.heappush(self._timers, (when, self._timers_set, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is dropped when it would be due."""

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:  # fmt: skip
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        process = PROCESS.get(None) if context is None else context.get(PROCESS)
        if process is not None:
            process.tasks.append(task)
        return task

    def resume(self, handles: list[asyncio.Handle]) -> None:
        """Run these callbacks next."""
        self._ready.extend(handles)  # type: ignore[attr-defined]

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    async def create_server(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        """A server of the process that calls this, in the simulated network."""
        return self.network.listen(PROCESS.get(), factory)

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        """A connection to a port of the simulated network. Raises OSError."""
        return await self.network.connect(PROCESS.get(), factory, port)

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        if not ready:
            while timers and timers[0][2]._cancelled:  # type: ignore[attr-defined]
                heapq.heappop(timers)
            if not timers:
                raise NothingLeft
            self._now_s = max(self._now_s, timers[0][0])
        while timers and timers[0][0] <= self._now_s:
            ready.append(heapq.heappop(timers)[2])
        batch = list(ready)
        ready.clear()
        for handle in batch if len(batch) == 1 else self._interleaved(batch):
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is None or (process.alive and not process.stopped):
                handle._run()
            elif process.alive:
                process.held.append(handle)

    def _interleaved(self, batch: list[Any]) -> list[Any]:
        by_process: dict[Any, list[Any]] = {}
        for handle in batch:
            by_process.setdefault(handle._context.get(PROCESS), []).append(handle)
        if len(by_process) == 1:
            return batch
        groups = list(by_process.values())
        self._dice.shuffle(groups)
        return [handle for group in groups for handle in group]

    def _note_fault(self, _: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.faults.append(f"{context['message']}: {error!r}")

    def end(self) -> None:
        """Finalise all tasks, and close. Nothing of them runs any more."""
        self.set_exception_handler(lambda *_: None)
        for process in self.processes:
            process.alive = False
        for process in self.processes:
            for task in process.tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    coroutine = task.get_coro()
                    with suppress(BaseException):
                        coroutine.close()  # type: ignore[union-attr]
            process.tasks.clear()
        self._ready.clear()  # type: ignore[attr-defined]
        self._timers.clear()
        self.close()
