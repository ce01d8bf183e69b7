"""What an auction would bring its seller, before it is listed."""

from typing import Annotated

from pydantic import BaseModel, Field
from starlette.responses import Response

from domain.auction.rules import AUCTIONS
from domain.auction.terms import Terms
from domain.ledger.books import HOUSE
from domain.sales.settlement import Sale, split
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import NewAuction, terms_of
from gateway.rest.callers import Lister
from gateway.rest.idempotency import InvalidRequest
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import copy_problem
from gateway.rest.services import ServicesDep
from persistence.sales.listing_costs import NO_AUCTION, ListingCosts
from persistence.sales.listings import CopyRefusal

router = api_router("auctions")


class SaleOutcome(BaseModel):
    """A sale at this price, to somebody who gets no royalty of it."""

    price: int
    fee: Annotated[int, Field(description="Of the house")]
    royalties: int
    net: Annotated[int, Field(description="What the seller gets")]


class ListingPreview(BaseModel):
    """The auction that these terms would make, and what its prices would bring."""

    starts_at: int
    ends_at: int
    fee_basis_points: Annotated[int, Field(description="Of the seller's tier, in hundredths of a percent")]
    starting_price: SaleOutcome
    reserve_price: SaleOutcome | None
    buy_now_price: SaleOutcome | None


@router.post("/auction-previews", response_model=ListingPreview, summary="What an auction would bring")
async def preview(services: ServicesDep, caller: Lister, body: NewAuction) -> Response:
    """Checks the terms and the copies as listing does, and splits each price as the settlement would. Lists nothing.

    The fee is fixed when the auction is listed, the royalties are those of the time of the sale.
    """
    terms = terms_of(body, NO_AUCTION, caller, services.now_ms())
    fault = AUCTIONS.terms_fault(terms)
    if fault is not None:
        raise InvalidRequest("invalid_request", fault)
    costs = await services.sales.costs.of(caller.user_id, terms.copies)
    if isinstance(costs, CopyRefusal):
        raise copy_problem(costs)
    prices = {"reserve_price": terms.reserve_price, "buy_now_price": terms.buy_now_price}
    outcomes = {name: None if price is None else _outcome(terms, costs, price) for name, price in prices.items()}
    return answered(
        {
            "starts_at": terms.starts_at,
            "ends_at": terms.ends_at,
            "fee_basis_points": costs.fee_bp,
            "starting_price": _outcome(terms, costs, terms.starting_price),
            **outcomes,
        }
    )


def _outcome(terms: Terms, costs: ListingCosts, price: int) -> dict[str, int]:
    # Nobody is the buyer yet: the house never is a payee.
    parts = split(Sale(terms.seller, HOUSE, price, costs.fee_bp, costs.copies), HOUSE)
    net = price - parts.fee - parts.royalties
    return {"price": price, "fee": parts.fee, "royalties": parts.royalties, "net": net}
