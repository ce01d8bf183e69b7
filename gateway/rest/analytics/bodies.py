"""What clients get about portfolios, sales and the market. Amounts in base units, times in milliseconds."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from domain.ids import id_text
from domain.sales.portfolio import DAY_MS, capped, change_bp, unrealised, value_of
from persistence.analytics.market import CardDay, MarketDay, Mover
from persistence.analytics.portfolios import CardName, Holding, Totals

AsOf = Annotated[int | None, Field(description="Sales up to then are in it; null during a rebuild")]
Change = Annotated[int | None, Field(description="In hundredths of a percent; null where there is nothing to compare")]
Day = Annotated[int, Field(description="When the day began, UTC")]


class CardShown(BaseModel):
    """A card as lists show it."""

    id: str
    set: str
    number: str
    name: str
    image: str | None


class HoldingItem(BaseModel):
    """Copies of one card. ``price`` and ``value`` are null where it was never sold, ``floor`` where none is offered."""

    card: CardShown
    copies: int
    cost: Annotated[int, Field(description="Of those that were paid for; those made or given cost nothing")]
    copies_paid_for: int
    price: Annotated[int | None, Field(description="Of the last sale of the card")]
    value: Annotated[int | None, Field(description="All copies at that price")]
    floor: Annotated[int | None, Field(description="The lowest price of the card's open auctions")]
    floor_value: int | None
    unrealised: Annotated[int | None, Field(description="`value` above `cost`")]


class Portfolio(BaseModel):
    """All that one has. ``value``, by last sale, is of ``copies_valued``; ``floor_value`` of ``copies_with_floor``."""

    as_of: AsOf
    currency: str
    cards: int
    copies: int
    copies_paid_for: int
    cost: int
    copies_valued: int
    value: int
    copies_with_floor: int
    floor_value: int
    unrealised: Annotated[int, Field(description="`value` above the cost of the copies in it")]
    realised: Annotated[int, Field(description="What was sold, after fees and royalties, above what it had cost")]
    top: Annotated[list[HoldingItem], Field(description="The ten of the highest value")]


class HoldingPage(BaseModel):
    """A page of holdings, by card."""

    as_of: AsOf
    items: list[HoldingItem]
    next_cursor: str | None


class ValueDay(BaseModel):
    """What one had at the end of a day, by last sales as they were known then."""

    day: Day
    copies: int
    value: int


class ValueHistory(BaseModel):
    """Each day that has been valued, and ``now``."""

    as_of: AsOf
    currency: str
    items: list[ValueDay]
    now: ValueDay


class SalesSummary(BaseModel):
    """Of one's auctions that ended since ``since``; sales that were taken back count as offered, not as sold."""

    as_of: AsOf
    currency: str
    since: Annotated[int | None, Field(description="null: all there ever were")]
    auctions_offered: int
    sales: int
    copies_offered: int
    copies_sold: int
    sell_through_bp: Annotated[int | None, Field(description="Copies sold of those offered, hundredths of a percent")]
    gross: int
    fees: int
    royalties: int
    net: int
    realised: Annotated[int, Field(description="`net` of copies, above what they had cost")]


class Traded(BaseModel):
    """What was sold in the last days, today being one of them."""

    sales: int
    volume: int


class LastPrice(BaseModel):
    """The newest sale."""

    price: int
    at: int


class PriceDay(BaseModel):
    """A day on which the card was sold; others are not listed."""

    day: Day
    open: int
    high: int
    low: int
    close: int
    sales: int
    volume: int


class SaleItem(BaseModel):
    """One copy sold; ``grade`` in tenths."""

    price: int
    at: int
    serial: int
    grader: str | None
    grade: int | None


class CardMarket(BaseModel):
    """What a card is sold for."""

    as_of: AsOf
    card: str
    currency: str
    last: LastPrice | None
    floor: Annotated[int | None, Field(description="The lowest price of its open auctions")]
    open_auctions: int
    traded: Annotated[dict[str, Traded], Field(description="By days: `1`, `7`, `30`")]
    history: list[PriceDay]
    last_sales: list[SaleItem]


class MarketWindow(Traded):
    """The last days beside as many before them."""

    volume_before: int
    change_bp: Change


class MarketDayItem(BaseModel):
    """A day on which something was sold; ``cards`` different ones were."""

    day: Day
    sales: int
    volume: int
    cards: int


class MarketSummary(BaseModel):
    """What the whole market does."""

    as_of: AsOf
    currency: str
    traded: Annotated[dict[str, MarketWindow], Field(description="By days: `1`, `7`, `30`")]
    history: list[MarketDayItem]


class MoverItem(BaseModel):
    """A card; ``before`` is its price before these days, or else the first in them."""

    card: CardShown
    price: int
    before: int
    change_bp: Change
    sales: int
    volume: int


class Movers(BaseModel):
    """Cards whose price rose and fell most, and those with the highest volume."""

    as_of: AsOf
    currency: str
    days: int
    up: list[MoverItem]
    down: list[MoverItem]
    traded: list[MoverItem]


def card_shown(card: CardName) -> dict[str, Any]:
    """A CardShown."""
    return {"id": id_text(card.id), "set": card.set, "number": card.number, "name": card.name, "image": card.image}


def holding_json(row: Holding) -> dict[str, Any]:
    """A HoldingItem."""
    return {
        "card": card_shown(row.card),
        "copies": row.copies,
        "cost": capped(row.cost),
        "copies_paid_for": row.costed,
        "price": row.price,
        "value": value_of(row.copies, row.price),
        "floor": row.floor,
        "floor_value": value_of(row.copies, row.floor),
        "unrealised": unrealised(row.copies, row.price, row.cost),
    }


def totals_json(totals: Totals) -> dict[str, Any]:
    """What a Portfolio says of all of it."""
    return {
        "cards": totals.cards,
        "copies": totals.copies,
        "copies_paid_for": totals.costed,
        "cost": capped(totals.cost),
        "copies_valued": totals.priced,
        "value": capped(totals.value),
        "copies_with_floor": totals.floored,
        "floor_value": capped(totals.floor_value),
        "unrealised": capped(totals.unrealised),
        "realised": capped(totals.realised),
    }


def price_day_json(row: CardDay) -> dict[str, Any]:
    """A PriceDay."""
    return {
        "day": row.day * DAY_MS,
        "open": row.open,
        "high": row.high,
        "low": row.low,
        "close": row.close,
        "sales": row.sales,
        "volume": capped(row.volume),
    }


def traded(rows: list[CardDay] | list[MarketDay], first: int, before: int | None = None) -> dict[str, int]:
    """A Traded: days from ``first`` on and, where it is given, before the day ``before``."""
    inside = [row for row in rows if row.day >= first and (before is None or row.day < before)]
    return {"sales": sum(row.sales for row in inside), "volume": capped(sum(row.volume for row in inside))}


def mover_json(row: Mover) -> dict[str, Any]:
    """A MoverItem."""
    return {
        "card": card_shown(row.card),
        "price": row.price,
        "before": row.before,
        "change_bp": change_bp(row.before, row.price),
        "sales": row.sales,
        "volume": capped(row.volume),
    }
