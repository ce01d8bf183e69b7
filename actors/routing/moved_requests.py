"""Requests for auctions that are on their way from one host to another: nobody refuses them, they wait.

A host that lets go of an auction answers ``moved``. From the first such answer on, everything for that auction is held
here, until the directory names the new keeper; then it goes there in the order in which it came.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter

from actors.clock import Clock
from actors.stream.messages import Answer, Refused, Request
from domain.errors import OVERLOADED, UNAVAILABLE

# Longer than it takes a host to keep again what it let go of in vain (actors/hosting/ownership/releases.py).
HELD_FOR_S = 4.5
# Whoever has turned it away may yet be the keeper: one that takes an auction is named by the directory a moment before
# it knows that itself, and the directory may have gone there and back between two looks. So where it is still the one
# named it is asked again, soon at first, and after as long again as it was held when that was too soon.
TRY_AGAIN_S = 0.02
TRY_AGAIN_MAX_S = 0.25
RETRY_AFTER_MS = 500

OnAnswer = Callable[[Answer], None]
Held = tuple[int, Request, OnAnswer, float]
"""(its number in the order of arrival, the request, who waits for the answer, since when it has been moving)."""


@dataclass
class _Move:
    left: object | None
    ask_again_at: float
    send_on_at: float
    held: list[Held] = field(default_factory=list)


class MovedRequests:
    """``forward(number, request, on_answer, since)`` sends one on; ``settled(auction, left)``: has it a new keeper?

    ``still_named(auction, left)``: is the one that turned it away the keeper, as far as the directory goes?
    """

    def __init__(
        self,
        forward: Callable[[int, Request, OnAnswer, float | None], None],
        settled: Callable[[int, object], bool],
        still_named: Callable[[int, object], bool],
        clock: Clock,
        held_max: int,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._forward = forward
        self._settled = settled
        self._still_named = still_named
        self._clock = clock
        self._held_max = held_max
        self._steady = steady
        self._moves: dict[int, _Move] = {}
        self.waiting = 0

    def __bool__(self) -> bool:
        return bool(self._moves)

    def __contains__(self, auction: int) -> bool:
        return auction in self._moves

    def hold(
        self, number: int, request: Request, on_answer: OnAnswer, left: object | None, since: float | None
    ) -> None:
        """Keep a request until its auction has a keeper again. ``left``: who has just said that it is not the one.

        ``since``: when it was first held, if it was before; it is held for so long in all, and no longer.
        """
        now = self._steady()
        since = now if since is None else since
        if self.waiting >= self._held_max:
            on_answer(Refused(OVERLOADED, self._clock.now_ms(), retry_after_ms=RETRY_AFTER_MS))
            return
        if now - since >= HELD_FOR_S:
            on_answer(self._unavailable())
            return
        move = self._moves.get(request.auction)
        if move is None:
            move = self._moves[request.auction] = _Move(
                left, now + min(max(TRY_AGAIN_S, now - since), TRY_AGAIN_MAX_S), now + TRY_AGAIN_MAX_S
            )
        elif left is not None:
            move.left = left
        move.held.append((number, request, on_answer, since))
        self.waiting += 1

    def settle(self) -> None:
        """Send on what can be sent on. To be called after each look into the directory."""
        now = self._steady()
        for auction, move in list(self._moves.items()):
            ask_again = now >= move.ask_again_at and self._still_named(auction, move.left)
            if ask_again or now >= move.send_on_at or self._settled(auction, move.left):
                self._let_go(auction, sorted(move.held, key=itemgetter(0)))

    def _let_go(self, auction: int, held: list[Held]) -> None:
        del self._moves[auction]
        self.waiting -= len(held)
        for number, request, on_answer, since in held:
            self._forward(number, request, on_answer, since)

    def expire(self) -> None:
        """Answer ``unavailable`` where no keeper has been found in time."""
        before = self._steady() - HELD_FOR_S
        for auction, move in list(self._moves.items()):
            if any(since <= before for _, _, _, since in move.held):
                self._give_up(auction)

    def give_up(self) -> None:
        """Answer ``unavailable`` to all."""
        for auction in list(self._moves):
            self._give_up(auction)

    def _give_up(self, auction: int) -> None:
        held = self._moves.pop(auction).held
        self.waiting -= len(held)
        for _, _, on_answer, _ in held:
            on_answer(self._unavailable())

    def _unavailable(self) -> Refused:
        return Refused(UNAVAILABLE, self._clock.now_ms(), retry_after_ms=RETRY_AFTER_MS)
