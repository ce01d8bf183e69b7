"""Swaps: two users trade between their outside wallets, by one transaction that both sign."""

import binascii
from base64 import b64decode
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import Depends, Query
from solders.pubkey import Pubkey
from solders.signature import Signature
from starlette.responses import Response

from chain.transactions.cosigned import InvalidSignature, MessageChanged, stored_message
from chain.transactions.packing import TooLarge
from chain.transactions.swap import InvalidSwap
from domain.errors import (
    INVALID_REQUEST,
    INVALID_TERMS,
    NO_CHAIN,
    NOT_FOUND,
    SIGNATURE_INVALID,
    SWAP_NOT_READY,
    SWAP_TOO_LARGE,
    TRANSACTION_CHANGED,
    USER_BLOCKED,
)
from domain.ids import InvalidId, parse_id
from domain.ledger.books import HOUSE
from domain.sales.swaps import Side, SwapLeg, legs_of, payment_of, terms_fault
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.answers import answered
from gateway.rest.callers import IdempotencyKey, Reader, Trader
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import InvalidRequest, Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import parsed, user_named
from gateway.rest.services import Services, ServicesDep
from gateway.rest.wallets.services import SwapServices
from gateway.rest.wallets.swap_bodies import (
    Given,
    NewSignature,
    NewSwapBody,
    SwapItem,
    SwapPage,
    SwapPreview,
    leg_json,
    swap_json,
)
from persistence.postgres.idempotency import Begun
from persistence.wallets.swap_rows import Swap, SwapRefusal
from persistence.wallets.swaps import PAGE_MAX, NewSwap, Offer

PAGE_DEFAULT = 50

router = api_router("wallets")
encode = msgspec.json.encode

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


async def _swap_id(swap_id: str) -> int:
    return parsed(swap_id, "swap")


SwapId = Annotated[int, Depends(_swap_id)]


@router.post(
    "/wallets/swaps", status_code=201, response_model=SwapItem, summary="Propose a swap of two outside wallets"
)
async def propose(services: ServicesDep, caller: Trader, key: IdempotencyKey, body: NewSwapBody) -> Response:
    """Cards for cards, or for USDC. What is paid for cards is divided as in a sale: royalties, the fee, the seller.

    The transaction is built then: both get a notification once they can sign it.
    """

    async def work(begun: Begun) -> tuple[int, bytes]:
        own = _swaps(services)
        known = await own.store.get(begun.created_id)
        made = known or await _proposed(services, own, caller, begun, body)
        return 201, encode(swap_json(made))

    return await idempotent(services, Posted(caller, key, f"swap {body.model_dump_json()}"), work)


@router.post("/wallets/swap-previews", response_model=SwapPreview, summary="What a swap would move")
async def preview(services: ServicesDep, caller: Trader, body: NewSwapBody) -> Response:
    """Checks it as a proposal and proposes nothing: all its legs, with the royalties and the fee of what is paid."""
    terms = await _terms(services, _swaps(services), caller, body)
    return answered({"legs": [leg_json(leg) for leg in terms.legs]})


@router.get("/wallets/swaps", response_model=SwapPage, summary="One's swaps")
async def swaps(services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response:
    """Those that one has proposed, and those that others have proposed to one, the newest first."""
    name = f"swaps {caller.user_id}"
    rows = await _swaps(services).store.page(caller.user_id, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [swap_json(row) for row in rows[:limit]], "next_cursor": following})


@router.get("/wallets/swaps/{swap_id}", response_model=SwapItem, summary="A swap")
async def swap(services: ServicesDep, caller: Reader, swap_id: SwapId) -> Response:
    """For its two users: all its legs, and what to sign."""
    return answered(swap_json((await _own(services, caller, swap_id))[0]))


@router.post("/wallets/swaps/{swap_id}/signatures", response_model=SwapItem, summary="Sign a swap")
async def sign(
    services: ServicesDep, caller: Trader, key: IdempotencyKey, swap_id: SwapId, body: NewSignature
) -> Response:
    """With the wallet that the swap names. When both have signed, the platform signs last, and sends."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        known, place = await _own(services, caller, swap_id)
        if known.message is None:
            raise Problem(SWAP_NOT_READY)
        signature = _verified(known.message, known.wallets[place], body)
        made = await _swaps(services).store.sign(swap_id, caller.user_id, str(signature), services.now_ms())
        return 200, encode(swap_json(_accepted(made)))

    return await idempotent(services, Posted(caller, key, f"sign swap {swap_id} {body.model_dump_json()}"), work)


@router.post("/wallets/swaps/{swap_id}/cancel", response_model=SwapItem, summary="Cancel a swap")
async def cancel(services: ServicesDep, caller: Trader, key: IdempotencyKey, swap_id: SwapId) -> Response:
    """Either user may, until it is sent. Signatures that were given for it are void: its nonce is advanced."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        made = await _swaps(services).store.cancel(swap_id, caller.user_id, services.now_ms())
        return 200, encode(swap_json(_accepted(made)))

    return await idempotent(services, Posted(caller, key, f"cancel swap {swap_id}"), work)


async def _proposed(services: Services, own: SwapServices, caller: Identity, begun: Begun, body: NewSwapBody) -> Swap:
    terms = await _terms(services, own, caller, body)
    expires_at = begun.received_at + body.duration_ms
    new = NewSwap(begun.created_id, terms.users, terms.wallets, terms.legs, expires_at)
    return _accepted(await own.store.propose(new, services.now_ms()))


class _Terms(NamedTuple):
    """Who swaps from which wallets, the proposer first, and what."""

    users: tuple[int, int]
    wallets: tuple[str, str]
    legs: tuple[SwapLeg, ...]


async def _terms(services: Services, own: SwapServices, caller: Identity, body: NewSwapBody) -> _Terms:
    """Raises the problem for which they can't be proposed."""
    counterparty = await user_named(services, body.counterparty)
    if await services.trades.preferences.blocked(caller.user_id, counterparty):
        raise Problem(USER_BLOCKED)
    sides = (
        await _side(own, caller.user_id, body.gives, "gives"),
        await _side(own, counterparty, body.takes, "takes"),
    )
    fault = terms_fault(sides)
    if fault is not None:
        raise Problem(INVALID_TERMS, fault)
    seller = sides[1] if sides[0].pays else sides[0]
    payment = payment_of(sides, await own.store.fee_bp(seller.user))
    owners = {leg.owner for leg in payment.legs} if payment is not None else set()
    addresses = {
        owner: own.treasury if owner == HOUSE else str(await services.wallets.custody.custodial_address(owner))
        for owner in owners - {seller.user}
    }
    legs = legs_of(sides, payment, addresses)
    wallets = (sides[0].wallet, sides[1].wallet)
    try:
        own.builder.check((Pubkey.from_string(wallets[0]), Pubkey.from_string(wallets[1])), legs)
    except TooLarge as fault:
        raise Problem(SWAP_TOO_LARGE) from fault
    except InvalidSwap as fault:
        raise Problem(INVALID_TERMS, str(fault)) from fault
    return _Terms((caller.user_id, counterparty), wallets, tuple(legs))


async def _side(own: SwapServices, user: int, given: Given, place: str) -> Side:
    try:
        copies = tuple(parse_id(copy) for copy in given.copies)
    except InvalidId:
        raise InvalidRequest(INVALID_REQUEST, "copies must be ids of copies") from None
    found = await own.store.side(Offer(user, given.wallet, copies, given.pays), place)
    if isinstance(found, SwapRefusal):
        raise _problem(found)
    return found


def _swaps(services: Services) -> SwapServices:
    if services.wallets.swaps is None:
        raise Problem(NO_CHAIN)
    return services.wallets.swaps


async def _own(services: Services, caller: Identity, swap_id: int) -> tuple[Swap, int]:
    """A swap of the caller, and their place in it."""
    found = await _swaps(services).store.get(swap_id)
    place = None if found is None else found.place_of(caller.user_id)
    if found is None or place is None:
        raise Problem(NOT_FOUND, "you have no such swap")
    return found, place


def _verified(message: bytes, wallet: str, body: NewSignature) -> Signature:
    """The wallet's signature over exactly this message."""
    if (body.signature is None) == (body.transaction is None):
        raise InvalidRequest(INVALID_REQUEST, "either signature or transaction is needed, and not both")
    stored, signer = stored_message(message), Pubkey.from_string(wallet)
    try:
        if body.transaction is not None:
            return stored.verified(signer, b64decode(body.transaction, validate=True))
        signature = Signature.from_string(body.signature or "")
        stored.check(signer, signature)
    except MessageChanged:
        raise Problem(TRANSACTION_CHANGED) from None
    except InvalidSignature:
        raise Problem(SIGNATURE_INVALID, f"this is not a signature of {wallet} over the message") from None
    except (ValueError, binascii.Error):
        raise Problem(
            SIGNATURE_INVALID, "the signature is not base58 of 64 bytes, or the transaction not base64"
        ) from None
    return signature


def _accepted(made: Swap | SwapRefusal) -> Swap:
    if isinstance(made, SwapRefusal):
        raise _problem(made)
    return made


def _problem(refusal: SwapRefusal) -> Problem:
    fields: dict[str, Any] = dict(refusal.fields)
    return Problem(refusal.code, refusal.detail, **fields)
