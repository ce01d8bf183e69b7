"""The kind ``trade``: a negotiation between two to five users, its agreement, and what becomes of it.

Who makes an offer accepts it. A counter-offer replaces the offer and all acceptances. Once all have accepted the same
hash, money and copies are held; once all have confirmed it, a worker executes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.entity import Receipt, Refusal, Reservation, Rules, Tick
from domain.errors import (
    ALREADY_ACCEPTED,
    ALREADY_CONFIRMED,
    FORBIDDEN,
    INVALID_TERMS,
    NOT_AGREED,
    NOT_FOUND,
    NOT_REVERSIBLE,
    STALE_TERMS,
    TRADE_AGREED,
    TRADE_COOLING_DOWN,
    TRADE_ENDED,
    TRADE_FULL,
)
from domain.trade import disputes, views
from domain.trade.applying import apply
from domain.trade.commands import (
    Accept,
    Appeal,
    Command,
    Confirm,
    Counter,
    Decline,
    Dispute,
    Edit,
    Execute,
    Fail,
    Invalidate,
    Judge,
    Respond,
    ReversalDone,
    Reverse,
    SendMessage,
)
from domain.trade.events import (
    Accepted,
    Agreement,
    Completed,
    Confirmed,
    Countered,
    Declined,
    Edited,
    Event,
    Executed,
    Expired,
    Failed,
    Invalidated,
    MessageSent,
    Offered,
    ReversalOrdered,
    Reversed,
)
from domain.trade.receipts import command_behind, fingerprint, receipt
from domain.trade.state import ENDED, HOLDING, NEGOTIATING, Acceptance, Status, Trade
from domain.trade.terms import (
    EXPIRY_MAX_MS,
    Terms,
    conditions_of,
    cool_down_fault,
    draft_fault,
    fulfilled,
    legs_fault,
    message_fault,
    payments,
    terms_fault,
    terms_hash,
)

VERSIONS_MAX = 100
MESSAGES_MAX = 500
EDITS_MAX = 2_000
# From the end of the cool-down on: so long money and copies may be held without effect.
CONFIRM_WITHIN_MS = 72 * 3_600_000


class TradeRules(Rules[Trade, Command, Event]):
    """Only parties negotiate; to anybody else a trade does not exist."""

    kind = "trade"
    terms_type, command_type, event_type, state_type = Terms, Command, Event, Trade
    reserves_copies = True

    # -- opening

    def terms_fault(self, terms: Terms) -> str | None:
        return terms_fault(terms)

    def open(self, terms: Terms, now_ms: int) -> list[Event]:
        return [Offered(terms)]

    def opening(self, event: Event) -> tuple[int, Terms] | None:
        return (event.terms.trade, event.terms) if isinstance(event, Offered) else None

    def terms(self, state: Trade) -> Terms:
        return state.terms

    # -- deciding

    def decide(self, state: Trade, command: Command | Tick, now_ms: int) -> list[Event] | Refusal:
        match command:
            case Tick():
                return self._tick(state, now_ms)
            case Counter() | Accept() | Confirm() | Decline() | SendMessage() | Edit():
                return self._negotiate(state, command, now_ms)
            case Dispute():
                return disputes.dispute(state, command, now_ms)
            case Respond():
                return disputes.respond(state, command, now_ms)
            case Judge():
                return disputes.judge(state, command, now_ms)
            case Appeal():
                return disputes.appeal(state, command, now_ms)
            case Reverse():
                return self._reverse(state, command, now_ms)
            case Invalidate() | Execute() | Fail() | ReversalDone():
                return self._reported(state, command)

    def _negotiate(
        self, trade: Trade, order: Counter | Accept | Confirm | Decline | SendMessage | Edit, now_ms: int
    ) -> list[Event] | Refusal:
        if trade.party(order.by) is None:
            return Refusal(NOT_FOUND)
        if isinstance(order, SendMessage):
            return self._message(trade, order)
        if trade.status not in NEGOTIATING or now_ms >= _ends_at(trade):
            return Refusal(TRADE_ENDED)
        match order:
            case Counter():
                return self._counter(trade, order, now_ms)
            case Accept():
                return self._accept(trade, order, now_ms)
            case Confirm():
                return self._confirm(trade, order, now_ms)
            case Decline(by, key):
                return [Declined(by, key, by == trade.terms.proposer)]
            case Edit():
                return self._edit(trade, order)

    def _counter(self, trade: Trade, order: Counter, now_ms: int) -> list[Event] | Refusal:
        if trade.status is Status.AGREED:
            return Refusal(TRADE_AGREED)
        if order.version != trade.version:
            return _stale(trade)
        if trade.version >= VERSIONS_MAX:
            return Refusal(TRADE_FULL)
        expires_at = trade.expires_at if order.expires_at is None else order.expires_at
        if not now_ms < expires_at <= now_ms + EXPIRY_MAX_MS:
            return Refusal(INVALID_TERMS)
        fault = legs_fault(order.legs, trade.users) or message_fault(order.message)
        if fault or cool_down_fault(order.cool_down_ms):
            return Refusal(INVALID_TERMS)
        version = trade.version + 1
        hash_ = terms_hash(trade.terms.trade, version, order.legs)
        return [
            Countered(order.by, order.key, version, order.legs, order.message, expires_at, order.cool_down_ms, hash_)
        ]

    def _accept(self, trade: Trade, order: Accept, now_ms: int) -> list[Event] | Refusal:
        if order.hash != trade.hash:
            return _stale(trade)
        if order.by in trade.accepted:
            return Refusal(ALREADY_ACCEPTED)
        if len(order.copies) != len(conditions_of(trade.legs, order.by)) or cool_down_fault(order.cool_down_ms):
            return Refusal(INVALID_TERMS)
        accepted = trade.accepted | {order.by: Acceptance(order.copies, order.cool_down_ms)}
        agreement = None
        if len(accepted) == len(trade.terms.parties):
            agreement = _agreement(trade, accepted, now_ms)
            if agreement is None:
                return Refusal(INVALID_TERMS)
        return [Accepted(order.by, order.key, order.hash, order.copies, order.cool_down_ms, agreement)]

    def _confirm(self, trade: Trade, order: Confirm, now_ms: int) -> list[Event] | Refusal:
        if trade.status is not Status.AGREED:
            return Refusal(NOT_AGREED)
        if order.hash != trade.hash:
            return _stale(trade)
        if order.by in trade.confirmed:
            return Refusal(ALREADY_CONFIRMED)
        if now_ms < trade.confirm_from:
            return Refusal(TRADE_COOLING_DOWN, {"retry_after_ms": trade.confirm_from - now_ms})
        all_ = len(trade.confirmed) + 1 == len(trade.terms.parties)
        return [Confirmed(order.by, order.key, order.hash, all_)]

    def _message(self, trade: Trade, order: SendMessage) -> list[Event] | Refusal:
        if trade.status in ENDED:
            return Refusal(TRADE_ENDED)
        if trade.messages_sent >= MESSAGES_MAX:
            return Refusal(TRADE_FULL)
        if not order.text or message_fault(order.text):
            return Refusal(INVALID_TERMS)
        return [MessageSent(order.by, order.key, trade.messages_sent + 1, order.text)]

    def _edit(self, trade: Trade, order: Edit) -> list[Event] | Refusal:
        if trade.status is Status.AGREED:
            return Refusal(TRADE_AGREED)
        if order.draft != trade.edited:
            return _stale(trade)
        if trade.edited >= EDITS_MAX:
            return Refusal(TRADE_FULL)
        if draft_fault(order.legs, trade.users):
            return Refusal(INVALID_TERMS)
        return [Edited(order.by, order.key, trade.edited + 1, order.legs)]

    def _reverse(self, trade: Trade, order: Reverse, now_ms: int) -> list[Event] | Refusal:
        if trade.party(order.by) is not None:
            return Refusal(FORBIDDEN)
        if trade.status not in (Status.EXECUTED, Status.DISPUTED) or now_ms >= trade.protected_until:
            return Refusal(NOT_REVERSIBLE)
        return [ReversalOrdered(order.by, order.key, order.reason)]

    def _reported(self, trade: Trade, order: Invalidate | Execute | Fail | ReversalDone) -> list[Event] | Refusal:
        """Reports of workers. One that does not fit the state any more changes nothing."""
        match order:
            case Invalidate(copy, reason):
                concerned = trade.status in NEGOTIATING and copy in copies_of(trade)
                return [Invalidated(copy, reason)] if concerned else []
            case Execute(fee, royalties, protected_until, dispute_until):
                executed = Executed(fee, royalties, protected_until, dispute_until)
                return [executed] if trade.status is Status.CONFIRMED else []
            case Fail(code, copy):
                return [Failed(code, copy)] if trade.status is Status.CONFIRMED else []
            case ReversalDone(result):
                return [Reversed(result)] if trade.status is Status.REVERSING else []

    def _tick(self, trade: Trade, now_ms: int) -> list[Event]:
        due_at = self.due_at(trade)
        if due_at is None or now_ms < due_at:
            return []
        if trade.status in NEGOTIATING:
            return [Expired()]
        if trade.status is Status.DISPUTED:
            assert trade.dispute is not None
            return disputes.tick(trade.dispute, now_ms)
        return [Completed()]

    # -- state

    def apply(self, state: Trade | None, event: Event) -> Trade:
        return apply(state, event)

    def due_at(self, state: Trade) -> int | None:
        match state.status:
            case Status.OPEN | Status.AGREED:
                return _ends_at(state)
            case Status.EXECUTED:
                return max(state.protected_until, 0 if state.dispute else state.dispute_until)
            case Status.DISPUTED:
                return None if state.dispute is None else state.dispute.due_at
        return None

    def ended(self, state: Trade) -> bool:
        return state.status in ENDED

    def reserved(self, state: Trade | None) -> Mapping[int, Reservation]:
        """From the agreement to the execution: all that each party gives."""
        if state is None or state.status not in HOLDING:
            return {}
        money = dict(payments(state.legs))
        return {
            user: Reservation(
                money.get(user, 0),
                # A worker may have executed it by now.
                state.status is Status.CONFIRMED,
                tuple(copy for leg in state.legs if leg.giver == user for copy in leg.copies),
            )
            for user in state.users
        }

    def required(self, event: Event) -> Sequence[tuple[int, int]]:
        return event.agreement.payments if isinstance(event, Accepted) and event.agreement is not None else ()

    # -- retries, views, verification

    def fingerprint(self, command: Command) -> int | str | None:
        return fingerprint(command)

    def receipt(self, event: Event) -> Receipt | None:
        return receipt(event)

    def command_behind(self, state: Trade, event: Event) -> Command | Tick | None:
        return command_behind(state, event)

    def public_state(self, state: Trade, now_ms: int, placement: str) -> views.PublicTrade:
        return views.public_state(state, now_ms, placement)

    def public_event(self, event: Event) -> tuple[str, dict[str, Any]]:
        return views.public_event(event)

    def status(self, state: Trade) -> Any:
        """Each version has its summary row at once: what it is about decides who is told when a copy moves away."""
        return state.status, state.version, state.dispute is not None and state.dispute.stage

    def summary(self, state: Trade, at_ms: int, placement: str) -> tuple[Any, ...]:
        return views.summary(state, at_ms)


def copies_of(trade: Trade) -> set[int]:
    """All copies that the offer names, and those that were named for its conditions."""
    named = {copy for leg in trade.legs for copy in leg.copies}
    return named.union(*(one.copies for one in trade.accepted.values()))


def _ends_at(trade: Trade) -> int:
    return trade.confirm_by if trade.status is Status.AGREED else trade.expires_at


def _stale(trade: Trade) -> Refusal:
    return Refusal(STALE_TERMS, {"version": trade.version, "draft": trade.edited})


def _agreement(trade: Trade, accepted: Mapping[int, Acceptance], now_ms: int) -> Agreement | None:
    """None: a copy was named twice."""
    legs = fulfilled(trade.legs, {user: one.copies for user, one in accepted.items()})
    if legs_fault(legs, trade.users):
        return None
    confirm_from = now_ms + max(one.cool_down_ms for one in accepted.values())
    hash_ = terms_hash(trade.terms.trade, trade.version, legs)
    return Agreement(hash_, confirm_from, confirm_from + CONFIRM_WITHIN_MS, payments(legs))
