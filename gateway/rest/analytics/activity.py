"""What the caller has bid, bought and sold, day by day."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from domain.errors import INVALID_REQUEST
from domain.ledger.currencies import CURRENCIES
from domain.sales.portfolio import DAY_MS, capped, day_of, sell_through_bp
from gateway.http.problems import Problem
from gateway.rest.analytics.bodies import AsOf, Day
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import TIME_MAX_MS
from gateway.rest.callers import Reader
from gateway.rest.ledger.bodies import CurrencyCode
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.analytics.activity import DAYS_MAX, UserDay, total

DAYS_DEFAULT = 30

router = api_router("analytics")


class ActivitySums(BaseModel):
    """Bids count once their auction has ended. Sales that were taken back are neither won nor sold."""

    bids: int
    auctions: Annotated[int, Field(description="Auctions that ended then and that one had bid in")]
    wins: int
    copies_bought: int
    spent: int
    auctions_sold: int
    copies_sold: int
    gross: int
    fees: int
    royalties: int
    net: Annotated[int, Field(description="`gross` less fees and royalties")]
    volume: Annotated[int, Field(description="`spent` and `gross`")]


class ActivityDay(ActivitySums):
    """A day with something in it; others are not listed."""

    day: Day


class ActivityReport(BaseModel):
    """Days of UTC, from the one that ``from`` is in to the one that ``to`` is in."""

    as_of: AsOf
    currency: str
    from_: Annotated[int, Field(alias="from")]
    to: int
    total: ActivitySums
    win_rate_bp: Annotated[int | None, Field(description="Wins of `auctions`, hundredths of a percent")]
    days: list[ActivityDay]


Time = Annotated[int | None, Query(ge=0, le=TIME_MAX_MS, description="Milliseconds since the epoch")]


@router.get("/users/me/analytics", response_model=ActivityReport, summary="What one has bid, bought and sold")
async def analytics(
    services: ServicesDep,
    caller: Reader,
    from_: Annotated[Time, Query(alias="from")] = None,
    to: Time = None,
    currency: Annotated[CurrencyCode, Query()] = "USDC",
) -> Response:
    """The last 30 days, or up to 400 that are chosen."""
    if currency not in CURRENCIES:
        raise Problem("unknown_currency", currencies=sorted(CURRENCIES))
    last = day_of(services.now_ms() if to is None else to)
    first = max(0, last - DAYS_DEFAULT + 1) if from_ is None else day_of(from_)
    if not first <= last < first + DAYS_MAX:
        raise Problem(INVALID_REQUEST, f"`from` is before `to`, and there are at most {DAYS_MAX} days")
    progress = await services.analytics.portfolios.progress()
    days = await services.analytics.activity.days(caller.user_id, currency, first, last)
    sums = total(days, first)
    return answered(
        {
            "as_of": progress.as_of, "currency": currency, "from": first * DAY_MS, "to": (last + 1) * DAY_MS - 1,
            "total": _sums_json(sums), "win_rate_bp": sell_through_bp(sums.wins, sums.auctions),
            "days": [{"day": day.day * DAY_MS} | _sums_json(day) for day in days],
        }
    )  # fmt: skip


def _sums_json(day: UserDay) -> dict[str, Any]:
    return {
        "bids": day.bids, "auctions": day.auctions, "wins": day.wins, "copies_bought": day.copies_bought,
        "spent": capped(day.spent), "auctions_sold": day.auctions_sold, "copies_sold": day.copies_sold,
        "gross": capped(day.gross), "fees": capped(day.fees), "royalties": capped(day.royalties),
        "net": capped(day.gross - day.fees - day.royalties), "volume": capped(day.spent + day.gross),
    }  # fmt: skip
