"""Disputes and protected trades, for moderators: the operators."""

from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import Response

from domain.trade.commands import Judge, Reverse
from gateway.rest.answers import answered
from gateway.rest.callers import IdempotencyKey, Moderator
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from gateway.rest.trades.bodies import JudgementBody, ReasonBody, TradeOutcome, TradePage, trade_json
from gateway.rest.trades.routes import PAGE_DEFAULT, Limit, TradeId, outcome

router = api_router("admin")

Stage = Annotated[
    Literal["responses", "judgement", "appeal", "second_judgement"] | None,
    Query(description="Only those at this stage"),
]


@router.get("/admin/trades/disputes", response_model=TradePage, summary="Open disputes")
async def disputes(
    services: ServicesDep,
    _operator: Moderator,
    stage: Stage = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """The oldest trades first. Those at `judgement` and `second_judgement` wait for a moderator. For operators."""
    name = f"disputes {stage}"
    rows = await services.trades.reading.disputed(stage, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].trade) if rows[limit:] else None
    return answered({"items": [trade_json(row) for row in rows[:limit]], "next_cursor": following})


@router.post("/admin/trades/{trade}/judge", status_code=201, response_model=TradeOutcome, summary="Decide a dispute")
async def judge(
    services: ServicesDep, operator: Moderator, key: IdempotencyKey, trade: TradeId, body: JudgementBody
) -> Response:
    """Not by a party, and after an appeal not by who decided before. For operators."""
    order = Judge(operator.user_id, key, body.upheld, body.reason)
    return outcome(trade, await services.trades.commands.send(operator, trade, order))


@router.post(
    "/admin/trades/{trade}/reverse", status_code=201, response_model=TradeOutcome, summary="Reverse a protected trade"
)
async def reverse(
    services: ServicesDep, operator: Moderator, key: IdempotencyKey, trade: TradeId, body: ReasonBody
) -> Response:
    """While the trade is protected: all copies and all money go back, or nothing does. For operators."""
    order = Reverse(operator.user_id, key, body.reason)
    return outcome(trade, await services.trades.commands.send(operator, trade, order))
