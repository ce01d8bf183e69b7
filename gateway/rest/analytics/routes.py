"""Portfolios and sales of the caller; prices, volumes and movers for anyone. All from read models."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from starlette.responses import Response

from domain.ids import InvalidId, id_text, parse_id
from domain.ledger.currencies import CURRENCIES
from domain.sales.portfolio import DAY_MS, capped, change_bp, day_of, filled, sell_through_bp
from gateway.http.problems import Problem
from gateway.rest.analytics.bodies import (
    CardMarket,
    HoldingPage,
    MarketSummary,
    Movers,
    Portfolio,
    SalesSummary,
    ValueHistory,
    holding_json,
    mover_json,
    price_day_json,
    totals_json,
    traded,
)
from gateway.rest.answers import answered
from gateway.rest.callers import PUBLIC, Reader
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.ledger.bodies import CurrencyCode
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.analytics.market import MOVERS_MAX, ORDERS
from persistence.analytics.models import WINDOWS
from persistence.analytics.portfolios import PAGE_MAX

PAGE_DEFAULT = 50
DAYS_MAX = 365
DAYS_DEFAULT = 30
MOVERS_DEFAULT = 10

router = api_router("analytics")
encode = msgspec.json.encode

OfCurrency = Annotated[CurrencyCode, Query()]
Days = Annotated[int, Query(ge=1, le=DAYS_MAX, description="Days of UTC, today being one of them")]


@router.get("/users/me/portfolio", response_model=Portfolio, summary="What one has, and what it is worth")
async def portfolio(services: ServicesDep, caller: Reader, currency: OfCurrency = "USDC") -> Response:
    """By last sale and by floor, with what it has cost, and the profit of it and of what was sold."""
    code = _currency(currency)
    progress = await services.analytics.portfolios.progress()
    totals, top = await services.analytics.portfolios.portfolio(caller.user_id, code)
    head = {"as_of": progress.as_of, "currency": code}
    return answered({**head, **totals_json(totals), "top": [holding_json(row) for row in top]})


@router.get("/users/me/portfolio/holdings", response_model=HoldingPage, summary="What one has, card by card")
async def holdings(
    services: ServicesDep,
    caller: Reader,
    currency: OfCurrency = "USDC",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """In the order of the cards' ids."""
    code = _currency(currency)
    name = f"holdings {caller.user_id} {code}"
    after = number_in(name, cursor)
    progress = await services.analytics.portfolios.progress()
    rows = await services.analytics.portfolios.holdings(caller.user_id, code, -1 if after is None else after, limit + 1)
    following = encode_cursor(name, rows[limit - 1].card.id) if rows[limit:] else None
    items = [holding_json(row) for row in rows[:limit]]
    return answered({"as_of": progress.as_of, "items": items, "next_cursor": following})


@router.get("/users/me/portfolio/history", response_model=ValueHistory, summary="What it was worth, day by day")
async def history(
    services: ServicesDep, caller: Reader, currency: OfCurrency = "USDC", days: Days = DAYS_DEFAULT
) -> Response:
    """At the end of each day. A day is there once it has been valued, some minutes after its end."""
    code, reading = _currency(currency), services.analytics.portfolios
    today = day_of(services.now_ms())
    first = today - days + 1
    progress = await reading.progress()
    last = min(today - 1, progress.valued)
    rows = await reading.values(caller.user_id, code, first, last)
    totals, _ = await reading.portfolio(caller.user_id, code)
    items = [
        {"day": row.day * DAY_MS, "copies": row.copies, "value": capped(row.value)} for row in filled(rows, first, last)
    ]
    now = {"day": today * DAY_MS, "copies": totals.copies, "value": capped(totals.value)}
    return answered({"as_of": progress.as_of, "currency": code, "items": items, "now": now})


@router.get("/users/me/sales/summary", response_model=SalesSummary, summary="What one has sold")
async def sales_summary(
    services: ServicesDep,
    caller: Reader,
    currency: OfCurrency = "USDC",
    days: Annotated[int | None, Query(ge=1, le=DAYS_MAX, description="Days of UTC; without it, all of them")] = None,
) -> Response:
    """Sales, how much of what was offered was sold, fees, and what is left."""
    code, reading = _currency(currency), services.analytics.portfolios
    first = 0 if days is None else day_of(services.now_ms()) - days + 1
    progress = await reading.progress()
    sold = await reading.sold(caller.user_id, code, first)
    return answered(
        {
            "as_of": progress.as_of,
            "currency": code,
            "since": None if days is None else first * DAY_MS,
            "auctions_offered": sold.auctions_offered,
            "sales": sold.auctions_sold,
            "copies_offered": sold.copies_offered,
            "copies_sold": sold.copies_sold,
            "sell_through_bp": sell_through_bp(sold.copies_sold, sold.copies_offered),
            "gross": capped(sold.gross),
            "fees": capped(sold.fees),
            "royalties": capped(sold.royalties),
            "net": capped(sold.gross - sold.fees - sold.royalties),
            "realised": capped(sold.realised),
        }
    )


@router.get(
    "/catalog/cards/{card_id}/market",
    dependencies=[PUBLIC],
    response_model=CardMarket,
    summary="What a card is sold for",
)
async def card_market(
    services: ServicesDep, card_id: str, currency: OfCurrency = "USDC", days: Days = DAYS_DEFAULT
) -> Response:
    """Its last price, floor, volume, prices by day, and the 20 newest sales."""
    code, market = _currency(currency), services.analytics.market
    try:
        found = await services.catalog.reading.card(parse_id(card_id))
    except InvalidId:
        found = None
    if found is None:
        raise Problem("not_found", "there is no such card")
    today = day_of(services.now_ms())
    progress = await services.analytics.portfolios.progress()
    last = await market.last(found.id, code)
    rows = await market.card_days(found.id, code, today - max(days, *WINDOWS) + 1)
    return answered(
        {
            "as_of": progress.as_of,
            "card": id_text(found.id),
            "currency": code,
            "last": last,
            "floor": found.lowest_price if found.open_auctions else None,
            "open_auctions": found.open_auctions,
            "traded": {str(window): traded(rows, today - window + 1) for window in WINDOWS},
            "history": [price_day_json(row) for row in rows if row.day > today - days],
            "last_sales": await market.sales(found.id, code),
        }
    )


@router.get(
    "/market/summary", dependencies=[PUBLIC], response_model=MarketSummary, summary="What the whole market does"
)
async def market_summary(services: ServicesDep, currency: OfCurrency = "USDC") -> Response:
    """Sales and volume of the last days beside those before, and of each of the last 30 days."""
    code, today = _currency(currency), day_of(services.now_ms())
    progress = await services.analytics.portfolios.progress()
    rows = await services.analytics.market.market_days(code, today - 2 * max(WINDOWS) + 1)
    windows: dict[str, Any] = {}
    for days in WINDOWS:
        first = today - days + 1
        now, before = traded(rows, first), traded(rows, first - days, first)["volume"]
        windows[str(days)] = now | {"volume_before": before, "change_bp": change_bp(before, now["volume"])}
    history = [
        {"day": row.day * DAY_MS, "sales": row.sales, "volume": capped(row.volume), "cards": row.cards}
        for row in rows
        if row.day > today - DAYS_DEFAULT
    ]
    return answered({"as_of": progress.as_of, "currency": code, "traded": windows, "history": history})


@router.get(
    "/market/movers", dependencies=[PUBLIC], response_model=Movers, summary="What rises, falls and is traded most"
)
async def market_movers(
    services: ServicesDep,
    currency: OfCurrency = "USDC",
    days: Annotated[Literal["1", "7", "30"], Query(description="Days of UTC, today being one of them")] = "7",
    limit: Annotated[int, Query(ge=1, le=MOVERS_MAX)] = MOVERS_DEFAULT,
) -> Response:
    """Cards that were sold in these days."""
    code, market = _currency(currency), services.analytics.market
    progress = await services.analytics.portfolios.progress()
    lists = {order: [mover_json(row) for row in await market.movers(order, code, int(days), limit)] for order in ORDERS}
    return answered({"as_of": progress.as_of, "currency": code, "days": int(days), **lists})


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise Problem("unknown_currency", currencies=sorted(CURRENCIES))
    return code
