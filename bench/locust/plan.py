"""What is set up for one run, as it is given to every load process."""

from typing import Any

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """A user to act as. `token` is an access token."""

    id: str
    username: str
    token: str


class Lot(msgspec.Struct, frozen=True):
    """An auction that is open when the run begins. Times are the server's, money is in base units."""

    id: str
    minimum: int
    ends_at: int


class Pair(msgspec.Struct, frozen=True):
    """Two users who trade with each other, and a copy of each."""

    one: Identity
    other: Identity
    one_copy: str
    other_copy: str


class Stock(msgspec.Struct, frozen=True):
    """A seller and the copies that they can list."""

    seller: Identity
    copies: list[str]


class RecordedLot(msgspec.Struct, frozen=True):
    """A recorded auction. `bids` are `[bidder, amount]`, `prices` what the rules give after each (None: refused).

    A bidder is an index into `Plan.bidders`.
    """

    terms: dict[str, Any]
    bids: list[tuple[int, int]]
    prices: list[int | None]


class Plan(msgspec.Struct, frozen=True):
    """Everything that users of a run need."""

    url: str
    profile: str
    rate: float | None
    bidders: list[Identity]
    stocks: list[Stock]
    pairs: list[Pair]
    lots: list[Lot]
    cards: list[str]
    # Who may mint copies of which card.
    minter: Identity | None
    minted_card: str | None
    recorded: list[RecordedLot]
