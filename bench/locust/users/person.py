"""What all users have in common: when they act, and how they are measured."""

from typing import Any

import gevent
from gevent.pool import Pool
from locust import User, task
from locust.exception import RescheduleTaskImmediately

from bench.locust.arrival import ClosedLoop
from bench.locust.line import Line
from bench.locust.state import LoadState, current, now_s
from ece_client import EceError

STOPS_WITHIN_S = 1.0


class Person(User):
    """Performs an operation whenever one is due."""

    abstract = True
    # Whether its operations take part in a fixed rate. Those who wait for something else do not.
    scheduled = True
    # In open loop, operations of one user that are not finished; further ones wait, and their latency counts meanwhile.
    unfinished_max = 64

    def on_start(self) -> None:
        self.load: LoadState = current(self.environment)
        self._pool = Pool(self.unfinished_max)
        self.prepare()
        self._due_s = self._next_due_s()
        gevent.sleep(max(0.0, self._due_s - now_s()))

    def on_stop(self) -> None:
        self._pool.join(timeout=STOPS_WITHIN_S)
        self._pool.kill()
        self.leave()

    def wait_time(self) -> float:
        """Locust waits so long between two tasks."""
        return max(0.0, self._due_s - now_s())

    @task
    def act(self) -> None:
        """Locust's task."""
        if self.scheduled and self.load.arrival.open_loop:
            self._pool.spawn(self._operate, self._due_s)
            gevent.sleep(0)
        else:
            self._operate(self._due_s)
        self._due_s = self._next_due_s()
        if self._due_s <= now_s():
            # Locust kills users who wait, however shortly: they would be in their next operation by then.
            raise RescheduleTaskImmediately

    def _operate(self, due_s: float) -> None:
        try:
            self.operate(due_s)
        except EceError:
            # It is recorded where it was raised. The next operation connects again.
            return

    def _next_due_s(self) -> float:
        if self.scheduled:
            return self.load.arrival.next_due_s(now_s())
        return self.own_due_s(now_s())

    # --- what a class of users brings ---

    def prepare(self) -> None:
        """Before the first operation."""

    def operate(self, due_s: float) -> None:
        """One operation, which was due then."""
        raise NotImplementedError

    def own_due_s(self, now_s: float) -> float:
        """When the next operation is due, for a class that is not `scheduled`."""
        return ClosedLoop(self.load.profile.think_s, self.load.chance).next_due_s(now_s)

    def leave(self) -> None:
        """After the last operation."""

    def rest(
        self, name: str, due_s: float, method: str, path: str, token: str | None, body: dict[str, Any] | None = None
    ) -> Any:
        """A REST request, measured since `due_s`. None: it failed, or its answer is empty."""
        return self.load.measures.measured(
            "rest", name, due_s, lambda: self.load.rest.request(method, path, token, body)
        )


class SocketPerson(Person):
    """A user with a WebSocket of their own, who follows auctions."""

    abstract = True

    def prepare(self) -> None:
        self.line = Line(self.load, self.load.bidder(), self.on_update)

    def on_update(self, lot: Any) -> None:
        """An update of an auction has come. Must not wait."""

    def leave(self) -> None:
        self.line.close()
