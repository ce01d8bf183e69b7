"""Who has minted copies: what this engine knows, beside what the chain says."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from chain.rpc.errors import ChainError
from chain.wallets.addresses import ADDRESS_LENGTH_MAX
from domain.ids import id_text
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.callers import PUBLIC
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.mints.services import ReadsHolders
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import CardId, CopyId
from gateway.rest.services import Services, ServicesDep
from persistence.minting.ownership import Holding

CHAIN_WITHIN_S = 3.0
# What one request to the chain answers.
PAGE_MAX = 100

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]

router = api_router("copies")


class OnChain(BaseModel):
    """As of a final slot."""

    holder: Annotated[str | None, Field(description="The wallet that has the asset; null: nobody does")]
    slot: int


class OwnershipBody(BaseModel):
    """``holder`` is the wallet that is known to have it; ``moving``: it is on its way to another one."""

    copy_id: Annotated[str, Field(alias="copy")]
    card: str
    asset: str
    standard: str
    owner: Annotated[str | None, Field(description="Username; null: somebody without an account here")]
    place: Literal["free", "listed", "trade", "withdrawn"]
    holder: str
    slot: int
    moving: bool
    chain: Annotated[OnChain | None, Field(description="null: the chain does not answer now")]
    agrees: Annotated[bool | None, Field(description="Whether the chain says what is known; null: it does not answer")]


class OwnershipPage(BaseModel):
    """A page; ``next_cursor`` null: the last one."""

    items: list[OwnershipBody]
    next_cursor: str | None


@router.get(
    "/copies/{copy_id}/ownership",
    dependencies=[PUBLIC],
    response_model=OwnershipBody,
    summary="Who has a minted copy on the chain",
)
async def ownership(services: ServicesDep, copy: CopyId) -> Response:
    """What the chain says is read for this request, at finality. 404 for a copy that is not minted."""
    held = await services.minting.ownership.of(copy)
    if held is None:
        raise Problem("not_found", "this copy is not minted")
    return answered((await _bodies(services, [held]))[0])


@router.get(
    "/assets/{address}",
    dependencies=[PUBLIC],
    response_model=OwnershipBody,
    summary="The copy of an asset, and who has it",
)
async def asset(services: ServicesDep, address: str) -> Response:
    """As that of the copy. 404 for an address that is no asset of a minted copy here."""
    possible = len(address) <= ADDRESS_LENGTH_MAX and address.isascii() and address.isalnum()
    held = await services.minting.ownership.of_assets([address]) if possible else []
    if not held:
        raise Problem("not_found", "no minted copy has an asset of this address")
    return answered((await _bodies(services, held))[0])


@router.get(
    "/catalog/cards/{card_id}/ownership", dependencies=[PUBLIC], response_model=OwnershipPage,
    summary="Who has the minted copies of a card",
    tags=["catalog"],
)  # fmt: skip
async def of_card(services: ServicesDep, card: CardId, limit: Limit = PAGE_MAX, cursor: Cursor = None) -> Response:
    """In the order of their making. What the chain says is read for the whole page, at finality."""
    name = f"ownership of {card}"
    rows = await services.minting.ownership.of_card(card, number_in(name, cursor) or 0, limit + 1)
    following = encode_cursor(name, rows[limit - 1].copy) if rows[limit:] else None
    return answered({"items": await _bodies(services, rows[:limit]), "next_cursor": following})


async def _bodies(services: Services, held: Sequence[Holding]) -> list[dict[str, object]]:
    found = await _on_chain(services.minting.holdings, held)
    return [_body(one, None if found is None else found[place]) for place, one in enumerate(held)]


async def _on_chain(holdings: ReadsHolders | None, held: Sequence[Holding]) -> Sequence[tuple[str | None, int]] | None:
    if holdings is None:
        return None
    try:
        async with asyncio.timeout(CHAIN_WITHIN_S):
            return await holdings.holders([(one.standard, one.asset, one.holder) for one in held])
    except (ChainError, TimeoutError):
        return None


def _body(held: Holding, found: tuple[str | None, int] | None) -> dict[str, object]:
    return {
        "copy": id_text(held.copy),
        "card": id_text(held.card),
        "asset": held.asset,
        "standard": held.standard,
        "owner": held.owner_name,
        "place": held.place,
        "holder": held.holder,
        "slot": held.slot,
        "moving": held.moving,
        "chain": None if found is None else {"holder": found[0], "slot": found[1]},
        "agrees": None if found is None else found[0] == held.holder,
    }
