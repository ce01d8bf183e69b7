"""Requests to mint: making them, and following them. Poisoned jobs and their retry, for operators."""

from typing import Annotated

import msgspec
from fastapi import Depends, Query
from starlette.responses import Response

from domain.errors import FORBIDDEN, NO_CHAIN, NOT_FOUND, TOO_MANY_MINTS
from domain.ids import id_text, parse_id
from domain.permissions import Permission
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import Nothing
from gateway.rest.callers import PUBLIC, IdempotencyKey, JobManager, Minter, Reader
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import Posted, idempotent
from gateway.rest.mints.bodies import (
    ChainBody,
    ItemState,
    MintBody,
    MintItemPage,
    MintPage,
    NewMint,
    PoisonedPage,
    Retried,
    item_json,
    mint_json,
    poisoned_json,
)
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import parsed
from gateway.rest.services import Services, ServicesDep
from persistence.minting.reading import Mint
from persistence.minting.requests import COPIES_MAX, MintOrder, MintRefused
from persistence.postgres.idempotency import Begun

PAGE_DEFAULT = 50
PAGE_MAX = 500

router = api_router("mints")
encode = msgspec.json.encode

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
State = Annotated[ItemState | None, Query(description="Only copies in this state")]


async def _mint_id(mint_id: str) -> int:
    return parsed(mint_id, "request to mint")


MintId = Annotated[int, Depends(_mint_id)]


@router.post("/mints", status_code=201, response_model=MintBody, summary="Mint copies of cards")
async def mint(services: ServicesDep, caller: Minter, key: IdempotencyKey, body: NewMint) -> Response:
    """Each becomes an asset on the chain, in the wallet of its owner. The answer comes before they are minted."""

    async def work(begun: Begun) -> tuple[int, bytes]:
        if not services.minting.chain:
            raise Problem(NO_CHAIN)
        if body.standard not in services.minting.standards:
            raise Problem(NO_CHAIN, "the chain of this engine does not have the program of this standard")
        order = MintOrder(begun.created_id, caller.user_id, body.standard, begun.received_at)
        refused = await _requested(services, order, body)
        if refused is not None:
            raise _problem(refused, body)
        made = await services.minting.mints.get(order.id)
        assert made is not None, "requests stay"
        return 201, encode(mint_json(made))

    return await idempotent(services, Posted(caller, key, f"mint {body.model_dump_json()}"), work)


@router.get("/mints", response_model=MintPage, summary="One's requests to mint")
async def mints(services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response:
    """The newest first."""
    name = f"mints {caller.user_id}"
    rows = await services.minting.mints.page(caller.user_id, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [mint_json(row) for row in rows[:limit]], "next_cursor": following})


@router.get("/mints/{mint_id}", response_model=MintBody, summary="A request to mint")
async def get_mint(services: ServicesDep, caller: Reader, mint: MintId) -> Response:
    """How far it is. For its requester and for operators; the channel `mint:<id>` sends the same."""
    return answered(mint_json(await _visible(services, caller, mint)))


@router.get("/mints/{mint_id}/items", response_model=MintItemPage, summary="The copies of a request to mint")
async def items(
    services: ServicesDep, caller: Reader, mint: MintId, state: State = None, limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:  # fmt: skip
    """What became of each, with the reasons of failures."""
    await _visible(services, caller, mint)
    name = f"mint items {mint} {state}"
    rows = await services.minting.mints.items(mint, number_in(name, cursor) or 0, state, limit + 1)
    following = encode_cursor(name, rows[limit - 1].job) if rows[limit:] else None
    return answered({"items": [item_json(row) for row in rows[:limit]], "next_cursor": following})


@router.get("/chain", dependencies=[PUBLIC], response_model=ChainBody, summary="The chain of this engine")
async def chain(services: ServicesDep) -> Response:
    """Which public chain cards are minted on."""
    return answered({"cluster": services.wallets.site.chain_id})


@router.post("/mints/{mint_id}/retry", response_model=Retried, summary="Retry what has failed")
async def retry_own(
    services: ServicesDep, caller: Minter, key: IdempotencyKey, mint: MintId, _body: Nothing = None
) -> Response:
    """The copies of one's request that could not be minted are queued again. None: there were none."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        await _visible(services, caller, mint)
        return 200, encode({"jobs": await services.minting.mints.retry(mint)})

    return await idempotent(services, Posted(caller, key, f"retry own mint {mint}"), work)


@router.get("/admin/mints/poisoned", response_model=PoisonedPage, summary="Poisoned jobs", tags=["admin"])
async def poisoned(
    services: ServicesDep, _operator: JobManager, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """Jobs for the chain that are not tried again by themselves. For operators."""
    rows = await services.minting.status.poisoned(number_in("poisoned", cursor) or 0, limit + 1)
    following = encode_cursor("poisoned", rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [poisoned_json(row) for row in rows[:limit]], "next_cursor": following})


@router.post("/admin/mints/{mint_id}/retry", response_model=Retried, summary="Retry a request", tags=["admin"])
async def retry(
    services: ServicesDep, operator: JobManager, key: IdempotencyKey, mint: MintId, _body: Nothing = None
) -> Response:
    """Its poisoned jobs are queued again, one in a transaction. For operators."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        if await services.minting.mints.get(mint) is None:
            raise Problem(NOT_FOUND, "there is no such request to mint")
        return 200, encode({"jobs": await services.minting.mints.retry(mint)})

    return await idempotent(services, Posted(operator, key, f"retry mint {mint}"), work)


async def _requested(services: Services, order: MintOrder, body: NewMint) -> MintRefused | None:
    requests = services.minting.requests
    if body.copies is not None:
        return await requests.copies(order, [parse_id(copy) for copy in body.copies])
    if body.card is not None:
        return await requests.card(order, parse_id(body.card), body.count or 1)
    assert body.set is not None, "the body has one of the three"
    return await requests.card_set(order, body.set)


def _problem(refused: MintRefused, body: NewMint) -> Problem:
    if refused.code == TOO_MANY_MINTS:
        return Problem(refused.code, maximum=COPIES_MAX)
    if refused.code == NOT_FOUND:
        return Problem(refused.code, "there is no such set")
    if refused.subject is None:
        return Problem(refused.code)
    if body.copies is None:
        return Problem(refused.code, card=id_text(refused.subject))
    return Problem(refused.code, copy=id_text(refused.subject))


async def _visible(services: Services, caller: Identity, mint: int) -> Mint:
    found = await services.minting.mints.get(mint)
    if found is None:
        raise Problem(NOT_FOUND, "there is no such request to mint")
    if found.requester != caller.user_id and not caller.may(Permission.JOBS):
        raise Problem(FORBIDDEN, "this is somebody else's request")
    return found
