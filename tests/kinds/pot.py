"""The kind ``pot``: anybody pays in until its time is over. What everybody has paid in is reserved."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.entity import Receipt, Refusal, Reservation, Rules, Tick


class PotTerms(msgspec.Struct, frozen=True, array_like=True):
    pot: int
    ends_at: int


class PayIn(msgspec.Struct, frozen=True, array_like=True, tag="pay_in"):
    user: int
    amount: int
    key: str


class Break(msgspec.Struct, frozen=True, array_like=True, tag="break"):
    by: int


class PotOpened(msgspec.Struct, frozen=True, array_like=True, tag="pot_opened"):
    terms: PotTerms


class PaidIn(msgspec.Struct, frozen=True, array_like=True, tag="paid_in"):
    user: int
    amount: int
    key: str
    total: int


class PotClosed(msgspec.Struct, frozen=True, array_like=True, tag="pot_closed"):
    by: int | None
    at: int


class Paid(msgspec.Struct, frozen=True, array_like=True):
    total: int


class Pot(msgspec.Struct, frozen=True):
    terms: PotTerms
    paid: dict[int, int] = {}
    closed: bool = False

    @property
    def total(self) -> int:
        return sum(self.paid.values())


class PublicPot(msgspec.Struct, frozen=True):
    total: int
    payers: int
    closed: bool
    server_time: int
    placement: str


PotCommand = PayIn | Break
PotEvent = PotOpened | PaidIn | PotClosed


class PotRules(Rules[Pot, PotCommand, PotEvent]):
    kind = "pot"
    terms_type, command_type, event_type, state_type = PotTerms, PotCommand, PotEvent, Pot

    def open(self, terms: PotTerms, now_ms: int) -> list[PotEvent]:
        return [PotOpened(terms)]

    def opening(self, event: PotEvent) -> tuple[int, PotTerms] | None:
        return (event.terms.pot, event.terms) if isinstance(event, PotOpened) else None

    def terms(self, state: Pot) -> PotTerms:
        return state.terms

    def decide(self, state: Pot, command: PotCommand | Tick, now_ms: int) -> list[PotEvent] | Refusal:
        match command:
            case Tick():
                return [] if state.closed or now_ms < state.terms.ends_at else [PotClosed(None, now_ms)]
            case Break(by):
                return [] if state.closed else [PotClosed(by, now_ms)]
            case PayIn(user, amount, key):
                total = state.total + amount
                return Refusal("pot_closed") if state.closed else [PaidIn(user, amount, key, total)]

    def apply(self, state: Pot | None, event: PotEvent) -> Pot:
        match event:
            case PotOpened(terms):
                return Pot(terms)
            case PaidIn(user, amount):
                assert state is not None
                return replace(state, paid=state.paid | {user: state.paid.get(user, 0) + amount})
            case PotClosed():
                assert state is not None
                return replace(state, closed=True)

    def due_at(self, state: Pot) -> int | None:
        return None if state.closed else state.terms.ends_at

    def ended(self, state: Pot) -> bool:
        return state.closed

    def fingerprint(self, command: PotCommand) -> int | str | None:
        return command.amount if isinstance(command, PayIn) else None

    def receipt(self, event: PotEvent) -> Receipt | None:
        paid = isinstance(event, PaidIn)
        return Receipt(event.user, event.key, event.amount, Paid(event.total)) if paid else None

    def reserved(self, state: Pot | None) -> Mapping[int, Reservation]:
        return {} if state is None or state.closed else {who: Reservation(sum_) for who, sum_ in state.paid.items()}

    def required(self, event: PotEvent) -> Sequence[tuple[int, int]]:
        return ((event.user, event.amount),) if isinstance(event, PaidIn) else ()

    def public_state(self, state: Pot, now_ms: int, placement: str) -> PublicPot:
        return PublicPot(state.total, len(state.paid), state.closed, now_ms, placement)

    def public_event(self, event: PotEvent) -> tuple[str, dict[str, Any]]:
        return type(event).__name__.lower(), {"total": event.total} if isinstance(event, PaidIn) else {}

    def command_behind(self, state: Pot, event: PotEvent) -> PotCommand | Tick | None:
        match event:
            case PaidIn(user, amount, key):
                return PayIn(user, amount, key)
            case PotClosed(by):
                return Tick() if by is None else Break(by)
        return None
