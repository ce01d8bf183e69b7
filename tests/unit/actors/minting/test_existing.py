"""What a job creates is there once its account has data: anybody can send SOL to its address before."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from actors.minting.kinds.existing import Existence, existing
from chain.bundle import Bundle
from chain.rpc.answers import Accounts, AccountState
from chain.standards.standard import AssetTerms
from chain.standards.token_2022 import Token2022
from chain.transactions.nonce import NONCE_BYTES, create_nonce, nonce_address
from tests.svm import Failed, Svm

SLOT, STANDARD = 50, Token2022()
KEY = "1"


class Rpc:
    """Accounts of an SVM, all of them final, or those of ``newer``, which are not."""

    def __init__(self, svm: Svm, newer: Mapping[Pubkey, AccountState] | None = None) -> None:
        self._svm = svm
        self._newer = newer or {}

    async def accounts(
        self, addresses: Sequence[Pubkey], *, commitment: str = "confirmed", data_slice: tuple[int, int]
    ) -> Accounts:
        newer = self._newer if commitment == "confirmed" else {}
        return Accounts(SLOT, [newer.get(one) or self._final(one, data_slice) for one in addresses])

    def _final(self, address: Pubkey, data_slice: tuple[int, int]) -> AccountState | None:
        account = self._svm.svm.get_account(address)
        if account is None:
            return None
        first, length = data_slice
        return AccountState(account.lamports, account.owner, bytes(account.data)[first : first + length])


async def states(svm: Svm, *addresses: Pubkey, newer: Mapping[Pubkey, AccountState] | None = None) -> list[Existence]:
    rpc: Any = Rpc(svm, newer)
    found, slot = await existing(rpc, addresses)
    assert slot == SLOT
    return found


def mint(svm: Svm) -> Bundle:
    terms = AssetTerms("Card #1", "BASE", "ipfs://card")
    rents = {size: svm.rent(size) for size in [STANDARD.asset_bytes(terms)]}
    return STANDARD.mint(svm.payer.pubkey(), svm.authority.pubkey(), KEY, Keypair().pubkey(), terms, rents)


def nonce(svm: Svm) -> Bundle:
    authority = svm.authority.pubkey()
    return create_nonce(svm.payer.pubkey(), authority, KEY, authority, svm.rent(NONCE_BYTES))


def send_sol(svm: Svm, address: Pubkey) -> None:
    stranger = svm.funded()
    sent = transfer(TransferParams(from_pubkey=stranger.pubkey(), to_pubkey=address, lamports=svm.rent(0)))
    svm.run([Bundle((sent,), frozenset([stranger.pubkey()]), 1, 1_000)], stranger)


@pytest.mark.parametrize("create", [mint, nonce])
async def test_sol_that_a_stranger_sent_is_not_what_was_to_be_created(create: Any):
    svm = Svm()
    authority = svm.authority.pubkey()
    address = STANDARD.asset_address(authority, KEY) if create is mint else nonce_address(authority, KEY)
    assert await states(svm, address) == [Existence.NO]
    send_sol(svm, address)
    with pytest.raises(Failed):
        svm.run([create(svm)])
    assert await states(svm, address) == [Existence.NO]


async def test_what_was_created_is_there_for_good_or_newly():
    svm = Svm()
    authority = svm.authority.pubkey()
    asset, address = STANDARD.asset_address(authority, KEY), nonce_address(authority, KEY)
    svm.run([mint(svm), nonce(svm)])
    assert await states(svm, asset, address) == [Existence.FOR_GOOD, Existence.FOR_GOOD]
    other = STANDARD.asset_address(authority, "2")
    newer = {other: AccountState(1, STANDARD.program, b"\0")}
    assert await states(svm, other, newer=newer) == [Existence.NEWLY]
