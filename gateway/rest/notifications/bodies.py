"""What clients send about watching, searches and notifications, and what they get. Times in milliseconds."""

from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from domain.ids import id_text
from domain.ledger.currencies import AMOUNT_MAX
from gateway.rest.auctions.bodies import AuctionState, listed_json
from gateway.rest.catalog.bodies import CardItem, Word, card_json
from gateway.rest.text import LINE, keys_once
from persistence.catalog.reading import Wanted
from persistence.notifications.saved_searches import SavedSearch
from persistence.notifications.store import Notification
from persistence.notifications.watches import Watch

SEARCH_TRAITS_MAX = 8
READ_AT_ONCE_MAX = 100

Price = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
SearchName = Annotated[str, Field(min_length=1, max_length=100), LINE]


class WatchItem(BaseModel):
    """A watched auction or card, by ``kind``, with its present state."""

    kind: Literal["auction", "card"]
    id: str
    at: Annotated[int, Field(description="Since when it is watched")]
    auction: AuctionState | None = None
    card: CardItem | None = None


class WatchPage(BaseModel):
    """A page of what is watched, the newest first."""

    items: list[WatchItem]
    next_cursor: str | None


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class SearchQuery(_Body):
    """The filters of ``GET /catalog/cards``. Prices are those of auctions, in base units."""

    q: Annotated[str, Field(max_length=200), LINE] = ""
    set: Word | None = None
    rarity: Word | None = None
    traits: Annotated[dict[Word, Word], Field(max_length=SEARCH_TRAITS_MAX), BeforeValidator(keys_once)] = {}
    min_price: Price | None = None
    max_price: Price | None = None
    status: Literal["open", "none"] | None = None

    def wanted(self) -> Wanted:
        """The same, for the store."""
        traits = tuple(sorted(self.traits.items()))
        return Wanted(self.q, self.set, self.rarity, traits, self.min_price, self.max_price, self.status)


class NewSearch(_Body):
    """A search to save. With ``alerts`` there is a notification of each auction that opens of a card that it finds."""

    name: SearchName
    query: SearchQuery
    alerts: bool = False

    @model_validator(mode="after")
    def _alerts_can_come(self) -> Self:
        query = self.query
        if self.alerts and query.status == "none":
            raise ValueError("cards without auctions give no alerts")
        if self.alerts and not (query.q or query.set or query.rarity or query.traits):
            raise ValueError("alerts need words, a set, a rarity or a trait: else they would be of everything")
        return self


class SearchItem(BaseModel):
    """A saved search."""

    id: str
    name: str
    query: SearchQuery
    alerts: bool
    at: Annotated[int, Field(description="When it was saved")]


class SearchList(BaseModel):
    """All searches of a user, the newest first; ``next_cursor`` is always null."""

    items: list[SearchItem]
    next_cursor: str | None


class NotificationItem(BaseModel):
    """A notification. ``seq`` counts those of its user, from 1; ``data`` depends on ``kind``."""

    id: str
    seq: int
    kind: Annotated[str, Field(examples=["search_match", "card_listed", "auction_ending", "auction_ended"])]
    data: dict[str, Any]
    at: int
    read_at: int | None


class NotificationPage(BaseModel):
    """A page of notifications, the newest first. ``unread`` counts all of one's own."""

    items: list[NotificationItem]
    next_cursor: str | None
    unread: int


class ReadNotifications(_Body):
    """Which were read: these ``ids``, or all up to a ``seq``."""

    ids: Annotated[list[Annotated[str, Field(max_length=32)]] | None, Field(max_length=READ_AT_ONCE_MAX)] = None
    up_to: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ids is None) == (self.up_to is None):
            raise ValueError("either ids or up_to is needed, and not both")
        return self


class NowRead(BaseModel):
    """How many were unread until now, and how many still are."""

    read: int
    unread: int


def watch_json(watch: Watch, now_ms: int) -> dict[str, Any]:
    """A WatchItem."""
    item: dict[str, Any] = {"kind": watch.kind, "id": id_text(watch.target), "at": watch.at}
    if watch.auction is not None:
        item["auction"] = listed_json(watch.auction, now_ms)
    if watch.card is not None:
        item["card"] = card_json(watch.card)
    return item


def search_json(search: SavedSearch) -> dict[str, Any]:
    """A SearchItem."""
    query = msgspec.to_builtins(search.wanted) | {"traits": dict(search.wanted.traits)}
    return {"id": id_text(search.id), "name": search.name, "query": query, "alerts": search.alerts, "at": search.at}


def notification_json(notification: Notification) -> dict[str, Any]:
    """A NotificationItem."""
    return {
        "id": id_text(notification.id),
        "seq": notification.seq,
        "kind": notification.kind,
        "data": msgspec.Raw(notification.data.encode()),
        "at": notification.at,
        "read_at": notification.read_at,
    }
