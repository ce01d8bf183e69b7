"""What one batch makes of an auction: decisions, each on top of those before it. The auction itself does not change.

A decision is a value. Where its author can't pay, it is dropped, and what came after it in the same auction is decided
again; nothing is ever undone. ``install`` makes it real once the log has it.
"""

from collections.abc import Mapping

import msgspec
import structlog

from actors.hosting.entity.keeper import Keeper, Known, UserKey, answer_of, command_of, head_row, repeated
from actors.hosting.entity.orders import Order
from actors.stream.messages import (
    Answer,
    Bid,
    Buy,
    CloseNow,
    Create,
    GetState,
    Refused,
    SaleSettled,
    StateAnswer,
    Withdraw,
)
from domain.auction.commands import Cancel, CloseEarly, Command, Tick
from domain.auction.events import BID_EVENTS, BoughtNow, Event
from domain.auction.formats.english import decide, list_auction
from domain.auction.refusal import Refusal
from domain.auction.reserving import Reservation, required, reserved
from domain.auction.state import Auction, Status, apply
from domain.auction.views import public_state
from domain.errors import FORBIDDEN, INSUFFICIENT_FUNDS, KEY_REUSED
from domain.log import codec
from persistence.log.event_log import EventRow, HeadRow, KeyedRow

log = structlog.get_logger()


class Decision(msgspec.Struct, frozen=True):
    """What one order comes to: events, the state after them and the answer. ``order`` None: what time alone did.

    ``required``: who must be able to pay how much. ``doubtful``: a refusal that the log has to confirm, for it may be a
    retry whose key memory has forgotten.
    """

    order: Order | None
    answer: Answer | None
    after: Auction | None
    seq: int
    events: list[Event] = []
    key: UserKey | None = None
    known: Known | None = None
    required: tuple[int, int] | None = None
    doubtful: bool = False


class Overlay:
    """One auction in one batch."""

    __slots__ = (
        "_encoded", "_fallen", "_found", "_held", "_known", "_ledger_away", "_unavailable", "at", "before", "decisions",
        "hash", "keeper", "now_ms", "rows", "seq", "state", "stuck", "with_head",
    )  # fmt: skip

    def __init__(
        self, keeper: Keeper, now_ms: int, unavailable: Refused, found: Mapping[tuple[int, bytes], KeyedRow]
    ) -> None:
        """``found``: command keys that the log is known to have, for second attempts."""
        self.keeper = keeper
        self.now_ms = now_ms
        # An auction's time never steps back, though a new host's clock may be behind.
        self.at = max(now_ms, keeper.at)
        self.before = self.state = keeper.auction
        self.seq = keeper.seq
        self.hash = keeper.hash
        self.decisions: list[Decision] = []
        self.rows: list[EventRow] = []
        # Whether the read model's row goes with the rows.
        self.with_head = False
        # Whether what time should have done failed by a fault of ours.
        self.stuck = False
        self._known: dict[UserKey, Known] = {}
        self._held: dict[int, int] | None = None
        # Orders, by id, whose authors can't pay for them.
        self._fallen: dict[int, Refused] = {}
        self._found = found
        self._encoded = False
        self._ledger_away = False
        self._unavailable = unavailable

    @property
    def auction_id(self) -> int:
        return self.keeper.auction_id

    @property
    def changes(self) -> bool:
        """Whether anything happens."""
        return self.seq > self.keeper.seq

    @property
    def changes_status(self) -> bool:
        """Whether the read model has to say so at once."""
        before, after = self.before, self.state
        if after is None:
            return False
        return before is None or (before.status, before.settled) != (after.status, after.settled)

    @property
    def due_at(self) -> int | None:
        """When time alone changes the auction next (ms), after the batch."""
        return None if self.state is None else self.state.due_at

    @property
    def reserved(self) -> dict[int, Reservation]:
        """What is to be reserved after the batch, by user."""
        return reserved(self.state)

    @property
    def held(self) -> dict[int, int]:
        """The most that may be reserved for whom by now (base units); the batch's reservations are added to it."""
        if self._held is None:
            self._held = {user: reservation.amount for user, reservation in reserved(self.before).items()}
        return self._held

    @property
    def events(self) -> list[tuple[int, int, Event]]:
        """All that happens, in order: (seq, at, event)."""
        events = [event for decision in self.decisions for event in decision.events]
        return [(seq, self.at, event) for seq, event in enumerate(events, self.keeper.seq + 1)]

    # -- deciding

    def tick(self, outage: tuple[int, int] | None) -> None:
        """Open or close what is due at the batch's time. ``outage``: the span in which nobody could bid."""
        try:
            self._order(None, None, Tick(outage))
        except Exception:
            # Nothing can be decided on a state that time should have changed.
            log.exception("order_failed", request="Tick", auction=self.auction_id)
            self.stuck = True

    def decide(self, order: Order) -> None:
        """Decide one client's order."""
        fallen = self._fallen.get(id(order))
        if fallen is not None:
            # Where memory has forgotten keys it may be a retry of one that was paid for.
            self._answer(order, fallen, doubtful=not self.keeper.complete)
            return
        if self.stuck:
            self._answer(order, self._unavailable)
            return
        try:
            self._decide(order)
        except Exception:
            # A fault of ours. What was decided before stands: refusing this one harms nobody else.
            log.exception("order_failed", request=type(order.request).__name__, auction=self.auction_id)
            self._answer(order, self._unavailable)

    def drop(self, user: int, available: int) -> None:
        """Refuse what this user has ordered and can't pay with so much, and decide again all that came after it."""
        first = len(self.decisions)
        for number, decision in enumerate(self.decisions):
            if decision.order is None or decision.required is None or decision.required[0] != user:
                continue
            amount = decision.required[1]
            if amount > available:
                refusal = Refused(INSUFFICIENT_FUNDS, self.now_ms, available=available, required=amount)
                self._fallen[id(decision.order)] = refusal
                first = min(first, number)
        for decision in self._rewind(first):
            assert decision.order is not None, "what time alone does comes first"
            self.decide(decision.order)

    def do_without_ledger(self) -> bool:
        """Answer ``unavailable`` to whatever has to be paid for; whether there was anything."""
        self._ledger_away = True
        first = next((n for n, decision in enumerate(self.decisions) if decision.required), None)
        if first is None:
            return False
        for decision in self._rewind(first):
            if decision.order is not None:
                self.decide(decision.order)
        return True

    def _rewind(self, first: int) -> list[Decision]:
        """Take out the decisions from this one on."""
        gone = self.decisions[first:]
        del self.decisions[first:]
        self.state, self.seq = self.before, self.keeper.seq
        if self.decisions:
            self.state, self.seq = self.decisions[-1].after, self.decisions[-1].seq
        self._known = {d.key: d.known for d in self.decisions if d.key is not None and d.known is not None}
        self._encoded = False
        return gone

    def _decide(self, order: Order) -> None:
        request = order.request
        match request:
            case Bid() | Buy():
                self._decide_keyed(order, request)
            case GetState():
                self._answer(order, self._state_answer())
            case Create():
                self._decide_creation(order, request)
            case Withdraw() | CloseNow():
                self._decide_ending(order, request)
            case SaleSettled():
                self._order(order, None, request.paid)
            case _:
                raise AssertionError(f"no order for an auction: {request!r}")

    def _decide_keyed(self, order: Order, request: Bid | Buy) -> None:
        amount = request.amount if isinstance(request, Bid) else None
        if self._found:
            row = self._found.get((request.auction, codec.command_key(request.bidder, request.key)))
            if row is not None:
                self._answer(order, self.keeper.known_answer(request, row))
                return
        key = (request.bidder, request.key)
        known = self._known.get(key) or self.keeper.known(key)
        if known is not None:
            self._answer(order, repeated(known, amount, self.now_ms))
        else:
            self._order(order, key, command_of(request))

    def _decide_creation(self, order: Order, request: Create) -> None:
        if self.state is None:
            self._take(order, None, list_auction(request.terms, self.at))
        elif self.state.terms != request.terms:
            self._answer(order, Refused(KEY_REUSED, self.now_ms))
        else:
            self._answer(order, self._state_answer(duplicate=True))

    def _decide_ending(self, order: Order, request: Withdraw | CloseNow) -> None:
        assert self.state is not None
        command: Command
        if isinstance(request, Withdraw):
            if request.by != self.state.terms.seller and not request.by_operator:
                self._answer(order, Refused(FORBIDDEN, self.now_ms))
                return
            command, done = Cancel(request.by), self.state.status is Status.CANCELLED
        else:
            command, done = CloseEarly(request.by), self.state.status is Status.CLOSED
        if done:
            self._answer(order, self._state_answer(duplicate=True))
        else:
            self._order(order, None, command)

    def _order(self, order: Order | None, key: UserKey | None, command: Command) -> None:
        """Have the rules decide, and take what they say. A refused bid may be a retry that memory has forgotten."""
        assert self.state is not None
        events = decide(self.state, command, self.at)
        if isinstance(events, Refusal):
            assert order is not None, "time is never refused"
            answer = Refused(events.code, self.now_ms, events.price, events.minimum)
            self._answer(order, answer, doubtful=key is not None and not self.keeper.complete)
        else:
            self._take(order, key, events)

    def _take(self, order: Order | None, key: UserKey | None, events: list[Event]) -> None:
        must = required(events[0]) if events else None
        if must is not None and self._ledger_away:
            assert order is not None
            self._answer(order, self._unavailable)
            return
        state, seq = self.state, self.seq + len(events)
        for event in events:
            state = apply(state, event)
        known: Known | None = None
        answer: Answer | None = None
        if key is not None:
            known = _known(events[0], self.keeper.epoch, self.seq + 1, self.at)
            answer = known[1]
            self._known[key] = known
        elif order is not None:
            answer = self._state_answer(state, seq, duplicate=not events)
        self.decisions.append(Decision(order, answer, state, seq, events, key, known, must))
        self.state, self.seq = state, seq
        self._encoded = False

    def _answer(self, order: Order, answer: Answer, *, doubtful: bool = False) -> None:
        """Nothing happens."""
        self.decisions.append(Decision(order, answer, self.state, self.seq, doubtful=doubtful))

    def _state_answer(self, state: Auction | None = None, seq: int = 0, *, duplicate: bool = False) -> StateAnswer:
        state = state or self.state
        assert state is not None
        public = public_state(state, self.now_ms, self.keeper.placement)
        return StateAnswer(self.keeper.epoch, seq or self.seq, public, duplicate)

    # -- what goes to the stores

    def encode(self) -> None:
        """Chain the events into rows; the key goes with the first of its command."""
        if self._encoded:
            return
        try:
            self.rows, self.hash = self._rows()
        except Exception:
            log.exception("order_failed", request="encode", auction=self.auction_id)
            for decision in self._rewind(0):
                if decision.order is not None:
                    self._answer(decision.order, self._unavailable)
            self.rows, self.hash = [], self.keeper.hash
        self._encoded = True

    def _rows(self) -> tuple[list[EventRow], bytes]:
        auction, epoch, at = self.auction_id, self.keeper.epoch, self.at
        rows, seq, digest = list[EventRow](), self.keeper.seq, self.keeper.hash
        for decision in self.decisions:
            command_key = None if decision.key is None else codec.command_key(*decision.key)
            for event in decision.events:
                body = codec.encode_event(event)
                seq += 1
                digest = codec.next_hash(digest, epoch, seq, at, body)
                rows.append(EventRow(auction, seq, epoch, at, command_key, body, digest))
                command_key = None
        return rows, digest

    def install(self) -> None:
        """The log has it: the auction is what the batch made of it."""
        known = [(d.key, d.known) for d in self.decisions if d.key is not None and d.known is not None]
        self.keeper.install(self.state, self.seq, self.at, self.hash, known)

    def head(self) -> HeadRow:
        """The read model's row after the batch."""
        assert self.state is not None
        return head_row(self.keeper, self.state, self.seq, self.at)


def _known(event: Event, epoch: int, seq: int, at: int) -> Known:
    assert isinstance(event, BID_EVENTS)
    return None if isinstance(event, BoughtNow) else event.maximum, answer_of(event, epoch, seq, at)
