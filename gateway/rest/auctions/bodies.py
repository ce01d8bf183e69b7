"""What clients send about auctions, and what they get. Prices in base units (USDC: 6 decimals), times in ms."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field

from domain.auction.increments import INCREMENT_ROWS_MAX, STANDARD_INCREMENTS
from domain.auction.rules import AUCTIONS
from domain.auction.terms import COPIES_MAX, DURATION_MAX_MS, EXTENSIONS_MAX, TITLE_LENGTH_MAX, SoftClose, Terms
from domain.auction.views import PublicState
from domain.ids import ID_LENGTH, InvalidId, id_text, parse_id
from domain.money import AMOUNT_MAX
from gateway.identity.tokens import Identity
from gateway.rest.idempotency import InvalidRequest
from gateway.rest.sales.bodies import CopyItem
from gateway.rest.text import LINE
from persistence.auctions.reading import ListedAuction

# The end of the year 9999.
TIME_MAX_MS = 253_402_300_799_999


Amount = Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
Time = Annotated[int, Field(ge=0, le=TIME_MAX_MS)]
Duration = Annotated[int, Field(ge=1, le=DURATION_MAX_MS)]
Title = Annotated[str, Field(min_length=1, max_length=TITLE_LENGTH_MAX), LINE]
IncrementRow = Annotated[list[Annotated[int, Field(ge=0, le=AMOUNT_MAX)]], Field(min_length=2, max_length=2)]


class _Body(BaseModel):
    # Strict: 1.0, true and "1" are not integers. Unknown fields are mistakes, perhaps costly ones.
    model_config = ConfigDict(strict=True, extra="forbid")


class SoftCloseBody(_Body):
    """A valid bid in the last ``window_ms`` moves the end to at least now + ``extension_ms``."""

    window_ms: Duration
    extension_ms: Duration
    max_extensions: Annotated[int, Field(ge=0, le=EXTENSIONS_MAX)] | None = None


class NewAuction(_Body):
    """An auction to list. Either ``ends_at`` or ``duration_ms``. A ``starts_at`` in the past means now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"title": "Base Set Charizard", "starting_price": 1_000_000, "duration_ms": 3_600_000}]
        }
    )

    title: Title
    format: Annotated[str, Field(max_length=32, json_schema_extra={"enum": AUCTIONS.formats})] = "english"
    starting_price: Amount
    reserve_price: Annotated[Amount | None, Field(description="Hidden; below it nothing is sold")] = None
    buy_now_price: Amount | None = None
    starts_at: Time | None = None
    ends_at: Time | None = None
    duration_ms: Duration | None = None
    increments: Annotated[
        list[IncrementRow] | None,
        Field(
            min_length=1,
            max_length=INCREMENT_ROWS_MAX,
            description="Rows [from_price, step], rising from price 0; eBay's table by default",
            examples=[[[0, 50_000], [1_000_000, 250_000]]],
        ),
    ] = None
    soft_close: SoftCloseBody | None = None
    placement: Annotated[
        Literal["auto", "shared", "dedicated"], Field(description="Requested; the state has the actual one")
    ] = "auto"
    copies: Annotated[
        list[Annotated[str, Field(min_length=ID_LENGTH, max_length=ID_LENGTH)]],
        Field(max_length=COPIES_MAX, description="The seller's copies that are sold, several as one bundle"),
    ] = []


class NewBid(_Body):
    """``amount`` is the most that the bidder will pay; the engine bids for them up to it."""

    amount: Amount


class NoFields(_Body):
    """An empty body."""


Nothing = Annotated[NoFields | None, Body()]


class AuctionState(BaseModel):
    """An auction as everyone may see it, after the event at ``(epoch, seq)``."""

    id: str
    format: str
    title: str
    seller: str
    status: Literal["scheduled", "open", "closed", "cancelled"]
    price: int
    minimum: Annotated[int, Field(description="The least that a bid must be now")]
    leader: Annotated[str | None, Field(description="Public name")]
    bids: int
    reserve: Literal["none", "unmet", "met"]
    starts_at: int
    ends_at: int
    server_time: int
    placement: str
    buy_now: int | None = None
    closed_reason: Literal["time", "buy_now", "operator"] | None = None
    winner: str | None = None
    copies: Annotated[list[str], Field(description="What is sold; none: something that is no card of ours")] = []
    settled: Annotated[bool, Field(description="The winner has paid, and has the copies")] = False
    epoch: int
    seq: int


class ListedState(AuctionState):
    """An auction in a list."""

    copy_: Annotated[CopyItem | None, Field(alias="copy", description="The first of ``copies``")]


class AuctionPage(BaseModel):
    """A page of auctions; ``next_cursor`` is null on the last one."""

    items: list[ListedState]
    next_cursor: str | None


class BidItem(BaseModel):
    """One bid. ``amount``, the bidder's maximum, only in one's own, and in all once the auction has ended."""

    seq: int
    at: int
    bidder: Annotated[str, Field(description="Public name")]
    price: int
    outcome: Literal["leading", "outbid", "won"]
    amount: int | None = None


class BidPage(BaseModel):
    """A page of bids."""

    items: list[BidItem]
    next_cursor: str | None


class LogItem(BaseModel):
    """One event of an auction's log: ``type`` and ``data`` as on its channel, and ``amount`` as in ``BidItem``."""

    seq: int
    at: int
    type: str
    data: dict[str, Any]
    amount: int | None = None


class LogPage(BaseModel):
    """A page of an auction's log, oldest first."""

    items: list[LogItem]
    next_cursor: str | None


class BidResult(BaseModel):
    """A bid that is in the log, at ``(epoch, seq)``. ``duplicate``: this was a retry."""

    auction: str
    epoch: int
    seq: int
    at: int
    outcome: Literal["leading", "outbid", "won"]
    price: int
    minimum: int
    ends_at: int
    duplicate: bool


def terms_of(body: NewAuction, auction: int, seller: Identity, received_at: int) -> Terms:
    """The terms of a request received at this time (ms); the same for a retry. Raises InvalidRequest."""
    starts_at = max(body.starts_at or 0, received_at)
    if (body.ends_at is None) == (body.duration_ms is None):
        raise InvalidRequest("invalid_request", "either ends_at or duration_ms is needed, and not both")
    ends_at = body.ends_at if body.ends_at is not None else starts_at + (body.duration_ms or 0)
    if ends_at > TIME_MAX_MS:
        raise InvalidRequest("invalid_request", "the auction would end after the year 9999")
    increments = STANDARD_INCREMENTS
    if body.increments is not None:
        increments = tuple((row[0], row[1]) for row in body.increments)
    soft_close = None
    if body.soft_close is not None:
        soft_close = SoftClose(body.soft_close.window_ms, body.soft_close.extension_ms, body.soft_close.max_extensions)
    try:
        copies = tuple(sorted(parse_id(copy) for copy in body.copies))
    except InvalidId:
        raise InvalidRequest("invalid_request", "copies must be ids of copies") from None
    return Terms(
        auction=auction,
        seller=seller.user_id,
        seller_name=seller.name,
        title=body.title,
        starting_price=body.starting_price,
        starts_at=starts_at,
        ends_at=ends_at,
        reserve_price=body.reserve_price,
        buy_now_price=body.buy_now_price,
        increments=increments,
        soft_close=soft_close,
        format=body.format,
        placement=body.placement,
        copies=copies,
    )


def state_json(state: PublicState, epoch: int, seq: int) -> dict[str, Any]:
    """An AuctionState from a host's answer."""
    members: dict[str, Any] = msgspec.to_builtins(state)
    return members | {"epoch": epoch, "seq": seq}


def listed_json(row: ListedAuction, now_ms: int) -> dict[str, Any]:
    """An AuctionState from the read model."""
    state = PublicState(
        id=id_text(row.auction),
        format=row.format,
        title=row.title,
        seller=row.seller_name,
        status=row.status,
        price=row.price,
        minimum=row.minimum,
        leader=row.leader_name,
        bids=row.bids,
        reserve=row.reserve,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        server_time=now_ms,
        placement=row.placement,
        buy_now=row.buy_now,
        closed_reason=row.closed_reason,
        winner=row.leader_name if row.winner is not None else None,
        copies=tuple(map(id_text, row.copies)),
        settled=row.settled,
    )
    return state_json(state, row.epoch, row.seq)
