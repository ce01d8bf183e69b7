"""Executed trades of a card, and with whom one has traded."""

from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from domain.ids import id_text
from gateway.rest.answers import answered
from gateway.rest.callers import Reader, Visitor
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import CardId
from gateway.rest.services import ServicesDep
from gateway.rest.trades.routes import PAGE_DEFAULT, Limit
from persistence.trades.history import Partner, TradedCopy

router = api_router("trades")


class TradedItem(BaseModel):
    """One copy that changed owners. `value`: the money that was paid for it; 0: it was paid with copies."""

    copy_id: str
    giver: str | None
    receiver: str | None
    value: int
    at: int


class TradedPage(BaseModel):
    """A page of trades of a card, the newest first."""

    items: list[TradedItem]
    next_cursor: str | None


class PartnerItem(BaseModel):
    """A user with whom one has traded. Values are the last prices of cards; `paid` and `got` are money for copies."""

    id: str
    username: str
    trades: int
    copies_given: int
    copies_got: int
    value_given: int
    value_got: int
    paid: int
    got: int
    last_at: int


class PartnerPage(BaseModel):
    """A page of users."""

    items: list[PartnerItem]
    next_cursor: str | None


@router.get("/catalog/cards/{card_id}/trades", response_model=TradedPage, summary="Trades of a card", tags=["catalog"])
async def trades_of_card(
    services: ServicesDep, _visitor: Visitor, card: CardId, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """As in the provenance of its copies, the newest first. Reversed trades are left out."""
    name = f"trades of card {card}"
    rows = await services.trades.history.of_card(card, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].number) if rows[limit:] else None
    return answered({"items": [_traded_json(row) for row in rows[:limit]], "next_cursor": following})


@router.get("/users/me/trade-partners", response_model=PartnerPage, summary="With whom one has traded")
async def partners(
    services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """What both gave, over all executed trades. Who registered last comes first."""
    name = f"trade partners {caller.user_id}"
    rows = await services.trades.history.partners(caller.user_id, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].user) if rows[limit:] else None
    return answered({"items": [_partner_json(row) for row in rows[:limit]], "next_cursor": following})


def _traded_json(row: TradedCopy) -> dict[str, Any]:
    return {
        "copy": id_text(row.copy), "giver": row.giver, "receiver": row.receiver, "value": row.value, "at": row.at
    }  # fmt: skip


def _partner_json(row: Partner) -> dict[str, Any]:
    return {
        "id": id_text(row.user), "username": row.username, "trades": row.trades, "copies_given": row.copies_given,
        "copies_got": row.copies_got, "value_given": row.value_given, "value_got": row.value_got, "paid": row.paid,
        "got": row.got, "last_at": row.last_at,
    }  # fmt: skip
