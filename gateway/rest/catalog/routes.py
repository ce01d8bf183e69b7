"""The catalog for anyone: browse, search, count; and operators' single cards."""

import hashlib
from typing import Annotated, Literal

import msgspec
from fastapi import Depends, Header, Query
from pydantic import Field
from starlette.responses import Response

from domain.ids import InvalidId, parse_id
from domain.ledger.currencies import AMOUNT_MAX
from domain.text import line
from gateway.http.problems import Problem
from gateway.rest.answers import JSON, answered
from gateway.rest.callers import PUBLIC, CatalogEditor, IdempotencyKey
from gateway.rest.catalog.bodies import (
    CardPage,
    Facets,
    NewCard,
    PutCards,
    SetPage,
    WholeCard,
    card_json,
    facets_json,
    rights_json,
)
from gateway.rest.cursors import Cursor, Number, decode_cursor, encode_cursor
from gateway.rest.idempotency import Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from gateway.rest.text import LINE
from persistence.catalog.query import Place
from persistence.catalog.reading import PAGE_MAX, SETS_MAX, Wanted
from persistence.postgres.idempotency import Begun

PAGE_DEFAULT = 24
TRAITS_MAX = 8

router = api_router("catalog")
encode = msgspec.json.encode

Text = Annotated[str | None, Query(min_length=1, max_length=64), LINE]
TraitFilter = Annotated[str, Field(pattern=r"^[^:]{1,64}:.{1,64}$"), LINE]
Price = Annotated[int | None, Query(ge=0, le=AMOUNT_MAX, description="Of the lowest open auction, in base units")]
Match = Annotated[str | None, Header(alias="If-None-Match")]


async def _wanted(
    q: Annotated[str, Query(max_length=200, description="Words; typos are found"), LINE] = "",
    set: Text = None,
    rarity: Text = None,
    trait: Annotated[
        list[TraitFilter] | None, Query(max_length=TRAITS_MAX, description="`name:value`, for one name each")
    ] = None,
    min_price: Price = None,
    max_price: Price = None,
    status: Annotated[Literal["open", "none"] | None, Query(description="Has open auctions, or none")] = None,
) -> Wanted:
    pairs = [tuple(map(line, one.split(":", 1))) for one in trait or []]
    traits = tuple(sorted((pair[0], pair[-1]) for pair in pairs))
    if len({name for name, _ in traits}) != len(traits):
        raise Problem("invalid_request", "no card has two values of one trait")
    return Wanted(q, set, rarity, traits, min_price, max_price, status)


Filters = Annotated[Wanted, Depends(_wanted)]


@router.get("/catalog/cards", dependencies=[PUBLIC], response_model=CardPage, summary="Cards, by filters and words")
async def cards(
    services: ServicesDep,
    wanted: Filters,
    sort: Annotated[
        Literal["relevance", "newest", "name", "price", "ending", "listed"],
        Query(description="By `price`, `ending`, `listed` only cards for sale; without `q` `relevance` is `newest`"),
    ] = "relevance",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """By `price`, `ending` and `listed` (newly) come only cards for sale. `relevance` without words is `newest`."""
    name = f"cards {sort} {encode(wanted).decode()}"
    after: Place | None = None
    if cursor is not None and sort == "name":
        after = decode_cursor(name, cursor, tuple[str, Number])
    elif cursor is not None:
        after = decode_cursor(name, cursor, tuple[Number, Number])
    found = await services.catalog.view.cards(wanted, sort, after, limit + 1)
    rows = found.cards
    following = encode_cursor(name, rows[limit - 1].place, rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [card_json(row) for row in rows[:limit]], "next_cursor": following, "total": found.total})


@router.get("/catalog/facets", dependencies=[PUBLIC], response_model=Facets, summary="How many cards have what")
async def facets(services: ServicesDep, wanted: Filters) -> Response:
    """The same filters as for cards. Counts are exact up to 10,000 cards; beyond, `estimate` is true."""
    found, market = await services.catalog.view.facets(wanted)
    return answered(facets_json(found, market))


@router.get("/catalog/cards/{card_id}", dependencies=[PUBLIC], response_model=WholeCard, summary="One card")
async def card(services: ServicesDep, card_id: str, if_none_match: Match = None) -> Response:
    """With creator and royalties, and an `ETag`; 304 where `If-None-Match` has it."""
    try:
        found = await services.catalog.view.card(parse_id(card_id))
    except InvalidId:
        found = None
    if found is None:
        raise Problem("not_found", "there is no such card")
    body = encode(card_json(found) | rights_json(await services.sales.copies.rights(found.id)))
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    # Weak: it is the same with compression and without.
    headers = {"ETag": f"W/{tag}", "Cache-Control": "public, no-cache"}
    known = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=JSON)


@router.get("/catalog/sets", dependencies=[PUBLIC], response_model=SetPage, summary="The sets there are")
async def sets(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=SETS_MAX - 1)] = PAGE_MAX,
    cursor: Cursor = None,
) -> Response:
    """By code."""
    after = None if cursor is None else decode_cursor("sets", cursor, tuple[str])[0]
    rows = await services.catalog.view.sets(after, limit + 1)
    following = encode_cursor("sets", rows[limit - 1].code) if rows[limit:] else None
    return answered({"items": rows[:limit], "next_cursor": following})


@router.post("/admin/catalog/cards", response_model=PutCards, status_code=201, summary="Put a card", tags=["admin"])
async def put_card(services: ServicesDep, operator: CatalogEditor, key: IdempotencyKey, body: NewCard) -> Response:
    """A new card, or a change of the one with this set and number. For operators."""
    row = body.row()

    async def work(_begun: Begun) -> tuple[int, bytes]:
        written = await services.catalog.writing.put([row], operator.user_id, services.now_ms())
        return 201, encode(written)

    return await idempotent(services, Posted(operator, key, f"put card {encode(row).decode()}"), work)
