"""A swap that a key of the platform does not sign: other jobs of the claim go on."""

import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from actors.minting.kinds.kind import NotYet, Prepared, Unfit
from actors.minting.kinds.swaps import RESEND_MS, SIGNER_MS, SendSwaps
from chain.signing import LocalSigner, Signer, SignerRefused, SignerUnavailable
from chain.standards.token_2022 import Token2022
from chain.transactions.building import Fee
from chain.transactions.cosigned import CosignedMessage, cosigned_message
from chain.transactions.nonce import Nonce, NonceAccount
from chain.transactions.swap import AssetLeg, swap
from domain.ids import id_text
from persistence.chain.rows import ChainJob
from persistence.wallets.swap_rows import SEND_SWAP
from persistence.wallets.swap_sending import ToSend

SWAP, NOW = 9, 1_000
ANN, BOB, PAYER, AUTHORITY = (Keypair() for _ in range(4))
JOB = ChainJob(1, SEND_SWAP, id_text(SWAP), b"", 0, 0, 64, None, uuid.uuid4())


class Fails:
    """The authority's signer."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    @property
    def address(self) -> Pubkey:
        return AUTHORITY.pubkey()

    async def sign(self, message: bytes) -> Signature:
        raise self._fault


class Swaps:
    """The database, and the chain: a swap that both have signed."""

    def __init__(self) -> None:
        self.sent_bytes: list[bytes] = []
        message = _message()
        signatures = {str(one.pubkey()): str(one.sign_message(message.message)) for one in (ANN, BOB)}
        self._swap = ToSend(
            SWAP, "signed", message.message, str(PAYER.pubkey()), signatures, "nonce", "value", None, None, None
        )

    async def to_send(self, swaps: Sequence[int]) -> dict[int, ToSend]:
        return {SWAP: self._swap}

    async def sent(self, swap: int, raw: bytes, signature: str, now_ms: int) -> bool:
        return True

    async def send(self, raw: bytes) -> None:
        self.sent_bytes.append(raw)


def _message() -> CosignedMessage:
    ann, bob, payer = ANN.pubkey(), BOB.pubkey(), PAYER.pubkey()
    legs = [AssetLeg(Token2022(), Keypair().pubkey(), None, ann, bob)]
    nonce = Nonce(Keypair().pubkey(), NonceAccount(AUTHORITY.pubkey(), Hash.default()))
    return cosigned_message(payer, [swap(payer, (ann, bob), legs, 0)], nonce, Fee(100_000), 0)


async def prepared(authority: Signer) -> tuple[list[Prepared], int]:
    """What becomes of the job, and how many transactions were sent."""
    parts: Any = Swaps()
    kind = SendSwaps(parts, parts, lambda: [authority, LocalSigner(PAYER)], lambda: NOW)
    return await kind.prepare([JOB], PAYER.pubkey()), len(parts.sent_bytes)


async def test_one_that_all_sign_is_sent():
    assert await prepared(LocalSigner(AUTHORITY)) == ([NotYet(JOB, RESEND_MS)], 1)


@pytest.mark.parametrize(
    ("fault", "becomes"),
    [
        (SignerRefused("the policy"), Unfit(JOB, "the policy")),
        (SignerUnavailable("out", AUTHORITY.pubkey()), NotYet(JOB, SIGNER_MS)),
    ],
)
async def test_one_that_is_not_signed_is_not_sent_and_raises_nothing(fault: Exception, becomes: Prepared):
    assert await prepared(Fails(fault)) == ([becomes], 0)
