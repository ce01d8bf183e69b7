"""Discrete events: threads that do one job after the other, on the cores of a node that they share."""

import heapq
from collections import deque
from collections.abc import Callable

Done = Callable[[], None]


class Clock:
    """Events in the order of their times; those of the same time in the order in which they were added."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._events: list[tuple[float, int, Done]] = []
        self._added = 0

    def after(self, delay_s: float, done: Done) -> None:
        """Call this so many seconds from now."""
        self._added += 1
        heapq.heappush(self._events, (self.now_s + delay_s, self._added, done))

    def run_until(self, end_s: float) -> None:
        """Process all events up to this time."""
        while self._events and self._events[0][0] <= end_s:
            self.now_s, _, done = heapq.heappop(self._events)
            done()
        self.now_s = end_s


class Node:
    """A machine: as many jobs run at the same time as it has cores, one of each thread. Others wait in order.

    A job is not interrupted. The engine's jobs take microseconds to milliseconds, less than a scheduler's slice.
    """

    def __init__(self, clock: Clock, cores: int) -> None:
        self.clock = clock
        self.cores = cores
        self.busy_s = 0.0
        self._free = cores
        self._ready: deque[Thread] = deque()

    def start(self, thread: "Thread") -> None:
        """This thread has a job: run it on a free core, or as soon as there is one."""
        self._ready.append(thread)
        self._assign()

    def _assign(self) -> None:
        while self._free and self._ready:
            self._free -= 1
            self._run(self._ready.popleft())

    def _run(self, thread: "Thread") -> None:
        service_s, done = thread.jobs.popleft()

        def finished() -> None:
            self.busy_s += service_s
            thread.busy_s += service_s
            self._free += 1
            done()
            thread.finished()
            self._assign()

        self.clock.after(service_s, finished)


class Thread:
    """A first-in, first-out queue of jobs, of which one runs at a time."""

    def __init__(self, node: Node, name: str) -> None:
        self.node = node
        self.name = name
        self.busy_s = 0.0
        self.jobs: deque[tuple[float, Done]] = deque()
        self._running = False
        self.taken = 0
        self.left = 0

    def add(self, service_s: float, done: Done) -> None:
        """Queue a job that takes so much processor time."""
        self.taken += 1
        self.jobs.append((service_s, done))
        if not self._running:
            self._running = True
            self.node.start(self)

    def finished(self) -> None:
        """The node has run its job."""
        self.left += 1
        if self.jobs:
            self.node.start(self)
        else:
            self._running = False
