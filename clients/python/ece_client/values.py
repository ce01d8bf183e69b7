"""What the server sends, as frozen values. Money in base units (1 USD is 1_000_000), times in ms since the Unix epoch.

Fields that this version does not know are ignored.
"""

from typing import Any, Generic, Literal, TypeVar

import msgspec

Item = TypeVar("Item")


class Value(msgspec.Struct, frozen=True):
    """The base of all values."""


class Page(Value, Generic[Item], frozen=True):
    """One page of a list; `next_cursor` is None on the last one."""

    items: list[Item]
    next_cursor: str | None


class User(Value, frozen=True):
    """What others see of a user."""

    id: str
    username: str


class Pair(Value, frozen=True):
    """The tokens of a log-in."""

    access_token: str
    expires_in: int
    refresh_token: str

    def __repr__(self) -> str:
        return "Pair(...)"


class AuctionState(Value, frozen=True):
    """An auction as everyone may see it. `minimum` is the lowest amount that the next bid may have."""

    id: str
    format: str
    title: str
    seller: str
    status: str
    price: int
    minimum: int
    leader: str | None
    bids: int
    reserve: str
    starts_at: int
    ends_at: int
    server_time: int
    placement: str
    buy_now: int | None = None
    closed_reason: str | None = None
    winner: str | None = None
    copies: tuple[str, ...] = ()
    settled: bool = False

    @property
    def ended(self) -> bool:
        """It accepts no more bids, ever."""
        return self.status in ("closed", "cancelled")


class BidResult(Value, frozen=True):
    """An accepted bid, at `(epoch, seq)` in the log. `duplicate`: it was a retry.

    `outcome` is `leading`, `outbid` (the leader's maximum is as high or higher; the bid raised the price) or `won`.
    """

    auction: str
    epoch: int
    seq: int
    at: int
    outcome: str
    price: int
    minimum: int
    ends_at: int
    duplicate: bool


class Bid(Value, frozen=True):
    """One bid of an auction's history. `amount` only in one's own, and in all after the end."""

    seq: int
    at: int
    bidder: str
    price: int
    outcome: str
    amount: int | None = None


class Balance(Value, frozen=True):
    """`posted` is the balance, `pending` the part that is held, `available` the rest."""

    currency: str
    decimals: int
    posted: int
    pending: int
    available: int


class Entry(Value, frozen=True):
    """One change of an account. `amount` has its sign: 0 if money was only held or released."""

    seq: int
    at: int
    action: str
    kind: str
    about: str | None
    amount: int
    size: int
    posted: int
    pending: int
    hash: str


class Deposit(Value, frozen=True):
    """A deposit that is in the ledger."""

    id: str
    state: str
    source: str
    amount: int
    currency: str
    at: int


class Withdrawal(Value, frozen=True):
    """A withdrawal; its amount is held until it is `paid`, `failed`, `rejected` or `cancelled`."""

    id: str
    state: str
    amount: int
    currency: str
    destination: str
    requested_at: int
    reason: str | None
    signature: str | None


class CardSet(Value, frozen=True):
    """A set of cards."""

    code: str
    name: str


class CardMarket(Value, frozen=True):
    """The open auctions of a card's copies; `lowest_price` is the lowest of their prices now."""

    open_auctions: int
    lowest_price: int | None
    ends_at: int | None


class Card(Value, frozen=True):
    """What is printed: every copy of a card shares this."""

    id: str
    set: CardSet
    number: str
    name: str
    rarity: str
    traits: dict[str, str]
    market: CardMarket
    images: list[str] = []
    description: str = ""


class CardCopy(Value, frozen=True):
    """A copy of a card. `place` is `free`, `listed` (in `auction`), `trade` or `withdrawn`."""

    id: str
    card: str
    name: str
    serial: int
    owner: str | None
    place: str
    auction: str | None = None


class TradeState(Value, frozen=True):
    """A trade. `hash` is what a party accepts and confirms."""

    id: str
    status: str
    proposer: str
    version: int
    hash: str
    legs: list[dict[str, Any]]
    expires_at: int
    epoch: int
    seq: int


class TradeSummary(Value, frozen=True):
    """A trade in a list."""

    id: str
    status: str
    proposer: str
    parties: list[User]
    version: int
    money: int
    expires_at: int
    reason: str | None


class TradeOutcome(Value, frozen=True):
    """A command is in the trade's log. `hash` is what is to be accepted or confirmed from now on."""

    trade: str
    epoch: int
    seq: int
    at: int
    outcome: str
    duplicate: bool
    hash: str | None = None
    number: int | None = None


class Leg(Value, frozen=True, omit_defaults=True):
    """What `giver` gives to `receiver`, both by their ids."""

    giver: str
    receiver: str
    copies: tuple[str, ...] = ()
    money: int = 0


class Position(Value, frozen=True):
    """A place in the sequence of a channel."""

    epoch: int
    seq: int


SnapshotReason = Literal["subscribed", "missed", "slow_reader", "server"]


class Event(Value, frozen=True):
    """One event of a channel, in its order, exactly once."""

    channel: str
    epoch: int
    seq: int
    type: str
    at: int
    data: dict[str, Any]


class Snapshot(Value, frozen=True):
    """A whole state that replaces everything up to `seq`.

    `reason`: `subscribed` is the first one; `missed` follows a loss of connection or a gap that could not be filled;
    `slow_reader`: the reader was so slow that updates were dropped; `server`: the server sent it in place of events.
    """

    channel: str
    epoch: int
    seq: int
    state: dict[str, Any]
    reason: SnapshotReason


class Signal(Value, frozen=True):
    """Something of the moment (`presence`, `typing`): in no log, lost without harm."""

    channel: str
    type: str
    data: dict[str, Any]


Update = Event | Snapshot | Signal
