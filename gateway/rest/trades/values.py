"""The value of both sides of a trade, shown before one accepts."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import Response

from domain.ids import id_text
from domain.ledger.books import HOUSE
from domain.permissions import Permission
from domain.sales.settlement import SoldCopy
from domain.trade.fairness import Fairness, Price, Side, fairness, price_of
from domain.trade.settlement import Settlement, settle
from domain.trade.terms import COPIES_MAX, Leg
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.callers import Reader
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from gateway.rest.trades.bodies import ValuedLegs
from gateway.rest.trades.routes import TradeId
from gateway.trades.checks import copies_in, decode_state
from gateway.trades.legs import legs_of

router = api_router("trades")

Certainty = Literal["none", "low", "medium", "high"]


class SideValue(BaseModel):
    """Copies by the last sale of their card, or else by its lowest open price; `unvalued` have neither."""

    copies_value: int
    money: int
    unvalued: Annotated[int, Field(description="Copies and conditions without a value")]
    total: int


class PartyValue(BaseModel):
    """What one party gives and gets."""

    user: str
    gives: SideValue
    gets: SideValue


class CopyPrice(BaseModel):
    """The value of one copy, and how sure it is."""

    copy_id: Annotated[str, Field(serialization_alias="copy")]
    value: int
    certainty: Certainty


class TradeValue(BaseModel):
    """`difference_bp`: the greatest difference between what a party gives and gets, in basis points of the larger.

    `fee` and `royalties` are taken from the money that is paid; whoever is paid gets the rest.
    """

    parties: list[PartyValue]
    copies: list[CopyPrice]
    difference_bp: int
    certainty: Annotated[Certainty, Field(description="Of the least certain copy; `none`: something has no value")]
    fee_basis_points: Annotated[int, Field(description="The house's share of the money")]
    fee: int
    royalties: Annotated[int, Field(description="Of the cards that are paid for, as they are now, without conditions")]


@router.post("/trade-values", response_model=TradeValue, summary="What both sides of an offer are worth")
async def value_of_legs(services: ServicesDep, _caller: Reader, body: ValuedLegs) -> Response:
    """A hint by last sales and lowest prices, before the offer is made. Changes nothing."""
    return await _valued(services, legs_of(body.legs), services.trades.commands.fee_bp)


@router.get("/trades/{trade}/value", response_model=TradeValue, summary="What both sides of a trade are worth")
async def value_of_trade(services: ServicesDep, caller: Reader, trade: TradeId) -> Response:
    """Of the offer as it is now. For the parties, and for operators where there is a dispute."""
    state = await services.trades.commands.state(caller, trade, moderator=caller.may(Permission.MODERATE))
    offered = decode_state(state.state)
    return await _valued(services, legs_of(offered.legs), offered.fee_bp)


async def _valued(services: Services, legs: tuple[Leg, ...], fee_bp: int) -> Response:
    copies = copies_in(legs)
    if len(copies) > COPIES_MAX:
        raise Problem("invalid_terms", f"a trade has at most {COPIES_MAX} copies")
    found = await services.trades.values.of(copies)
    priced = {copy: price_of(one.last_price, one.floor, one.sales) for copy, one in found.items()}
    prices = {copy: price for copy, price in priced.items() if price is not None}
    # A copy that does not exist has no royalty: the offer itself would be refused.
    sold = {copy: SoldCopy(copy, 0) for copy in copies}
    sold |= {copy: SoldCopy(copy, one.card, one.royalty) for copy, one in found.items()}
    costs = settle(legs, sold, fee_bp, HOUSE)
    return answered(_value_json(fairness(legs, prices), prices) | _costs_json(costs, fee_bp))


def _costs_json(costs: Settlement, fee_bp: int) -> dict[str, int]:
    return {"fee_basis_points": fee_bp, "fee": costs.fee, "royalties": costs.royalties}


def _value_json(found: Fairness, prices: dict[int, Price]) -> dict[str, Any]:
    return {
        "parties": [
            {"user": id_text(one.user), "gives": _side_json(one.gives), "gets": _side_json(one.gets)}
            for one in found.balances
        ],
        "copies": [
            {"copy": id_text(copy), "value": price.value, "certainty": price.certainty}
            for copy, price in prices.items()
        ],
        "difference_bp": found.difference_bp,
        "certainty": found.certainty,
    }  # fmt: skip


def _side_json(side: Side) -> dict[str, int]:
    return {
        "copies_value": side.copies_value, "money": side.money, "unvalued": side.unvalued, "total": side.total,
    }  # fmt: skip
