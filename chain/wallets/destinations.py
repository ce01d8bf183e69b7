"""Checks of an address before anything is sent there: what the text says, whose it is, and what the chain says."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from solders.pubkey import Pubkey

from chain.wallets.addresses import InvalidAddress, Reason, wallet_address

SYSTEM_PROGRAM = Pubkey.default()
_LOADERS = frozenset(
    Pubkey.from_string(text)
    for text in (
        "BPFLoader1111111111111111111111111111111111",
        "BPFLoader2111111111111111111111111111111111",
        "BPFLoaderUpgradeab1e11111111111111111111111",
        "LoaderV411111111111111111111111111111111111",
        "NativeLoader1111111111111111111111111111111",
    )
)
_TOKEN_PROGRAMS = frozenset(
    Pubkey.from_string(text)
    for text in (
        "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb",
    )
)
_MINT_BYTES = 82
# Extensions follow a byte that says what the account is: 1 a mint, 2 a token account.
_KIND_AT, _KIND_MINT = 165, 1


class KnownAccount(Protocol):
    """What the chain has at an address."""

    @property
    def owner(self) -> Pubkey: ...
    @property
    def data(self) -> bytes: ...


class AccountReader(Protocol):
    """Reads accounts. May raise ChainUnavailable."""

    async def account(self, address: Pubkey) -> KnownAccount | None:
        """The account at this address; None if there is none, as for a wallet that never got anything."""


class CustodialAddresses(Protocol):
    """``persistence.wallets.custody.CustodialWallets``. May raise StoreUnavailable."""

    async def users_of(self, addresses: Sequence[str]) -> Mapping[str, int]: ...


class Destinations:
    """``own``: the addresses of the platform's keys; ``mints``: those of currencies."""

    def __init__(
        self, own: Collection[Pubkey], mints: Collection[Pubkey], custodial: CustodialAddresses, chain: AccountReader
    ) -> None:
        self._own = frozenset(own)
        self._mints = frozenset(mints)
        self._custodial = custodial
        self._chain = chain

    async def check(self, text: str) -> Pubkey:
        """The address of a wallet outside. Raises InvalidAddress, ChainUnavailable, StoreUnavailable."""
        address = wallet_address(text, self._own, self._mints)
        if await self._custodial.users_of([text]):
            raise InvalidAddress(Reason.OWN)
        account = await self._chain.account(address)
        if account is not None and account.owner != SYSTEM_PROGRAM:
            raise InvalidAddress(_reason(account))
        return address


def _reason(account: KnownAccount) -> Reason:
    if account.owner in _LOADERS:
        return Reason.PROGRAM
    if account.owner not in _TOKEN_PROGRAMS:
        return Reason.OTHER_ACCOUNT
    data = account.data
    is_mint = len(data) == _MINT_BYTES or (len(data) > _KIND_AT and data[_KIND_AT] == _KIND_MINT)
    return Reason.MINT if is_mint else Reason.TOKEN_ACCOUNT
