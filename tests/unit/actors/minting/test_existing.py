"""What a job creates is there once its account has data: anybody can send SOL to its address before."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from actors.minting.kinds.collection import CreateCollection
from actors.minting.kinds.existing import Existence, existing
from actors.minting.kinds.kind import Finished, Kind, Ready
from actors.minting.kinds.mint import AssetDocument, MintCopies
from actors.minting.kinds.nonces import CreateNonces
from chain.bundle import Bundle
from chain.programs.paid_address import at_paid_address
from chain.rpc.answers import Accounts, AccountState
from chain.standards.standard import AssetTerms, CollectionTerms
from chain.standards.token_2022 import Token2022
from chain.transactions.nonce import NONCE_BYTES, create_nonce, nonce_address
from persistence.chain.rows import ChainJob
from persistence.minting.assets import Collection, CopyToMint, SetToCreate
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

    async def minimum_balance(self, size: int) -> int:
        return self._svm.rent(size)

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


def collection(svm: Svm) -> Bundle:
    terms = CollectionTerms("Base Set", "BASE", "ipfs://set", 3)
    rents = {size: svm.rent(size) for size in [STANDARD.collection_bytes(terms)]}
    return STANDARD.create_collection(svm.payer.pubkey(), svm.authority.pubkey(), KEY, terms, rents)


def nonce(svm: Svm) -> Bundle:
    authority = svm.authority.pubkey()
    return create_nonce(svm.payer.pubkey(), authority, KEY, authority, svm.rent(NONCE_BYTES))


def send_sol(svm: Svm, address: Pubkey) -> None:
    stranger = svm.funded()
    sent = transfer(TransferParams(from_pubkey=stranger.pubkey(), to_pubkey=address, lamports=svm.rent(0)))
    svm.run([Bundle((sent,), frozenset([stranger.pubkey()]), 1, 1_000)], stranger)


def address_of(svm: Svm, create: Any) -> Pubkey:
    find = {mint: STANDARD.asset_address, collection: STANDARD.collection_address, nonce: nonce_address}
    return find[create](svm.authority.pubkey(), KEY)


@pytest.mark.parametrize("create", [mint, collection, nonce])
async def test_sol_that_a_stranger_sent_is_not_what_was_to_be_created_and_does_not_prevent_it(create: Any):
    svm = Svm()
    address = address_of(svm, create)
    assert await states(svm, address) == [Existence.NO]
    send_sol(svm, address)
    with pytest.raises(Failed):
        svm.run([create(svm)])
    assert await states(svm, address) == [Existence.PAID]
    bundle = at_paid_address(create(svm))
    assert svm.run([bundle]) <= bundle.compute_units
    assert await states(svm, address) == [Existence.FOR_GOOD]


class Assets:
    """A copy that is to be minted, and its set, whose collection ``group`` is there."""

    def __init__(self, group: Pubkey) -> None:
        self._group = group

    async def copies_of(self, jobs: Sequence[int]) -> dict[int, CopyToMint]:
        return {job: CopyToMint(job, 7, STANDARD.name, 1, 5, None, None) for job in jobs}

    async def sets_of(self, jobs: Sequence[int]) -> dict[int, SetToCreate]:
        return {job: SetToCreate(job, 5, "base", "Base Set", STANDARD.name, 3, 3, None, None) for job in jobs}

    async def collections(self, sets: Sequence[int], standard: str) -> dict[int, Collection]:
        return {5: Collection(str(self._group), final=True, failed=False)}


async def test_jobs_of_all_kinds_are_done_at_addresses_with_sol():
    svm = Svm()
    payer, authority = svm.payer.pubkey(), svm.authority.pubkey()
    group = STANDARD.collection_address(authority, KEY)
    parts: Any = Assets(group), Rpc(svm), authority

    async def collection_document(_: SetToCreate) -> tuple[str, str, str]:
        return "Base Set", "BASE", "ipfs://set"

    async def wallets(users: Sequence[int]) -> dict[int, Pubkey]:
        return {user: Keypair().pubkey() for user in users}

    async def documents(copies: Sequence[int]) -> dict[int, AssetDocument]:
        return {copy: AssetDocument("Card #1", "BASE", "ipfs://card", 500) for copy in copies}

    kinds: list[Kind] = [
        CreateNonces(parts[1], authority),
        CreateCollection(*parts, collection_document),
        MintCopies(*parts, wallets, documents, lambda _: None),
    ]
    for address in (nonce_address(authority, KEY), group, STANDARD.asset_address(authority, KEY)):
        send_sol(svm, address)
    tried = ChainJob(1, "any", KEY, b"", 1, 1, 64, None, uuid.uuid4())
    for kind in kinds:
        [ready] = await kind.prepare([tried], payer)
        assert isinstance(ready, Ready)
        svm.run([ready.bundle])
        [found] = await kind.prepare([tried], payer)
        assert found == Finished(tried, SLOT)


async def test_what_was_created_is_there_for_good_or_newly():
    svm = Svm()
    authority = svm.authority.pubkey()
    asset, address = STANDARD.asset_address(authority, KEY), nonce_address(authority, KEY)
    svm.run([mint(svm), nonce(svm)])
    assert await states(svm, asset, address) == [Existence.FOR_GOOD, Existence.FOR_GOOD]
    other = STANDARD.asset_address(authority, "2")
    newer = {other: AccountState(1, STANDARD.program, b"\0")}
    assert await states(svm, other, newer=newer) == [Existence.NEWLY]
