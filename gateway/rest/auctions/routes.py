"""Listing, looking up, bidding, cancelling and closing auctions."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Header, Query
from starlette.responses import Response

from actors.stream.messages import Accepted, Answer, Command, GetState, Open, Refused, Request, StateAnswer, command
from domain.auction.commands import BuyNow, Cancel, CloseEarly, PlaceBid
from domain.auction.events import BidEvent
from domain.auction.rules import AUCTIONS
from domain.auction.terms import Terms
from domain.auction.views import BidResult as AcceptedBid
from domain.auction.views import PublicState, outcome_of
from domain.errors import QUOTA_EXCEEDED, UNAVAILABLE
from domain.ids import ID_PATTERN, id_text
from domain.log.codec import encode as encode_terms
from domain.permissions import Permission
from gateway.http.problems import Problem, refusal_problem
from gateway.identity.tokens import Identity
from gateway.rest import API_PREFIX
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import (
    AuctionPage,
    AuctionState,
    BidPage,
    BidResult,
    LogPage,
    NewAuction,
    NewBid,
    Nothing,
    listed_json,
    state_json,
    terms_of,
)
from gateway.rest.callers import PUBLIC, AuctionId, Bidder, FactorCode, IdempotencyKey, Lister, SalesManager, Visitor
from gateway.rest.cursors import Cursor, Number, decode_cursor, encode_cursor, number_in
from gateway.rest.idempotency import InvalidRequest, Posted, idempotent
from gateway.rest.identity.bodies import USERNAME_PATTERN
from gateway.rest.proofs import ProofsDep
from gateway.rest.routing import api_router
from gateway.rest.sales.bodies import copy_json
from gateway.rest.sales.copies import copy_problem, parsed
from gateway.rest.services import Services, ServicesDep
from persistence.auctions.reading import PAGE_MAX, AuctionFilter, ListedAuction, LoggedBid
from persistence.audit.trail import Act
from persistence.log.history import LoggedEvent
from persistence.postgres.idempotency import Begun
from persistence.sales.copies import Copy
from persistence.sales.listing_quotas import QuotaExceeded
from persistence.sales.listings import CopyRefusal

PAGE_DEFAULT = 50
ENDED = frozenset({"closed", "cancelled"})

router = api_router("auctions")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
AuctionStatus = Literal["scheduled", "open", "closed", "cancelled"]

encode = msgspec.json.encode
decode_state = msgspec.msgpack.Decoder(PublicState).decode


@router.post("/auctions", status_code=201, response_model=AuctionState, summary="List an auction")
async def create(services: ServicesDep, caller: Lister, key: IdempotencyKey, body: NewAuction) -> Response:
    """The caller becomes the seller. The same key gives the same auction, once."""

    async def work(begun: Begun) -> tuple[int, bytes]:
        terms = terms_of(body, begun.created_id, caller, begun.received_at)
        fault = AUCTIONS.terms_fault(terms)
        if fault is not None:
            raise InvalidRequest("invalid_request", fault)
        return 201, encode(await _listed(services, terms, caller))

    response = await idempotent(services, Posted(caller, key, f"create {body.model_dump_json()}"), work)
    if response.status_code == 201:
        made = msgspec.json.decode(bytes(response.body), type=dict[str, Any])
        response.headers["Location"] = f"{API_PREFIX}/auctions/{made['id']}"
    return response


@router.get("/auctions", dependencies=[PUBLIC], response_model=AuctionPage, summary="List auctions")
async def list_auctions(
    services: ServicesDep,
    status: AuctionStatus | None = None,
    seller: Annotated[str | None, Query(pattern=USERNAME_PATTERN, description="Username")] = None,
    card: Annotated[
        str | None, Query(pattern=ID_PATTERN, description="Only auctions that sell a copy of this card")
    ] = None,
    sort: Annotated[
        Literal["newest", "ending"], Query(description="`ending`: only open auctions, soonest end first")
    ] = "newest",
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """Newest first, or those that end soonest. Up to a second behind the live auctions."""
    ending = sort == "ending"
    if ending and status not in (None, "open"):
        raise Problem("invalid_request", "only open auctions can be sorted by their end")
    name = f"auctions {sort} {status} {(seller or '').lower()} {card or ''}"
    after = None if cursor is None else decode_cursor(name, cursor, tuple[Number, Number])
    seller_id = None
    if seller is not None:
        user = await services.users.by_login(seller)
        if user is None:
            return answered({"items": [], "next_cursor": None})
        seller_id = user.user_id
    of_card = None if card is None else parsed(card, "card")
    rows = await services.listing.page(AuctionFilter(status, seller_id, of_card, ending, after), limit + 1)
    now_ms = services.now_ms()
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = encode_cursor(name, last.ends_at if ending else 0, last.auction)
    shown = rows[:limit]
    copies = await services.sales.copies.some([row.copies[0] for row in shown if row.copies])
    items = [listed_json(row, now_ms) | {"copy": _copy_json(row, copies)} for row in shown]
    return answered({"items": items, "next_cursor": following})


@router.get(
    "/auctions/{auction_id}",
    dependencies=[PUBLIC],
    response_model=AuctionState,
    summary="An auction's state",
    responses={304: {"description": "Ended, and as the client knows it"}},
)
async def get_auction(
    services: ServicesDep, auction: AuctionId, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """The live state, straight from its host. An ended auction has an ETag."""
    row = await _known(services, auction)
    if row.status in ENDED:
        return _ended(row, if_none_match, services.now_ms())
    answer = await services.router.ask(GetState(auction, AUCTIONS.kind), services.limits.ask_timeout_s)
    if isinstance(answer, Refused):
        # No host answers: the state of the read model may be old, and has its seq.
        return answered(listed_json(row, services.now_ms()))
    return answered(_state_of(answer))


@router.post("/auctions/{auction_id}/cancel", response_model=AuctionState, summary="Cancel before the first bid")
async def cancel(
    services: ServicesDep,
    proofs: ProofsDep,
    caller: Lister,
    key: IdempotencyKey,
    auction: AuctionId,
    _body: Nothing = None,
    code: FactorCode = None,
) -> Response:
    """For its seller, and for operators."""
    by_operator = caller.may(Permission.SALES)
    if by_operator:
        await proofs.operator(caller, code)

    async def work(_begun: Begun) -> tuple[int, bytes]:
        if by_operator:
            await services.audit.record(Act("operator.cancel", caller.user_id, caller.name, id_text(auction)))
        order = command(auction, AUCTIONS.kind, Cancel(caller.user_id, by_operator))
        return 200, encode(await _order_state(services, order))

    return await idempotent(services, Posted(caller, key, f"cancel {auction}"), work)


@router.get(
    "/auctions/{auction_id}/bids",
    response_model=BidPage,
    response_model_exclude_none=True,
    summary="An auction's bids",
)
async def list_bids(
    services: ServicesDep,
    visitor: Visitor,
    auction: AuctionId,
    order: Annotated[Literal["oldest", "newest"], Query(description="Which come first")] = "oldest",
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """All bids that counted. Others' maxima only after the auction has ended."""
    name = f"bids {auction} {order}"
    seq = number_in(name, cursor)
    row = await _known(services, auction)
    if order == "newest":
        bids = await services.history.newest_bids(auction, seq, limit + 1)
    else:
        bids = await services.history.bids(auction, seq or 0, limit + 1)
    items = [_bid_json(bid, visitor, ended=row.status in ENDED) for bid in bids[:limit]]
    return answered({"items": items, "next_cursor": encode_cursor(name, bids[limit - 1].seq) if bids[limit:] else None})


@router.get(
    "/auctions/{auction_id}/log",
    response_model=LogPage,
    response_model_exclude_none=True,
    summary="An auction's log, as everyone may see it",
)
async def list_log(
    services: ServicesDep, visitor: Visitor, auction: AuctionId, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """All events, oldest first, as on the auction's channel. Others' maxima only after the auction has ended."""
    name = f"log {auction}"
    row = await _known(services, auction)
    events = await services.history.events_after(auction, number_in(name, cursor) or 0, limit + 1)
    items = [_event_json(event, visitor, ended=row.status in ENDED) for event in events[:limit]]
    following = encode_cursor(name, events[limit - 1].seq) if events[limit:] else None
    return answered({"items": items, "next_cursor": following})


@router.post("/auctions/{auction_id}/bids", status_code=201, response_model=BidResult, summary="Bid")
async def bid(services: ServicesDep, caller: Bidder, key: IdempotencyKey, auction: AuctionId, body: NewBid) -> Response:
    """The same as ``bid`` on the WebSocket, where the key is the frame's ``key``."""
    order = PlaceBid(caller.user_id, caller.name, body.amount, key)
    return await _place(services, command(auction, AUCTIONS.kind, order, (caller.user_id, key)))


@router.post("/auctions/{auction_id}/buy-now", status_code=201, response_model=BidResult, summary="Buy at once")
async def buy_now(
    services: ServicesDep, caller: Bidder, key: IdempotencyKey, auction: AuctionId, _body: Nothing = None
) -> Response:
    """The same as ``buy_now`` on the WebSocket."""
    order = BuyNow(caller.user_id, caller.name, key)
    return await _place(services, command(auction, AUCTIONS.kind, order, (caller.user_id, key)))


@router.post(
    "/admin/auctions/{auction_id}/close", response_model=AuctionState, summary="End an auction now", tags=["admin"]
)
async def close_auction(
    services: ServicesDep, operator: SalesManager, key: IdempotencyKey, auction: AuctionId, _body: Nothing = None
) -> Response:
    """Sells to the leader as if the time had run out. For operators."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        order = command(auction, AUCTIONS.kind, CloseEarly(operator.user_id))
        return 200, encode(await _order_state(services, order))

    return await idempotent(services, Posted(operator, key, f"close {auction}"), work)


async def _listed(services: Services, terms: Terms, caller: Identity) -> dict[str, Any]:
    """Lock the copies, and list the auction; returns its state. If it is refused, unlocks what this call locked."""
    listings = services.sales.listings
    now_ms = services.now_ms()
    exempt = caller.may(Permission.SALES) or caller.may(Permission.UNLIMITED)
    locked = await listings.lock(
        terms.auction, terms.seller, terms.copies, now_ms,
        dedicated=terms.placement == "dedicated", quota=None if exempt else services.limits.seller_quota,
    )  # fmt: skip
    if isinstance(locked, QuotaExceeded):
        raise _quota_problem(locked, now_ms)
    if isinstance(locked, CopyRefusal):
        raise copy_problem(locked)
    opening = Open(terms.auction, AUCTIONS.kind, msgspec.Raw(encode_terms(terms)))
    answer = await services.router.ask(opening, services.limits.ask_timeout_s)
    if isinstance(answer, Refused) and answer.code != UNAVAILABLE and locked.fresh:
        await listings.free(terms.auction, locked.fresh)
    return _state_of(answer)


def _quota_problem(exceeded: QuotaExceeded, now_ms: int) -> Problem:
    wait_ms = None if exceeded.again_at is None else max(0, exceeded.again_at - now_ms) + 1
    return Problem(QUOTA_EXCEEDED, quota=exceeded.quota, limit=exceeded.limit, retry_after_ms=wait_ms)


async def _order_state(services: Services, order: Request) -> dict[str, Any]:
    return _state_of(await services.router.ask(order, services.limits.ask_timeout_s))


def _state_of(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Refused):
        raise refusal_problem(answer)
    assert isinstance(answer, StateAnswer), "commands without a key are answered so"
    return state_json(decode_state(answer.state), answer.epoch, answer.seq)


async def _place(services: Services, order: Command) -> Response:
    answer = await services.router.ask(order, services.limits.ask_timeout_s)
    if isinstance(answer, Refused):
        raise refusal_problem(answer)
    assert isinstance(answer, Accepted), "bids are answered so"
    return answered(_accepted_json(order, answer), 201)


def _accepted_json(order: Command, answer: Accepted) -> dict[str, Any]:
    result = msgspec.convert(answer.result, AcceptedBid)
    return {
        "auction": id_text(order.entity), "epoch": answer.epoch, "seq": answer.seq, "at": answer.at,
        **msgspec.structs.asdict(result), "duplicate": answer.duplicate,
    }  # fmt: skip


async def _known(services: Services, auction: int) -> ListedAuction:
    row = await services.listing.get(auction)
    if row is None:
        raise Problem("not_found", "there is no such auction")
    return row


def _copy_json(row: ListedAuction, copies: Mapping[int, Copy]) -> dict[str, Any] | None:
    found = copies.get(row.copies[0]) if row.copies else None
    return None if found is None else copy_json(found, None)


def _bid_json(bid: LoggedBid, visitor: Identity | None, *, ended: bool) -> dict[str, Any]:
    event = bid.event
    shown = {
        "seq": bid.seq, "at": bid.at, "bidder": event.name, "price": event.price, "outcome": outcome_of(event),
    }  # fmt: skip
    return shown | _amount(event, visitor, ended=ended)


def _event_json(logged: LoggedEvent, visitor: Identity | None, *, ended: bool) -> dict[str, Any]:
    shown = {"seq": logged.seq, "at": logged.at, "type": logged.type, "data": logged.data}
    return shown | (_amount(logged.event, visitor, ended=ended) if isinstance(logged.event, BidEvent) else {})


def _amount(bid: BidEvent, visitor: Identity | None, *, ended: bool) -> dict[str, Any]:
    """The bidder's maximum, where the visitor may see it."""
    own = visitor is not None and visitor.user_id == bid.bidder
    return {"amount": bid.maximum} if ended or own else {}


def _ended(row: ListedAuction, if_none_match: str | None, now_ms: int) -> Response:
    # Weak, because server_time differs from one answer to the next.
    etag = f'W/"{id_text(row.auction)}-{row.epoch}-{row.seq}-{row.settled:d}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=60"}
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    if etag.removeprefix("W/") in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return answered(listed_json(row, now_ms), headers=headers)
