"""The hand-off buffer: requests for entities that are handed off from one host to another wait here.

A host that has handed off an entity answers ``moved``. From the first such answer on, requests for that entity are
held here until the directory names the new owner, and are then sent there in the order of their arrival.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter

from actors.clock import Clock
from actors.stream.messages import Answer, Refused, Request
from domain.errors import OVERLOADED, UNAVAILABLE

# Longer than a host needs to own again what no other host acquired (actors/hosting/ownership/releases.py).
HELD_FOR_S = 4.5
# The host that rejected a request may still be the owner: the directory names a new owner a moment before that host
# itself knows, and ownership may have changed twice between two look-ups. So while the directory names the same host,
# it is asked again: soon at first, then after as long again as the request was held.
TRY_AGAIN_S = 0.02
TRY_AGAIN_MAX_S = 0.25
RETRY_LATER = {"retry_after_ms": 500}

OnAnswer = Callable[[Answer], None]
Held = tuple[int, Request, OnAnswer, float]
"""(number in the order of arrival, request, callback, time since which it is held)."""


@dataclass
class _Move:
    left: object | None
    ask_again_at: float
    send_on_at: float
    held: list[Held] = field(default_factory=list)


class HandOffBuffer:
    """``forward(number, request, on_answer, since)`` sends a request; ``settled(entity, left)``: has it a new owner?

    ``still_named(entity, left)``: does the directory still name the host that rejected it?
    """

    def __init__(
        self,
        forward: Callable[[int, Request, OnAnswer, float | None], None],
        settled: Callable[[int, object], bool],
        still_named: Callable[[int, object], bool],
        clock: Clock,
        held_max: int,
    ) -> None:
        self._forward = forward
        self._settled = settled
        self._still_named = still_named
        self._clock = clock
        self._held_max = held_max
        self._steady = clock.steady_s
        self._moves: dict[int, _Move] = {}
        self.waiting = 0

    def __bool__(self) -> bool:
        return bool(self._moves)

    def __contains__(self, entity: int) -> bool:
        return entity in self._moves

    def hold(
        self, number: int, request: Request, on_answer: OnAnswer, left: object | None, since: float | None
    ) -> None:
        """Hold a request until its entity has an owner again. ``left``: the host that has just rejected it.

        ``since``: when it was first held, if it was; the time in all is limited.
        """
        now = self._steady()
        since = now if since is None else since
        if self.waiting >= self._held_max:
            on_answer(Refused(OVERLOADED, self._clock.now_ms(), RETRY_LATER))
            return
        if now - since >= HELD_FOR_S:
            on_answer(self._unavailable())
            return
        move = self._moves.get(request.entity)
        if move is None:
            move = self._moves[request.entity] = _Move(
                left, now + min(max(TRY_AGAIN_S, now - since), TRY_AGAIN_MAX_S), now + TRY_AGAIN_MAX_S
            )
        elif left is not None:
            move.left = left
        move.held.append((number, request, on_answer, since))
        self.waiting += 1

    def settle(self) -> None:
        """Forward the requests whose entity has an owner. To be called after each look-up in the directory."""
        now = self._steady()
        for entity, move in list(self._moves.items()):
            ask_again = now >= move.ask_again_at and self._still_named(entity, move.left)
            if ask_again or now >= move.send_on_at or self._settled(entity, move.left):
                self._send_on(entity, sorted(move.held, key=itemgetter(0)))

    def _send_on(self, entity: int, held: list[Held]) -> None:
        del self._moves[entity]
        self.waiting -= len(held)
        for number, request, on_answer, since in held:
            self._forward(number, request, on_answer, since)

    def expire(self) -> None:
        """Answer ``unavailable`` to requests that were held too long."""
        before = self._steady() - HELD_FOR_S
        for entity, move in list(self._moves.items()):
            if any(since <= before for _, _, _, since in move.held):
                self._give_up(entity)

    def give_up(self) -> None:
        """Answer ``unavailable`` to all requests."""
        for entity in list(self._moves):
            self._give_up(entity)

    def _give_up(self, entity: int) -> None:
        held = self._moves.pop(entity).held
        self.waiting -= len(held)
        for _, _, on_answer, _ in held:
            on_answer(self._unavailable())

    def _unavailable(self) -> Refused:
        return Refused(UNAVAILABLE, self._clock.now_ms(), RETRY_LATER)
