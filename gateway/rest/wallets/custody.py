"""What moves between custody and the chain: deposits of money, withdrawals of cards."""

from typing import Annotated

import msgspec
from fastapi import Query
from starlette.responses import Response

from domain.errors import NO_CHAIN
from domain.ids import id_text
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.callers import FreshSecondFactor, IdempotencyKey, Reader, Withdrawer
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import CopyId
from gateway.rest.services import ServicesDep
from gateway.rest.wallets.bodies import (
    CardDestination,
    CardWithdrawalItem,
    CardWithdrawalPage,
    DepositPage,
    card_withdrawal_json,
    deposit_json,
)
from gateway.rest.wallets.destinations import check_destination
from persistence.postgres.idempotency import Begun
from persistence.wallets.cards import CardRefusal, NewCardWithdrawal
from persistence.wallets.deposits import PAGE_MAX

PAGE_DEFAULT = 50

router = api_router("wallets")
encode = msgspec.json.encode

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


@router.get("/wallets/deposits", response_model=DepositPage, summary="One's deposits on chain")
async def deposits(
    services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """Those that are final and in the ledger, the newest first."""
    name = f"deposits {caller.user_id}"
    rows = await services.wallets.deposits.page(caller.user_id, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [deposit_json(row) for row in rows[:limit]], "next_cursor": following})


@router.post(
    "/wallets/cards/{copy_id}/withdraw",
    status_code=201,
    response_model=CardWithdrawalItem,
    summary="Send a card to an outside wallet",
)
async def withdraw_card(
    services: ServicesDep,
    caller: Withdrawer,
    _fresh: FreshSecondFactor,
    key: IdempotencyKey,
    copy: CopyId,
    body: CardDestination,
) -> Response:
    """A free, minted copy. Its place is `withdrawn` until the card is sent back to a custodial wallet."""

    async def work(begun: Begun) -> tuple[int, bytes]:
        own = services.wallets
        if own.destinations is None:
            raise Problem(NO_CHAIN)
        if await own.cards.get(begun.created_id) is None:
            await check_destination(services, body.address)
        wanted = NewCardWithdrawal(begun.created_id, copy, caller.user_id, body.address)
        made = await own.cards.withdraw(wanted, services.now_ms())
        if isinstance(made, CardRefusal):
            raise Problem(made.code, copy=id_text(made.copy))
        return 201, encode(card_withdrawal_json(made))

    return await idempotent(services, Posted(caller, key, f"withdraw card {copy} {body.address}"), work)


@router.get("/wallets/cards/withdrawals", response_model=CardWithdrawalPage, summary="One's withdrawals of cards")
async def card_withdrawals(
    services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """The newest first."""
    name = f"card withdrawals {caller.user_id}"
    rows = await services.wallets.cards.page(caller.user_id, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [card_withdrawal_json(row) for row in rows[:limit]], "next_cursor": following})
