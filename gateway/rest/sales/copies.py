"""Copies of cards: owners, provenance, gifts; and making copies, for operators."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, Query
from starlette.responses import Response

from domain.ids import InvalidId, id_text, parse_id
from domain.sales.settlement import Payee, royalty_fault
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.answers import answered
from gateway.rest.callers import PUBLIC, CatalogEditor, Giver, IdempotencyKey, Reader, Visitor
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import InvalidRequest, Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.sales.bodies import (
    CopyItem,
    CopyPage,
    Gift,
    MadeCopies,
    NewCopiesBody,
    ProvenancePage,
    RoyaltyBody,
    change_json,
    copy_json,
)
from gateway.rest.services import Services, ServicesDep
from persistence.postgres.idempotency import Begun
from persistence.sales.copies import PAGE_MAX, NewCopies
from persistence.sales.listings import CopyRefusal

PAGE_DEFAULT = 50

router = api_router("copies")
encode = msgspec.json.encode

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Place = Annotated[Literal["free", "listed", "trade", "withdrawn"] | None, Query(description="Only those there")]


async def _copy_id(copy_id: str) -> int:
    return parsed(copy_id, "copy")


async def _card_id(card_id: str) -> int:
    return parsed(card_id, "card")


CopyId = Annotated[int, Depends(_copy_id)]
CardId = Annotated[int, Depends(_card_id)]


def parsed(text: str, what: str) -> int:
    """The id in a path. Raises the problem ``not_found``: nothing has an id that is none."""
    try:
        return parse_id(text)
    except InvalidId:
        raise Problem("not_found", f"there is no such {what}") from None


@router.get("/users/me/copies", response_model=CopyPage, summary="One's own copies")
async def my_copies(
    services: ServicesDep, caller: Reader, place: Place = None, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """In the order of their making, with what they cost."""
    return await _page(services, caller, f"copies of {caller.user_id} {place}", limit, cursor, caller.user_id, place)


@router.get("/users/{username}/copies", response_model=CopyPage, summary="Somebody's copies")
async def their_copies(
    services: ServicesDep,
    visitor: Visitor,
    username: str,
    place: Place = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """Collections are public, unless their owner prefers otherwise; what was paid is in each copy's provenance."""
    owner = await user_named(services, username)
    own = visitor is not None and visitor.user_id == owner
    if not own and (await services.profiles.profiles.preferences(owner)).private_collection:
        raise Problem("forbidden", "this collection is private")
    return await _page(services, visitor, f"copies of {owner} {place}", limit, cursor, owner, place)


@router.get("/catalog/cards/{card_id}/copies", response_model=CopyPage, summary="A card's copies", tags=["catalog"])
async def copies_of_card(
    services: ServicesDep, visitor: Visitor, card: CardId, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """In the order of their making."""
    return await _page(services, visitor, f"copies of card {card}", limit, cursor, None, None, card)


@router.get("/copies/{copy_id}", response_model=CopyItem, summary="One copy")
async def get_copy(services: ServicesDep, visitor: Visitor, copy: CopyId) -> Response:
    """Who has it, and where it is."""
    found = await services.sales.copies.get(copy)
    if found is None:
        raise Problem("not_found", "there is no such copy")
    return answered(copy_json(found, None if visitor is None else visitor.user_id))


@router.get(
    "/copies/{copy_id}/provenance", dependencies=[PUBLIC], response_model=ProvenancePage, summary="Who had a copy"
)
async def provenance(
    services: ServicesDep, copy: CopyId, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """Every change of owner from its making on, with price and event."""
    name = f"provenance {copy}"
    after = number_in(name, cursor) or 0
    rows = await services.sales.copies.provenance(copy, after, limit + 1)
    if not rows and not after:
        raise Problem("not_found", "there is no such copy")
    following = encode_cursor(name, rows[limit - 1].seq) if rows[limit:] else None
    return answered({"items": [change_json(row) for row in rows[:limit]], "next_cursor": following})


@router.post("/copies/{copy_id}/give", response_model=CopyItem, summary="Give a copy away")
async def give(services: ServicesDep, caller: Giver, key: IdempotencyKey, copy: CopyId, body: Gift) -> Response:
    """A free copy becomes another's, for nothing. It can't be taken back."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        to = await user_named(services, body.to)
        if to == caller.user_id:
            raise InvalidRequest("invalid_request", "it is yours already")
        refusal = await services.sales.copies.give(copy, caller.user_id, to, services.now_ms())
        if refusal is not None:
            raise copy_problem(refusal)
        found = await services.sales.copies.get(copy)
        assert found is not None, "copies stay"
        return 200, encode(copy_json(found, caller.user_id))

    return await idempotent(services, Posted(caller, key, f"give {copy} {body.to.lower()}"), work)


@router.post(
    "/admin/catalog/cards/{card_id}/copies",
    status_code=201,
    response_model=MadeCopies,
    summary="Make copies of a card",
    tags=["admin"],
)
async def make_copies(
    services: ServicesDep, operator: CatalogEditor, key: IdempotencyKey, card: CardId, body: NewCopiesBody
) -> Response:
    """Numbered on from the card's last one, within its edition. For operators."""
    if (body.grader is None) != (body.grade is None):
        raise InvalidRequest("invalid_request", "a grade comes with its grader")

    async def store(connection: Any, made: list[int]) -> None:
        # Nothing tells these copies from those of another order: a repetition would make more.
        await services.idempotency.finish_within(connection, operator.user_id, key, 201, _made_json(made))

    async def work(_begun: Begun) -> tuple[int, bytes]:
        owner = await user_named(services, body.owner)
        new = NewCopies(card, body.count, owner, body.grader, body.grade)
        made = await services.sales.copies.make(new, services.now_ms(), store)
        if isinstance(made, CopyRefusal):
            raise copy_problem(made)
        return 201, _made_json(made)

    return await idempotent(services, Posted(operator, key, f"make copies {card} {body.model_dump_json()}"), work)


@router.post(
    "/admin/catalog/cards/{card_id}/royalty", response_model=RoyaltyBody, summary="Set a card's royalties",
    tags=["admin"],
)  # fmt: skip
async def set_royalty(
    services: ServicesDep, operator: CatalogEditor, key: IdempotencyKey, card: CardId, body: RoyaltyBody
) -> Response:
    """They count for every sale that is settled from now on. For operators."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        payees = [Payee(await user_named(services, payee.user), payee.basis_points) for payee in body.payees]
        fault = royalty_fault(payees)
        if fault is not None:
            raise InvalidRequest("invalid_request", fault)
        given = [(payee.owner, payee.basis_points) for payee in payees]
        if not await services.sales.copies.set_royalty(card, given):
            raise Problem("not_found", "there is no such card")
        return 200, body.model_dump_json().encode()

    return await idempotent(services, Posted(operator, key, f"royalty {card} {body.model_dump_json()}"), work)


def _made_json(made: list[int]) -> bytes:
    return encode({"copies": [id_text(copy) for copy in made]})


async def user_named(services: Services, name: str) -> int:
    """The id of the user with this name, in any case. Raises the problem ``not_found``."""
    user = None if "@" in name else await services.users.by_login(name)
    if user is None:
        raise Problem("not_found", "there is no such user")
    return user.user_id


def copy_problem(refusal: CopyRefusal) -> Problem:
    """A refusal about a copy or a card, which it names."""
    if refusal.code in ("card_not_found", "edition_full"):
        return Problem(refusal.code, card=id_text(refusal.copy))
    return Problem(refusal.code, copy=id_text(refusal.copy))


async def _page(
    services: Services, viewer: Identity | None, name: str, limit: int, cursor: str | None, owner: int | None,
    place: str | None, card: int | None = None,
) -> Response:  # fmt: skip
    after = number_in(name, cursor) or 0
    rows = await services.sales.copies.page(after, limit + 1, owner=owner, card=card, place=place)
    following = encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None
    items = [copy_json(row, None if viewer is None else viewer.user_id) for row in rows[:limit]]
    return answered({"items": items, "next_cursor": following})
