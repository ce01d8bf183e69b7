"""What operators send about cards, and what anyone gets. Prices in base units, times in milliseconds."""

from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from domain.catalog.rows import IMAGES_MAX, INT_MAX, TRAITS_MAX, CardRow
from domain.ids import id_text
from gateway.rest.text import LINE, LINES, keys_once
from persistence.catalog.counting import PRICE_BOUNDS, MarketFacets
from persistence.catalog.counting import Facets as FoundFacets
from persistence.catalog.reading import Card
from persistence.sales.copies import Rights

Short = Annotated[str, Field(min_length=1, max_length=200), LINE]
Word = Annotated[str, Field(min_length=1, max_length=64), LINE]
Address = Annotated[str, Field(min_length=1, max_length=500), LINE]


class NewCard(BaseModel):
    """A card as operators give it, known by ``set`` and ``number``: given again, it is changed."""

    model_config = ConfigDict(strict=True, extra="forbid")

    set: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"), LINE]
    number: Annotated[str, Field(min_length=1, max_length=32), LINE]
    name: Short
    rarity: Word
    set_name: Short | None = None
    description: Annotated[str, Field(max_length=4_000), LINES] = ""
    traits: Annotated[dict[Word, Word], Field(max_length=TRAITS_MAX), BeforeValidator(keys_once)] = {}
    edition: Annotated[int, Field(ge=1, le=INT_MAX)] | None = None
    images: Annotated[list[Address], Field(max_length=IMAGES_MAX)] = []
    model_3d: Address | None = None

    def row(self) -> CardRow:
        """The row for the store."""
        return msgspec.convert(self.model_dump(), CardRow)


class OwnCard(NewCard):
    """A card of one's own, in a set of one's own. What is there is not changed."""

    images: Annotated[
        list[Annotated[str, Field(pattern=r"^ipfs://[a-z0-9]{1,100}$")]],
        Field(max_length=IMAGES_MAX, description="The `uri` of images that are stored here (`POST /content`)"),
    ] = []
    model_3d: None = None


class PutCards(BaseModel):
    """The outcome of a put of a card."""

    created: int
    changed: int
    same: int


class SetName(BaseModel):
    """A set of cards."""

    code: str
    name: str


class Market(BaseModel):
    """The open auctions of a card's copies; ``lowest_price`` is the lowest of their prices now."""

    open_auctions: int
    lowest_price: int | None
    ends_at: Annotated[int | None, Field(description="When the next of them ends")]
    listed_at: Annotated[int | None, Field(description="When the newest was listed")]


class CardItem(BaseModel):
    """What is printed: every copy of a card shares this."""

    id: str
    set: SetName
    number: str
    name: str
    description: str
    rarity: str
    traits: dict[str, str]
    edition: Annotated[int | None, Field(description="How many copies there may be; null: any number")]
    images: list[str]
    model_3d: str | None
    created_at: int
    updated_at: int
    market: Market


class RoyaltyShare(BaseModel):
    """Who gets a royalty of each sale, in hundredths of a percent. ``user`` is a username."""

    user: str | None
    basis_points: int


class WholeCard(CardItem):
    """A card with its creator (a username; null: the house) and the royalties of each sale of its copies."""

    creator: str | None
    royalty: list[RoyaltyShare]


class Total(BaseModel):
    """Exact up to 10,000; beyond it is an estimate, and says so."""

    count: int
    estimate: bool


class CardPage(BaseModel):
    """A page of cards."""

    items: list[CardItem]
    next_cursor: str | None
    total: Total


class FacetCount(BaseModel):
    """How many of the cards have this."""

    value: str
    count: int


class TraitCount(FacetCount):
    """How many of the cards have this value of a trait."""

    name: str


class PriceCount(BaseModel):
    """How many of the cards have their lowest open price from ``min_price`` to ``max_price``, both included."""

    min_price: int
    max_price: Annotated[int | None, Field(description="null: without bound")]
    count: int


class Facets(BaseModel):
    """Of the cards that the filters leave: how many have what, the 50 most frequent of each.

    ``price`` has all buckets: below 1, 5, 25, 100 and 500 USDC, and above.
    """

    total: Total
    estimate: bool
    set: list[FacetCount]
    rarity: list[FacetCount]
    status: list[FacetCount]
    price: list[PriceCount]
    trait: list[TraitCount]


class SetItem(SetName):
    """A set; ``cards`` counts up to 10,000."""

    cards: int


class SetPage(BaseModel):
    """A page of sets, by code."""

    items: list[SetItem]
    next_cursor: str | None


def rights_json(rights: Rights) -> dict[str, Any]:
    """The fields that a WholeCard has in addition to those of a CardItem."""
    shares = [{"user": user, "basis_points": basis_points} for user, basis_points in rights.royalty]
    return {"creator": rights.creator, "royalty": shares}


def card_json(card: Card) -> dict[str, Any]:
    """A CardItem."""
    return {
        "id": id_text(card.id),
        "set": {"code": card.set, "name": card.set_name},
        "number": card.number,
        "name": card.name,
        "description": card.description,
        "rarity": card.rarity,
        "traits": msgspec.Raw(card.traits.encode()),
        "edition": card.edition,
        "images": card.images,
        "model_3d": card.model_3d,
        "created_at": card.created_at,
        "updated_at": card.updated_at,
        "market": {
            "open_auctions": card.open_auctions,
            "lowest_price": card.lowest_price,
            "ends_at": card.ends_at_next,
            "listed_at": card.listed_at_last,
        },
    }


def facets_json(found: FoundFacets, market: MarketFacets) -> dict[str, Any]:
    """Facets."""
    statuses = {"open": market.open.count, "none": max(0, found.total.count - market.open.count)}
    status = [{"value": value, "count": count} for value, count in statuses.items() if count]
    above = [bound - 1 for bound in PRICE_BOUNDS[1:]]
    return {
        "total": found.total,
        "estimate": found.total.estimate or market.open.estimate,
        "set": [{"value": value, "count": count} for _, value, count in found.set],
        "rarity": [{"value": value, "count": count} for _, value, count in found.rarity],
        "status": sorted(status, key=lambda one: -int(one["count"])),
        "price": [
            {"min_price": least, "max_price": most, "count": count}
            for least, most, count in zip(PRICE_BOUNDS, [*above, None], market.prices, strict=True)
        ],
        "trait": [{"name": name, "value": value, "count": count} for name, value, count in found.trait],
    }
