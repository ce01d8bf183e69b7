"""Trades between ann, bob and cid, and how commands change them."""

from collections.abc import Sequence
from typing import Any

from domain.entity import Refusal, Tick
from domain.trade.commands import Accept, Command, Confirm
from domain.trade.rules import TradeRules
from domain.trade.state import Trade
from domain.trade.terms import Leg, Party, Terms

TRADE = 77
ANN, BOB, CID, MODERATOR = 1, 2, 3, 9
START = 1_000_000
HOUR_MS = 3_600_000
RULES = TradeRules()

# ann gives copy 10 and 5 for bob's copy 20.
LEGS = (Leg(ANN, BOB, (10,), 5), Leg(BOB, ANN, (20,)))


def terms(legs: Sequence[Leg] = LEGS, parties: Sequence[int] = (ANN, BOB), **changes: Any) -> Terms:
    named = tuple(Party(user, f"user{user}") for user in parties)
    return Terms(TRADE, parties[0], named, tuple(legs), START + HOUR_MS, **changes)


def opened(**changes: Any) -> Trade:
    """The trade after its first offer."""
    return followed(None, RULES.open(terms(**changes), START))


def followed(trade: Trade | None, events: Sequence[Any]) -> Trade:
    """The state after these events."""
    for event in events:
        trade = RULES.apply(trade, event)
    assert trade is not None
    return trade


def after(trade: Trade, *commands: Command | Tick, now_ms: int = START) -> Trade:
    """The state after these commands, of which none may be refused."""
    for command in commands:
        events = RULES.decide(trade, command, now_ms)
        assert not isinstance(events, Refusal), (command, events)
        trade = followed(trade, events)
    return trade


def agreed(trade: Trade | None = None) -> Trade:
    """Both have accepted."""
    trade = opened() if trade is None else trade
    return after(trade, Accept(BOB, "a", trade.hash))


def confirmed(trade: Trade | None = None) -> Trade:
    """Both have confirmed."""
    trade = agreed() if trade is None else trade
    return after(trade, Confirm(ANN, "c1", trade.hash), Confirm(BOB, "c2", trade.hash), now_ms=trade.confirm_from)


def refusal(trade: Trade, command: Command, now_ms: int = START) -> str:
    """The code with which a command is refused."""
    events = RULES.decide(trade, command, now_ms)
    assert isinstance(events, Refusal), events
    return events.code
