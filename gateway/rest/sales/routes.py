"""Sales: receipts, fees, reversed sales, and second chances."""

from typing import Annotated, Any

import msgspec
from fastapi import Query
from starlette.responses import Response

from domain.auction.events import Listed
from domain.errors import NOT_FOUND
from domain.ids import id_text
from domain.ledger.refusals import Refusal
from domain.permissions import Permission
from domain.sales.settlement import HighestBids
from gateway.http.problems import Problem, ledger_problem
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import Nothing
from gateway.rest.callers import PUBLIC, AuctionId, Bidder, FeeManager, IdempotencyKey, Reader, SalesManager
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import InvalidRequest, Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.sales.bodies import (
    CancelledSale,
    FailedPage,
    Fees,
    OfferItem,
    OfferPage,
    Receipt,
    Receipts,
    SaleCancellation,
    TierBody,
    TierChoice,
    anchor_json,
    failure_json,
    offer_json,
    receipt_json,
)
from gateway.rest.sales.copies import parsed, user_named
from gateway.rest.services import Services, ServicesDep
from persistence.auctions.reading import BIDS_MAX
from persistence.postgres.idempotency import Begun
from persistence.sales.second_chances import PAGE_MAX, Offer, Reversal, RunnerUp

PAGE_DEFAULT = 50

router = api_router("sales")
encode = msgspec.json.encode

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


@router.get("/auctions/{auction_id}/receipts", response_model=Receipts, summary="What an auction came to")
async def receipts(services: ServicesDep, caller: Reader, auction: AuctionId) -> Response:
    """For its seller, who bought, and operators: who paid what, for what, with the hash of the closing event.

    ``anchor`` is null until the auction's log is in an anchor, about a minute after its end.
    """
    sales = services.sales
    copies = await sales.listings.copies_of(auction)
    refunded = await sales.second_chances.is_reversed(auction)
    items = []
    for settlement in await sales.settlements.of(auction):
        roles = {settlement.seller: "seller", settlement.buyer: "buyer"}
        role = roles.get(caller.user_id, "operator" if caller.may(Permission.SALES) else None)
        if role is not None:
            items.append(receipt_json(settlement, copies, role, refunded and settlement.round == 1))
    if not items:
        raise Problem("not_found", "there is no receipt for you here, or not yet")
    return answered({"items": items, "anchor": anchor_json(await services.anchors.of_entity(auction))})


@router.get("/fees", dependencies=[PUBLIC], response_model=Fees, summary="What the house takes of a sale")
async def fees(services: ServicesDep) -> Response:
    """By the tier of the seller. The fee of an auction is that of the time when it was listed."""
    tiers = await services.sales.tiers.all()
    return answered({"tiers": [{"tier": tier.tier, "fee_basis_points": tier.fee_bp} for tier in tiers]})


@router.post("/admin/fees", response_model=TierBody, summary="Set the fee of a tier", tags=["admin"])
async def put_tier(services: ServicesDep, operator: FeeManager, key: IdempotencyKey, body: TierBody) -> Response:
    """For what is listed from now on. For operators."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        if not await services.sales.tiers.put(body.tier, body.fee_basis_points):
            raise Problem("invalid_request", "there are too many tiers")
        return 200, body.model_dump_json().encode()

    return await idempotent(services, Posted(operator, key, f"tier {body.model_dump_json()}"), work)


@router.post("/admin/users/{username}/tier", response_model=TierChoice, summary="Set a seller's tier", tags=["admin"])
async def assign_tier(
    services: ServicesDep, operator: FeeManager, key: IdempotencyKey, username: str, body: TierChoice
) -> Response:
    """For what they list from now on. For operators."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        seller = await user_named(services, username)
        if not await services.sales.tiers.assign(seller, body.tier):
            raise InvalidRequest("invalid_request", "there is no such tier")
        return 200, body.model_dump_json().encode()

    return await idempotent(services, Posted(operator, key, f"tier of {username.lower()} {body.tier}"), work)


@router.get("/users/me/offers", response_model=OfferPage, summary="One's second chances")
async def my_offers(
    services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """Offers to the caller after the winner's sale was reversed, newest auctions first."""
    name = f"offers to {caller.user_id}"
    before = number_in(name, cursor)
    rows = await services.sales.second_chances.offers_to(caller.user_id, before, limit + 1)
    following = encode_cursor(name, rows[limit - 1].auction) if rows[limit:] else None
    return answered({"items": [offer_json(row) for row in rows[:limit]], "next_cursor": following})


@router.post("/auctions/{auction_id}/second-chance/accept", response_model=Receipt, summary="Take a second chance")
async def accept(
    services: ServicesDep, caller: Bidder, key: IdempotencyKey, auction: AuctionId, _body: Nothing = None
) -> Response:
    """Paid from what is available. The copies are the caller's at once."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        sales = services.sales
        done = await sales.second_chances.accept(auction, caller.user_id, services.now_ms())
        if isinstance(done, Refusal):
            # A retry whose first answer was lost finds it done.
            rounds = [one for one in await sales.settlements.of(auction) if one.round == 2]
            if done.code != "offer_ended" or not rounds or rounds[0].buyer != caller.user_id:
                raise _refused(done)
            done = rounds[0]
        return 200, encode(receipt_json(done, await sales.listings.copies_of(auction), "buyer", False))

    return await idempotent(services, Posted(caller, key, f"accept {auction}"), work)


@router.post("/auctions/{auction_id}/second-chance/decline", response_model=OfferItem, summary="Decline it")
async def decline(
    services: ServicesDep, caller: Bidder, key: IdempotencyKey, auction: AuctionId, _body: Nothing = None
) -> Response:
    """The seller has the copies back."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        chances = services.sales.second_chances
        refusal = await chances.decline(auction, caller.user_id, services.now_ms())
        offer = await chances.get(auction)
        if refusal is not None and (refusal.code != "offer_ended" or offer is None or offer.state != "declined"):
            raise _refused(refusal)
        assert offer is not None, "it was there"
        return 200, encode(offer_json(offer))

    return await idempotent(services, Posted(caller, key, f"decline {auction}"), work)


@router.post(
    "/admin/auctions/{auction_id}/cancel-sale", response_model=CancelledSale, summary="Take a sale back", tags=["admin"]
)
async def cancel_sale(
    services: ServicesDep, operator: SalesManager, key: IdempotencyKey, auction: AuctionId, body: SaleCancellation
) -> Response:
    """All who were paid give it back, and the seller has the copies; or the runner-up may have them. For operators."""

    async def store(connection: Any, shown: Offer | None) -> None:
        # Nothing tells this order from another one for the same sale: a repetition would be refused.
        await services.idempotency.finish_within(
            connection, operator.user_id, key, 200, _cancelled_json(auction, shown)
        )

    async def work(begun: Begun) -> tuple[int, bytes]:
        offer = None
        if body.second_chance_ms is not None:
            offer = await _runner_up(services, auction, begun.received_at + body.second_chance_ms)
        reversal = Reversal(auction, operator.user_id, body.reason, body.advance, offer)
        chances = services.sales.second_chances
        refusal = await chances.reverse(reversal, services.now_ms(), store)
        if refusal is not None:
            raise _refused(refusal)
        return 200, _cancelled_json(auction, None if offer is None else await chances.get(auction))

    return await idempotent(services, Posted(operator, key, f"cancel sale {auction} {body.model_dump_json()}"), work)


@router.get("/admin/settlements/failed", response_model=FailedPage, summary="Sales that failed", tags=["admin"])
async def failed(
    services: ServicesDep, _operator: SalesManager, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """Those whose winner could not pay, or the like: try again, or take the sale back. For operators."""
    before = number_in("failed", cursor)
    rows = await services.sales.settlements.failures(before, limit + 1)
    following = encode_cursor("failed", rows[limit - 1].auction) if rows[limit:] else None
    return answered({"items": [failure_json(row) for row in rows[:limit]], "next_cursor": following})


@router.post("/admin/settlements/{auction_id}/retry", summary="Try a failed sale again", tags=["admin"])
async def retry(
    services: ServicesDep, operator: SalesManager, key: IdempotencyKey, auction_id: str, _body: Nothing = None
) -> Response:
    """Within a second. For operators."""
    auction = parsed(auction_id, "auction")

    async def work(_begun: Begun) -> tuple[int, bytes]:
        if not await services.sales.settlements.try_again(auction):
            raise Problem("not_found", "no sale of this auction has failed")
        return 200, encode({"auction": auction_id})

    return await idempotent(services, Posted(operator, key, f"retry settlement {auction}"), work)


async def _runner_up(services: Services, auction: int, expires_at: int) -> RunnerUp:
    """The highest bidder other than the winner. Raises the problem ``no_runner_up``."""
    row = await services.listing.get(auction)
    if row is None:
        raise Problem("not_found", "there is no such auction")
    first = await services.history.events_after(auction, 0, 1)
    assert isinstance(first[0].event, Listed), "a log begins so"
    highest, after = HighestBids(row.winner), 0
    while bids := await services.history.bids(auction, after, BIDS_MAX):
        for bid in bids:
            highest.add(bid.event.bidder, bid.event.name, bid.event.maximum)
        after = bids[-1].seq
    best = highest.best
    if best is None or best[2] < (first[0].event.terms.reserve_price or 0):
        raise Problem("no_runner_up")
    return RunnerUp(best[0], best[1], best[2], expires_at)


def _cancelled_json(auction: int, offer: Offer | None) -> bytes:
    return encode({"auction": id_text(auction), "offer": None if offer is None else offer_json(offer)})


def _refused(refusal: Refusal) -> Problem:
    details = {NOT_FOUND: "there is no such auction, or nothing of it for you"}
    return ledger_problem(refusal, details.get(refusal.code))
