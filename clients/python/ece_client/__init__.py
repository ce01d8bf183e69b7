"""An asyncio client of the ECE auction engine. README.md has examples; `Client` is where to begin."""

from ece_client.auction import AuctionFeed, AuctionUpdate
from ece_client.auth import FixedToken, PasswordTokens, register_user
from ece_client.client import Client, new_key, register
from ece_client.clock import ServerClock
from ece_client.errors import (
    Closed,
    ConnectionLost,
    EceError,
    NotAnswered,
    OutcomeUnknown,
    Refused,
    UnexpectedAnswer,
)
from ece_client.feed import Feed
from ece_client.options import JSON, MSGPACK, Options
from ece_client.rest import AccessToken, Rest, Tokens
from ece_client.values import (
    AuctionState,
    Balance,
    Bid,
    BidResult,
    Card,
    CardCopy,
    Entry,
    Event,
    Leg,
    Position,
    Signal,
    Snapshot,
    TradeOutcome,
    TradeState,
    Update,
    User,
)

__all__ = [
    "JSON",
    "MSGPACK",
    "AccessToken",
    "AuctionFeed",
    "AuctionState",
    "AuctionUpdate",
    "Balance",
    "Bid",
    "BidResult",
    "Card",
    "CardCopy",
    "Client",
    "Closed",
    "ConnectionLost",
    "EceError",
    "Entry",
    "Event",
    "Feed",
    "FixedToken",
    "Leg",
    "NotAnswered",
    "Options",
    "OutcomeUnknown",
    "PasswordTokens",
    "Position",
    "Refused",
    "Rest",
    "ServerClock",
    "Signal",
    "Snapshot",
    "Tokens",
    "TradeOutcome",
    "TradeState",
    "UnexpectedAnswer",
    "Update",
    "User",
    "new_key",
    "register",
    "register_user",
]
