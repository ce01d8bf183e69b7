"""The decisions of one batch for one entity, each based on those before it. The entity itself does not change.

A decision is a value. Without enough funds it is dropped, and the orders after it in the same entity are decided
again; nothing is ever undone. ``install`` updates the entity after the append.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any

import msgspec
import structlog

from actors.hosting.entity.entity import Entity, Known, repeated, summary_row
from actors.hosting.entity.orders import DueNow, Order
from actors.stream.messages import Accepted, Answer, Command, GetState, Open, Refused, StateAnswer, UserKey
from domain.entity import Refusal, Reservation, Tick
from domain.errors import COPY_NOT_FREE, INSUFFICIENT_FUNDS, KEY_REUSED, NOT_FOUND, PARTY_NOT_ABLE
from domain.ids import id_text
from domain.log.codec import command_key, encode, next_hash
from persistence.log.event_log import EventRow, KeyedRow
from persistence.log.summaries import SummaryRow

log = structlog.get_logger()


class Decision(msgspec.Struct, frozen=True):
    """The result of one order: events, the state after them and the answer. ``order`` None: a tick.

    ``required``: (user, amount) that must be available. ``maybe_duplicate``: a refusal of what may be a retry whose
    key is not in memory; the log is asked.
    """

    order: Order | None
    answer: Answer | None
    after: Any
    seq: int
    events: list[Any] = []
    key: UserKey | None = None
    known: Known | None = None
    required: Sequence[tuple[int, int]] = ()
    maybe_duplicate: bool = False


class Overlay:
    """One entity in one batch."""

    __slots__ = (
        "_dropped", "_encoded", "_held", "_known", "_known_keys", "_ledger_unavailable", "_rules", "_unavailable", "at",
        "before", "decisions", "entity", "hash", "locked", "now_ms", "rows", "seq", "state", "stuck", "with_summary",
    )  # fmt: skip

    def __init__(
        self, entity: Entity, now_ms: int, unavailable: Refused, known_keys: Mapping[tuple[int, bytes], KeyedRow]
    ) -> None:
        """``known_keys``: command keys that the log is known to have, for second attempts."""
        self.entity = entity
        self._rules = entity.rules
        self.now_ms = now_ms
        # An entity's time never steps back, though a new host's clock may be behind.
        self.at = max(now_ms, entity.at)
        self.before = self.state = entity.state
        self.seq = entity.seq
        self.hash = entity.hash
        self.decisions: list[Decision] = []
        self.rows: list[EventRow] = []
        # Whether the summary row goes with the rows.
        self.with_summary = False
        # Whether the tick failed by an internal error.
        self.stuck = False
        self._known: dict[UserKey, Known] = {}
        self._held: dict[int, int] | None = None
        # (owner, copy) of what was locked for this batch.
        self.locked: set[tuple[int, int]] = set()
        # Refusals of orders without enough funds, by id of the order.
        self._dropped: dict[int, Refused] = {}
        self._known_keys = known_keys
        self._encoded = False
        self._ledger_unavailable = False
        self._unavailable = unavailable

    @property
    def entity_id(self) -> int:
        return self.entity.id

    @property
    def changes(self) -> bool:
        """Whether it has any events."""
        return self.seq > self.entity.seq

    @property
    def changes_status(self) -> bool:
        """Whether the status changes, so that the summary row has to be written in the same commit."""
        if self.state is None:
            return False
        return self.before is None or self._rules.status(self.before) != self._rules.status(self.state)

    @property
    def due_at(self) -> int | None:
        """When time alone changes the entity next (ms), after the batch."""
        return None if self.state is None else self._rules.due_at(self.state)

    @property
    def reserved(self) -> Mapping[int, Reservation]:
        """What is to be reserved after the batch, by user."""
        return self._rules.reserved(self.state)

    @property
    def reserved_before(self) -> Mapping[int, Reservation]:
        """What is reserved before the batch, by user."""
        return self._rules.reserved(self.before)

    @property
    def reserves_copies(self) -> bool:
        """Whether entities of its kind reserve copies."""
        return self._rules.reserves_copies

    @property
    def held(self) -> dict[int, int]:
        """Upper bounds of what is reserved, by user (base units); reservations of the batch are included."""
        if self._held is None:
            self._held = {user: one.amount for user, one in self.reserved_before.items()}
        return self._held

    def forget_held(self) -> None:
        """Nothing was reserved by this batch after all."""
        self._held = None

    @property
    def events(self) -> list[tuple[int, int, Any]]:
        """All events, in order: (seq, at, event)."""
        events = [event for decision in self.decisions for event in decision.events]
        return [(seq, self.at, event) for seq, event in enumerate(events, self.entity.seq + 1)]

    # -- deciding

    def tick(self, outage: tuple[int, int] | None) -> None:
        """Decide the tick that is due at the batch's time. ``outage``: a span in which no commands were accepted."""
        try:
            self._command(None, None, Tick(outage))
        except Exception:
            # Nothing can be decided on a state that time should have changed.
            log.exception("order_failed", request="Tick", entity=self.entity_id)
            self.stuck = True

    def decide(self, order: Order) -> None:
        """Decide one client's order."""
        dropped = self._dropped.get(id(order))
        if dropped is not None:
            # If memory does not have all keys, it may be a retry of an accepted command.
            self._answer(order, dropped, maybe_duplicate=not self.entity.complete)
            return
        if self.stuck:
            self._answer(order, self._unavailable)
            return
        try:
            self._decide(order)
        except Exception:
            # An internal error with this order alone: earlier decisions are not affected.
            log.exception("order_failed", request=type(order.request).__name__, entity=self.entity_id)
            self._answer(order, self._unavailable)

    def drop(self, user: int, available: int) -> None:
        """Refuse orders that require more of this user than is ``available``; decide the orders after them again."""
        first = len(self.decisions)
        for number, decision in enumerate(self.decisions):
            needed = [amount for who, amount in decision.required if who == user]
            if decision.order is not None and needed and max(needed) > available:
                refused = Refused(INSUFFICIENT_FUNDS, self.now_ms, {"available": available, "required": max(needed)})
                if decision.key is not None and decision.key[0] != user:
                    # What somebody has is no business of the others.
                    refused = Refused(PARTY_NOT_ABLE, self.now_ms)
                self._dropped[id(decision.order)] = refused
                first = min(first, number)
        self._decide_again(first)

    def drop_copies(self, copies: Set[int]) -> None:
        """Refuse the first order that reserves one of these copies, and decide the orders after it again."""
        before = self.before
        for number, decision in enumerate(self.decisions):
            lost = copies & self._newly_reserved(before, decision.after)
            if lost:
                assert decision.order is not None, "time alone reserves nothing"
                details = {"copy": id_text(min(lost))}
                self._dropped[id(decision.order)] = Refused(COPY_NOT_FREE, self.now_ms, details)
                self._decide_again(number)
                return
            before = decision.after

    def answer_unavailable(self) -> bool:
        """The ledger does not answer: answer ``unavailable`` to orders that need it. Returns whether any did."""
        self._ledger_unavailable = True
        before = self.before
        for number, decision in enumerate(self.decisions):
            if decision.required or self._newly_reserved(before, decision.after):
                self._decide_again(number)
                return True
            before = decision.after
        return False

    def _newly_reserved(self, before: Any, after: Any) -> set[int]:
        """The copies that only the second state reserves."""
        if not self.reserves_copies:
            return set()
        had, has = (
            {copy for one in self._rules.reserved(state).values() for copy in one.copies} for state in (before, after)
        )
        return has - had

    def _decide_again(self, first: int) -> None:
        for decision in self._rewind(first):
            if decision.order is not None:
                self.decide(decision.order)

    def _rewind(self, first: int) -> list[Decision]:
        """Remove and return the decisions from this index on."""
        gone = self.decisions[first:]
        del self.decisions[first:]
        self.state, self.seq = self.before, self.entity.seq
        if self.decisions:
            self.state, self.seq = self.decisions[-1].after, self.decisions[-1].seq
        self._known = {d.key: d.known for d in self.decisions if d.key is not None and d.known is not None}
        self._encoded = False
        return gone

    def _decide(self, order: Order) -> None:
        request = order.request
        assert not isinstance(request, DueNow), "ticks come first"
        if request.kind != self.entity.kind.name:
            self._answer(order, Refused(NOT_FOUND, self.now_ms))
        elif isinstance(request, Command):
            self._decide_command(order, request)
        elif isinstance(request, GetState):
            self._answer(order, self._state_answer())
        else:
            self._decide_opening(order, request)

    def _decide_command(self, order: Order, request: Command) -> None:
        command, key = self.entity.kind.codec.decode_command(request.payload), request.key
        if key is None:
            self._command(order, None, command)
            return
        if self._known_keys:
            row = self._known_keys.get((request.entity, command_key(*key)))
            if row is not None:
                self._answer(order, self.entity.known_answer(self._rules.fingerprint(command), row))
                return
        known = self._known.get(key) or self.entity.known(key)
        if known is not None:
            self._answer(order, repeated(known, self._rules.fingerprint(command), self.now_ms))
        else:
            self._command(order, key, command)

    def _decide_opening(self, order: Order, request: Open) -> None:
        terms = self.entity.kind.codec.decode_terms(request.terms)
        if self.state is None:
            self._add_events(order, None, self._rules.open(terms, self.at))
        elif self._rules.terms(self.state) != terms:
            self._answer(order, Refused(KEY_REUSED, self.now_ms))
        else:
            self._answer(order, self._state_answer(duplicate=True))

    def _command(self, order: Order | None, key: UserKey | None, command: Any) -> None:
        """Add the decision of the rules. A refused command may be a retry whose key is not in memory."""
        events = self._rules.decide(self.state, command, self.at)
        if isinstance(events, Refusal):
            assert order is not None, "a tick is never refused"
            answer = Refused(events.code, self.now_ms, events.details)
            self._answer(order, answer, maybe_duplicate=key is not None and not self.entity.complete)
        else:
            self._add_events(order, key, events)

    def _add_events(self, order: Order | None, key: UserKey | None, events: list[Any]) -> None:
        required = self._rules.required(events[0]) if events else ()
        state, seq = self.state, self.seq + len(events)
        for event in events:
            state = self._rules.apply(state, event)
        if self._ledger_unavailable and (required or self._newly_reserved(self.state, state)):
            assert order is not None
            self._answer(order, self._unavailable)
            return
        known: Known | None = None
        answer: Answer | None = None
        if key is not None:
            known = self._known[key] = self._known_from(events[0])
            answer = known[1]
        elif order is not None:
            answer = self._state_answer(state, seq, duplicate=not events)
        self.decisions.append(Decision(order, answer, state, seq, events, key, known, required))
        self.state, self.seq = state, seq
        self._encoded = False

    def _known_from(self, event: Any) -> Known:
        receipt = self._rules.receipt(event)
        assert receipt is not None, "the first event of a keyed command has a receipt"
        return receipt.fingerprint, Accepted(self.entity.epoch, self.seq + 1, self.at, receipt.result)

    def _answer(self, order: Order, answer: Answer, *, maybe_duplicate: bool = False) -> None:
        """Add a decision without events."""
        self.decisions.append(Decision(order, answer, self.state, self.seq, maybe_duplicate=maybe_duplicate))

    def _state_answer(self, state: Any = None, seq: int = 0, *, duplicate: bool = False) -> StateAnswer:
        state = self.state if state is None else state
        public = encode(self._rules.public_state(state, self.now_ms, self.entity.placement))
        final = self._rules.ended(state)
        return StateAnswer(self.entity.epoch, seq or self.seq, self.now_ms, msgspec.Raw(public), final, duplicate)

    # -- what goes to the stores

    def encode(self) -> None:
        """Chain the events into rows; the key goes with the first of its command."""
        if self._encoded:
            return
        try:
            self.rows, self.hash = self._rows()
        except Exception:
            log.exception("order_failed", request="encode", entity=self.entity_id)
            for decision in self._rewind(0):
                if decision.order is not None:
                    self._answer(decision.order, self._unavailable)
            self.rows, self.hash = [], self.entity.hash
        self._encoded = True

    def _rows(self) -> tuple[list[EventRow], bytes]:
        entity, kind, epoch, at = self.entity_id, self.entity.kind.name, self.entity.epoch, self.at
        rows, seq, digest = list[EventRow](), self.entity.seq, self.entity.hash
        for decision in self.decisions:
            key = None if decision.key is None else command_key(*decision.key)
            for event in decision.events:
                body = encode(event)
                seq += 1
                digest = next_hash(digest, epoch, seq, at, body)
                rows.append(EventRow(entity, kind, seq, epoch, at, key, body, digest))
                key = None
        return rows, digest

    def install(self) -> None:
        """Update the entity after the append."""
        known = [(d.key, d.known) for d in self.decisions if d.key is not None and d.known is not None]
        self.entity.install(self.state, self.seq, self.at, self.hash, known)

    def summary(self) -> SummaryRow:
        """The summary row after the batch."""
        return summary_row(self.entity, self.state, self.seq, self.at)
