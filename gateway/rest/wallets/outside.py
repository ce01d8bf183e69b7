"""Deposits that an outside wallet signs: a transaction is prepared here, signed there, and sent from here."""

import base64
import binascii
from typing import Any

from solders.pubkey import Pubkey
from starlette.responses import Response

from chain.standards.registry import STANDARDS
from chain.transactions.cosigned import CosignRefused, MessageChanged
from chain.transactions.deposit import DepositLeg, signed_deposit
from chain.transactions.swap import AssetLeg, TokenLeg
from chain.wallets.outside import OutsideDeposits, WalletShort
from domain.errors import INVALID_REQUEST, NO_CHAIN, SIGNATURE_INVALID, TRANSACTION_CHANGED, WALLET_SHORT
from domain.ledger.currencies import USDC
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.answers import answered
from gateway.rest.callers import Depositor
from gateway.rest.idempotency import InvalidRequest
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import parsed
from gateway.rest.services import Services, ServicesDep
from gateway.rest.wallets.outside_bodies import (
    OutsideDeposit,
    PreparedDepositItem,
    SentDepositItem,
    SignedOutsideDeposit,
)
from persistence.wallets.swap_rows import SwapRefusal
from persistence.wallets.swaps import Offer

router = api_router("wallets")


@router.post(
    "/wallets/deposits/transactions", response_model=PreparedDepositItem, summary="Prepare a deposit from a wallet"
)
async def prepare(services: ServicesDep, caller: Depositor, body: OutsideDeposit) -> Response:
    """The transaction for a linked wallet to sign. It changes nothing, and can land for about a minute."""
    chain = _chain(services)
    leg = await _leg(services, caller, body, held=True)
    try:
        made = await chain.prepare(leg)
    except WalletShort as fault:
        fields: dict[str, Any] = {"currency": fault.currency, "available": fault.available, "required": fault.required}
        raise Problem(WALLET_SHORT, **fields) from None
    return answered({
        "wallet": body.wallet,
        "destination": str(leg.taker),
        "transaction": base64.b64encode(made.transaction).decode(),
        "fee": made.fee,
        "rent": made.rent,
        "chain": await chain.public_name() or services.wallets.site.chain_id,
    })  # fmt: skip


@router.post(
    "/wallets/deposits/send", response_model=SentDepositItem, summary="Send a deposit that a wallet has signed"
)
async def send(services: ServicesDep, caller: Depositor, body: SignedOutsideDeposit) -> Response:
    """Nothing but a deposit of this user is sent. Send it again every few seconds until its state is an end.

    The same bytes land once, so it takes no key. What is final is credited like any other deposit.
    """
    chain = _chain(services)
    # The card may be here already: how its transaction stands is asked until it is final.
    leg = await _leg(services, caller, body, held=False)
    try:
        signed = signed_deposit(leg, base64.b64decode(body.transaction, validate=True))
    except (MessageChanged, binascii.Error):
        raise Problem(TRANSACTION_CHANGED) from None
    except CosignRefused:
        raise Problem(SIGNATURE_INVALID, f"this is not a signature of {body.wallet} over the transaction") from None
    sent = await chain.send(signed)
    return answered({"signature": str(signed.signature), "state": sent.state, "reason": sent.reason})


def _chain(services: Services) -> OutsideDeposits:
    if services.wallets.outside is None or services.wallets.swaps is None:
        raise Problem(NO_CHAIN)
    return services.wallets.outside


async def _leg(services: Services, caller: Identity, body: OutsideDeposit, *, held: bool) -> DepositLeg:
    """What is sent, from a linked wallet to the caller's custodial one: nowhere else."""
    own = services.wallets
    assert own.swaps is not None, "there is a chain"
    if (body.amount is None) == (body.copy_id is None):
        raise InvalidRequest(INVALID_REQUEST, "either amount or copy is needed, and not both")
    copies = () if body.copy_id is None else (parsed(body.copy_id, "copy"),)
    side = await own.swaps.store.side(Offer(caller.user_id, body.wallet, copies, 0), "wallet", held=held)
    if isinstance(side, SwapRefusal):
        refused: dict[str, Any] = dict(side.fields)
        raise Problem(side.code, side.detail, **refused)
    giver, taker = Pubkey.from_string(body.wallet), await own.custody.custodial_address(caller.user_id)
    for card in side.copies:
        collection = None if card.collection is None else Pubkey.from_string(card.collection)
        return AssetLeg(STANDARDS[card.standard], Pubkey.from_string(card.asset), collection, giver, taker)
    if own.usdc_mint is None or body.amount is None:
        raise Problem(NO_CHAIN)
    return TokenLeg(Pubkey.from_string(own.usdc_mint), USDC.decimals, giver, taker, body.amount)
