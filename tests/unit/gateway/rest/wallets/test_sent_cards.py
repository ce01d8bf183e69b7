"""How a card that a wallet sent into custody stands can be asked also when it has arrived."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from solders.hash import Hash
from solders.keypair import Keypair

from chain.standards.token_2022 import Token2022
from chain.transactions.cosigned import stored_message
from chain.transactions.deposit import SignedDeposit, deposit_message
from chain.transactions.swap import AssetLeg
from chain.wallets.outside import SentDeposit
from domain.ids import id_text
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.wallets.outside import prepare, send
from gateway.rest.wallets.outside_bodies import OutsideDeposit, SignedOutsideDeposit
from persistence.wallets.swaps import Swaps

ANN, COPY = 1, 7
WALLET, CUSTODIAL, ASSET = Keypair(), Keypair().pubkey(), Keypair().pubkey()
CALLER = Identity(ANN, "ann", frozenset(), 2_000, "session")
CARD = {"wallet": str(WALLET.pubkey()), "copy": id_text(COPY)}


class Rows:
    """The database: the wallet is ann's, and ``holder`` has her card."""

    def __init__(self, holder: str) -> None:
        self._holder = holder

    async def fetchval(self, *_: Any) -> bool:
        return True

    async def fetch(self, *_: Any) -> list[tuple[Any, ...]]:
        return [(COPY, 5, ANN, True, str(ASSET), "token-2022", None, self._holder, "[]")]


class Chain:
    """The transaction is final."""

    async def send(self, signed: SignedDeposit) -> SentDeposit:
        return SentDeposit("final")


def services(holder: str) -> Any:
    async def address(_: int) -> Any:
        return CUSTODIAL

    swaps = SimpleNamespace(store=Swaps(Rows(holder)))  # type: ignore[arg-type]
    custody = SimpleNamespace(custodial_address=address)
    return SimpleNamespace(wallets=SimpleNamespace(swaps=swaps, custody=custody, outside=Chain(), usdc_mint=None))


def signed_card() -> SignedOutsideDeposit:
    leg = AssetLeg(Token2022(), ASSET, None, WALLET.pubkey(), CUSTODIAL)
    message = deposit_message(leg, Hash.default(), 0).message
    raw = stored_message(message).assembled({WALLET.pubkey(): WALLET.sign_message(message)})
    return SignedOutsideDeposit(**CARD, transaction=base64.b64encode(raw).decode())


@pytest.mark.parametrize("holder", [WALLET.pubkey(), CUSTODIAL])
async def test_it_is_final_before_and_after_the_card_is_free_again(holder: Any):
    answer = await send(services(str(holder)), CALLER, signed_card())
    assert json.loads(bytes(answer.body))["state"] == "final"


async def test_a_card_that_the_wallet_does_not_have_is_not_prepared():
    with pytest.raises(Problem) as refused:
        await prepare(services(str(CUSTODIAL)), CALLER, OutsideDeposit(**CARD))
    assert refused.value.code == "not_in_wallet"
