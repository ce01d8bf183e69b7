"""Everything that the clients of one run sent and received about trades, and what they had before and after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.faults.recording import Seen
from domain.trade.commands import Command
from domain.trade.terms import Leg


@dataclass(frozen=True)
class Offer:
    """An offer that a user sent. ``key`` is unique."""

    by: int
    key: str
    legs: tuple[Leg, ...]


@dataclass(frozen=True)
class TradeOrder:
    """A command of a user, however often it was sent."""

    trade: int
    user: int
    key: str
    command: Command


@dataclass(frozen=True)
class TradeAck:
    """The engine said that the order is durable."""

    order: TradeOrder
    seq: int
    at: int
    outcome: str
    hash: str | None
    number: int | None


@dataclass
class TradeRecording:
    """All of one run. ``offered``: acknowledged offers, by key. ``refused``: orders without effect, with the code."""

    offers: list[Offer] = field(default_factory=list)
    offered: dict[str, int] = field(default_factory=dict)
    orders: list[TradeOrder] = field(default_factory=list)
    acks: list[TradeAck] = field(default_factory=list)
    refused: list[tuple[TradeOrder, str]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)


@dataclass(frozen=True)
class Holdings:
    """Who has which copy, which copies are not free, and the money of each user (base units)."""

    owners: Mapping[int, int]
    locked: frozenset[int]
    posted: Mapping[int, int]
    held: Mapping[int, int]
