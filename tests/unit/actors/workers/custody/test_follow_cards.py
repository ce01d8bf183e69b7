"""A card is back in custody where custody can move it on: on an SVM, with tokens in accounts of all kinds."""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account

from actors.workers.custody.card_deposits import FollowCards
from chain.bundle import Bundle
from chain.programs.addresses import TOKEN_2022, token_account_of
from chain.programs.tokens import ACCOUNT_BYTES, transfer_checked
from chain.rpc.answers import Accounts, AccountState
from chain.standards.standard import AssetTerms
from chain.standards.token_2022 import Token2022
from chain.wallets.reads import CardsOnChain
from persistence.wallets.cards import CardArrival, WithdrawnCard
from tests.svm import Failed, Svm

SLOT, NOW, COPY, BOB = 50, 1_000, 7, 2
STANDARD = Token2022()
_INITIALIZE_ACCOUNT = 18


class Scene:
    """A card outside, and bob's custodial wallet; database and RPC server at once."""

    def __init__(self) -> None:
        self.svm = Svm()
        self.sender, self.custodial = self.svm.funded(), self.svm.funded()
        terms = AssetTerms("Card #1", "BASE", "ipfs://card")
        rents = {size: self.svm.rent(size) for size in [STANDARD.asset_bytes(terms)]}
        payer, authority = self.svm.payer.pubkey(), self.svm.authority.pubkey()
        self.svm.run([STANDARD.mint(payer, authority, "1", self.sender.pubkey(), terms, rents)])
        self.asset = STANDARD.asset_address(authority, "1")
        self.account = token_account_of(self.sender.pubkey(), self.asset, TOKEN_2022)
        self.recorded: list[CardArrival] = []

    def transfer(self, giver: Keypair, to: Pubkey) -> None:
        """As a wallet does it, and custody."""
        move = STANDARD.transfer(self.svm.payer.pubkey(), self.asset, None, giver.pubkey(), to)
        self.svm.run([move], giver)
        self.account = token_account_of(to, self.asset, TOKEN_2022)

    def transfer_beside(self, owner: Pubkey) -> None:
        """To a new token account of this owner, which is not its associated one."""
        account, sender = Keypair(), self.sender.pubkey()
        create = create_account(
            CreateAccountParams(
                from_pubkey=self.svm.payer.pubkey(), to_pubkey=account.pubkey(), owner=TOKEN_2022,
                lamports=self.svm.rent(ACCOUNT_BYTES), space=ACCOUNT_BYTES,
            )
        )  # fmt: skip
        accounts = [AccountMeta(account.pubkey(), False, True), AccountMeta(self.asset, False, False)]
        begin = Instruction(TOKEN_2022, struct.pack("<B32s", _INITIALIZE_ACCOUNT, bytes(owner)), accounts)
        give = transfer_checked(self.account, self.asset, account.pubkey(), sender, 1, 0, TOKEN_2022)
        self.svm.run(
            [Bundle((create, begin, give), frozenset([account.pubkey(), sender]), 3, 50_000)], account, self.sender
        )
        self.account = account.pubkey()

    async def follow(self) -> list[CardArrival]:
        parts: Any = self
        await FollowCards(parts, parts, CardsOnChain(parts), lambda: NOW).run([])
        return self.recorded

    # The database

    async def outside(self, after_copy: int, limit: int) -> list[WithdrawnCard]:
        return [WithdrawnCard(COPY, str(self.asset), STANDARD.name)]

    async def users_of(self, addresses: Sequence[str]) -> dict[str, int]:
        return {address: BOB for address in addresses if address == str(self.custodial.pubkey())}

    async def arrived(self, arrivals: Sequence[CardArrival], now_ms: int) -> list[int]:
        self.recorded += arrivals
        return []

    # The RPC server

    async def accounts(
        self, addresses: Sequence[Pubkey], *, commitment: str, data_slice: tuple[int, int] = (0, 1_000)
    ) -> Accounts:
        first, length = data_slice
        found = [self.svm.svm.get_account(address) for address in addresses]
        states = [one and AccountState(one.lamports, one.owner, bytes(one.data)[first:][:length]) for one in found]
        return Accounts(SLOT, states)

    async def call(self, method: str, params: Any, kind: Any) -> Any:
        assert method == "getTokenLargestAccounts"
        largest = {"address": str(self.account), "amount": "1"}
        return msgspec.convert({"context": {"slot": SLOT}, "value": [largest]}, kind)


async def test_a_card_in_the_account_of_transfers_is_back_and_can_be_moved_on():
    scene = Scene()
    assert await scene.follow() == []
    scene.transfer(scene.sender, scene.custodial.pubkey())
    assert await scene.follow() == [CardArrival(COPY, str(scene.custodial.pubkey()), SLOT)]
    scene.transfer(scene.custodial, Keypair().pubkey())


async def test_a_card_in_another_account_of_the_wallet_stays_withdrawn_since_nobody_could_get_it():
    scene = Scene()
    scene.transfer_beside(scene.custodial.pubkey())
    with pytest.raises(Failed):
        scene.transfer(scene.custodial, Keypair().pubkey())
    assert await scene.follow() == []
