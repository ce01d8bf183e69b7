"""Custodial wallets: one ed25519 key for each user, made at the first use and encrypted at rest."""

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.signing import LocalSigner, Signer
from chain.wallets.cipher import CannotDecrypt, KeyCipher
from domain.wallets.custody import CustodialWallet

SEED_BYTES = 32
ADDRESSES_CACHED_MAX = 10_000
_CONTEXT = b"ece-custodial-wallet-v1\0"


class NoCustodialWallet(Exception):
    """This user has no custodial wallet yet, so there is nothing to sign with."""


KeyFault = NoCustodialWallet | CannotDecrypt


class CustodialRows(Protocol):
    """``persistence.wallets.custody.CustodialWallets``. May raise StoreUnavailable."""

    async def of(self, users: Sequence[int]) -> Mapping[int, CustodialWallet]:
        """The wallets of these users; who has none is not in the result."""

    async def add(self, wallets: Sequence[CustodialWallet]) -> Mapping[int, CustodialWallet]:
        """Store these, each unless its user has one; returns the stored ones."""


class Wallets:
    """The custodial wallets of users."""

    def __init__(self, rows: CustodialRows, cipher: KeyCipher) -> None:
        self._rows = rows
        self._cipher = cipher
        self._addresses: OrderedDict[int, Pubkey] = OrderedDict()

    async def custodial_address(self, user: int) -> Pubkey:
        """The address of the user's wallet, made at the first use. Raises StoreUnavailable."""
        return (await self.custodial_addresses([user]))[user]

    async def custodial_addresses(self, users: Sequence[int]) -> dict[int, Pubkey]:
        """The addresses of these users' wallets, made where missing. Raises StoreUnavailable."""
        wanted = set(users)
        found = {user: self._addresses[user] for user in wanted if user in self._addresses}
        missing = sorted(wanted - found.keys())
        if missing:
            stored = dict(await self._rows.of(missing))
            new = [self._made(user) for user in missing if user not in stored]
            if new:
                stored |= await self._rows.add(new)
            found |= {user: Pubkey.from_string(wallet.address) for user, wallet in stored.items()}
        for user, address in found.items():
            self._addresses[user] = address
            self._addresses.move_to_end(user)
        while len(self._addresses) > ADDRESSES_CACHED_MAX:
            self._addresses.popitem(last=False)
        return found

    async def signer(self, user: int) -> Signer:
        """The key of the user's wallet. Raises StoreUnavailable, NoCustodialWallet, CannotDecrypt."""
        found = (await self.signers([user]))[user]
        if isinstance(found, Exception):
            raise found
        return found

    async def signers(self, users: Sequence[int]) -> dict[int, Signer | KeyFault]:
        """The keys of these users' wallets, or why there is none. Raises StoreUnavailable."""
        wallets = await self._rows.of(users)
        return {user: self._signer(user, wallets.get(user)) for user in users}

    def _signer(self, user: int, wallet: CustodialWallet | None) -> Signer | KeyFault:
        if wallet is None:
            return NoCustodialWallet(f"user {user} has no custodial wallet")
        try:
            return LocalSigner(opened(wallet, self._cipher))
        except CannotDecrypt as fault:
            return fault

    def _made(self, user: int) -> CustodialWallet:
        seed = os.urandom(SEED_BYTES)
        return sealed_wallet(user, Keypair.from_seed(seed), seed, self._cipher)


def opened(wallet: CustodialWallet, cipher: KeyCipher) -> Keypair:
    """The keypair of a stored wallet. Raises CannotDecrypt, also if the key is not that of the address."""
    address = Pubkey.from_string(wallet.address)
    seed = cipher.open(wallet.key_id, wallet.sealed, wallet_context(wallet.user, wallet.address))
    keypair = Keypair.from_seed(seed)
    if keypair.pubkey() != address:
        raise CannotDecrypt(f"the stored key is not that of {address}")
    return keypair


def sealed_wallet(user: int, keypair: Keypair, seed: bytes, cipher: KeyCipher) -> CustodialWallet:
    """The wallet as it is stored."""
    sealed = cipher.seal(seed, wallet_context(user, str(keypair.pubkey())))
    return CustodialWallet(user, str(keypair.pubkey()), sealed.key_id, sealed.sealed)


def wallet_context(user: int, address: str) -> bytes:
    """Whose key it is: it decrypts with the same only."""
    return _CONTEXT + user.to_bytes(8, "big") + bytes(Pubkey.from_string(address))
