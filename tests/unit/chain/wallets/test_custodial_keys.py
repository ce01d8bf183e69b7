import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from solders.keypair import Keypair

from chain.wallets.cipher import CannotDecrypt, KeyCipher
from chain.wallets.custody import NoCustodialWallet, Wallets, opened, sealed_wallet
from domain.wallets.custody import CustodialWallet

SECRET = "s" * 40


class Rows:
    """In memory; the first wallet of a user stays."""

    def __init__(self) -> None:
        self.stored: dict[int, CustodialWallet] = {}
        self.reads = 0

    async def of(self, users: Sequence[int]) -> Mapping[int, CustodialWallet]:
        self.reads += 1
        await asyncio.sleep(0)
        return {user: self.stored[user] for user in users if user in self.stored}

    async def add(self, wallets: Sequence[CustodialWallet]) -> Mapping[int, CustodialWallet]:
        for wallet in wallets:
            self.stored.setdefault(wallet.user, wallet)
        return await self.of([wallet.user for wallet in wallets])


def cipher() -> KeyCipher:
    return KeyCipher(lambda: [SECRET])


async def test_a_wallet_is_made_once_and_signs_for_its_address():
    rows = Rows()
    wallets = Wallets(rows, cipher())
    address = await wallets.custodial_address(7)
    signer = await Wallets(rows, cipher()).signer(7)
    assert signer.address == address == await Wallets(rows, cipher()).custodial_address(7)
    assert (await signer.sign(b"message")).verify(address, b"message")


async def test_of_two_processes_that_make_a_wallet_at_once_both_give_the_stored_one():
    rows = Rows()
    addresses = await asyncio.gather(*(Wallets(rows, cipher()).custodial_address(7) for _ in range(5)))
    assert len(set(addresses)) == 1
    assert len(rows.stored) == 1


async def test_addresses_of_many_users_take_one_look_up():
    rows = Rows()
    wallets = Wallets(rows, cipher())
    first = await wallets.custodial_addresses([1, 2, 3, 2])
    reads = rows.reads
    assert await wallets.custodial_addresses([3, 2, 1]) == first
    assert rows.reads == reads
    assert len(set(first.values())) == 3


async def test_without_a_wallet_nothing_is_signed():
    with pytest.raises(NoCustodialWallet):
        await Wallets(Rows(), cipher()).signer(7)


def test_a_key_opens_for_its_user_and_address_only():
    pair = Keypair()
    wallet = sealed_wallet(7, pair, pair.secret(), cipher())
    assert opened(wallet, cipher()) == pair
    for changed in ({"user": 8}, {"address": str(Keypair().pubkey())}):
        with pytest.raises(CannotDecrypt):
            opened(msgspec.structs.replace(wallet, **changed), cipher())


def test_a_key_that_is_not_of_the_address_is_refused():
    pair, other = Keypair(), Keypair()
    with pytest.raises(CannotDecrypt):
        opened(sealed_wallet(7, pair, other.secret(), cipher()), cipher())


def test_nothing_shows_the_sealed_key():
    pair = Keypair()
    wallet = sealed_wallet(7, pair, pair.secret(), cipher())
    assert repr(wallet) == str(wallet) == f"CustodialWallet(user=7, address={pair.pubkey()}, key_id={wallet.key_id})"
