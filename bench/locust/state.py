"""What all users of one load process share. Only for Locust's own processes."""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from locust.env import Environment

from bench.locust.arrival import Arrival, ClosedLoop, OpenLoop
from bench.locust.book import Book
from bench.locust.plan import Identity, Plan
from bench.locust.profiles import PROFILES, REFUSALS_BY_THE_RULES
from bench.locust.rest import Rest
from bench.locust.results import BidAck, BidRefused, Kind, ResultsFile
from ece_client import Closed, ConnectionLost, EceError, NotAnswered, Refused, ServerClock

WRONG_ANSWER, NOT_ANSWERED = "wrong_answer", "not_answered"

Answer = TypeVar("Answer")


class EngineFault(Exception):
    """What Locust shows for a failed operation: the engine's code, or one of ours."""


def code_of(error: EceError) -> str:
    """The stable code of a failure; `closed_…` with the close code, `not_answered`, or `wrong_answer`."""
    if isinstance(error, Refused):
        return error.code
    if isinstance(error, ConnectionLost):
        return f"closed_{error.code}"
    return NOT_ANSWERED if isinstance(error, NotAnswered | Closed) else WRONG_ANSWER


class Measures:
    """Where results go: to Locust's statistics, and to a file if there is one."""

    def __init__(self, environment: Environment, results: ResultsFile | None) -> None:
        self._environment = environment
        self._results = results

    def close(self) -> None:
        """Everything is written; what comes later is not."""
        if self._results is not None:
            self._results.close()
            self._results = None

    def record(
        self, kind: Kind, name: str, ms: float, error: str | None = None, bid: BidAck | BidRefused | None = None
    ) -> None:
        """An operation that has just finished. Refusals by the rules are rows of their own, not failures."""
        if self._results is not None:
            self._results.append(kind, name, ms, error, bid)
        by_the_rules = error in REFUSALS_BY_THE_RULES
        self._environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type=kind,
            name=f"{name}: {error}" if by_the_rules else name,
            response_time=ms,
            response_length=0,
            exception=EngineFault(error) if error is not None and not by_the_rules else None,
            context={},
        )

    def measured(self, kind: Kind, name: str, due_s: float, operation: Callable[[], Answer]) -> Answer | None:
        """Do it, and record it with the time since `due_s`. None: it failed, which is recorded too."""
        try:
            answer = operation()
        except Closed:
            # By ourselves, at the end of a run.
            return None
        except EceError as error:
            self.record(kind, name, since_ms(due_s), code_of(error))
            return None
        self.record(kind, name, since_ms(due_s))
        return answer


class LoadState:
    """One process of one run: `number` of `processes`."""

    def __init__(self, environment: Environment, plan: Plan, number: int, processes: int, results: Path | None) -> None:
        self.plan = plan
        self.profile = PROFILES[plan.profile]
        self.measures = Measures(environment, ResultsFile(results) if results is not None else None)
        self.book = Book(plan.lots)
        self.clock = ServerClock()
        self.rest = Rest(plan.url)
        self.chance = random.Random()
        self.arrival = self._arrival(number, processes)
        self._number = number
        self._processes = processes
        self._given: Counter[str] = Counter()

    def _arrival(self, number: int, processes: int) -> Arrival:
        if self.plan.rate is None:
            return ClosedLoop(self.profile.think_s, self.chance)
        return OpenLoop(self.plan.rate / processes, number / processes)

    def share_of(self, part: str, items: list[Answer]) -> Answer | None:
        """The next of these items that belongs to this process, again from the beginning after the last one. None
        where there are none."""
        if not items:
            return None
        place = self._number + self._given[part] * self._processes
        self._given[part] += 1
        return items[place % len(items)]

    def bidder(self) -> Identity:
        """An account to bid and to browse with."""
        identity = self.share_of("bidder", self.plan.bidders)
        assert identity is not None, "every plan has bidders"
        return identity

    def close(self) -> None:
        """The run is over: everything is written."""
        self.measures.close()
        self.rest.close()


def since_ms(due_s: float) -> float:
    """Milliseconds since then, on the clock of `now_s`."""
    return (now_s() - due_s) * 1000


def now_s() -> float:
    """The steady clock on which operations are due."""
    return time.perf_counter()


def current(environment: Environment) -> LoadState:
    """The state of the run of this process. Raises LookupError before there is one."""
    state = getattr(environment, "ece_state", None)
    if not isinstance(state, LoadState):
        raise LookupError("the run has not been prepared")
    return state


def install(environment: Environment, state: LoadState | None) -> None:
    """Make it the state of the run of this process."""
    environment.ece_state = state  # type: ignore[attr-defined]


def fields_of_bid(auction: str, username: str, key: str, amount: int, sent_ns: int) -> dict[str, Any]:
    """What an acknowledged and a refused bid have in common."""
    return {"auction": auction, "bidder": username, "key": key, "amount": amount, "sent_ns": sent_ns}
