"""The services of the routes about wallets."""

from dataclasses import dataclass
from typing import Protocol

from solders.pubkey import Pubkey

from chain.transactions.swap_message import SwapBuilder
from chain.wallets.custody import Wallets
from chain.wallets.outside import OutsideDeposits
from gateway.identity.second_factor import SecondFactorCheck
from persistence.wallets.cards import Cards
from persistence.wallets.deposits import Deposits
from persistence.wallets.links import LinkedWallets
from persistence.wallets.swaps import Swaps


class Destinations(Protocol):
    """``chain.wallets.destinations.Destinations``."""

    async def check(self, text: str) -> Pubkey:
        """The address of a wallet outside. Raises InvalidAddress, ChainUnavailable, StoreUnavailable."""


@dataclass(frozen=True)
class SignInSite:
    """What a sign-in message names: this site. ``chain_id`` is the cluster, such as ``solana:mainnet``."""

    domain: str
    uri: str
    chain_id: str | None = None


@dataclass(frozen=True)
class SwapServices:
    """``treasury`` is the address that gets the fees of the house."""

    store: Swaps
    builder: SwapBuilder
    treasury: str


@dataclass(frozen=True)
class WalletServices:
    """Custody, links, the second factor. ``destinations``, ``swaps`` and ``outside`` are None without a chain."""

    custody: Wallets
    links: LinkedWallets
    second_factor: SecondFactorCheck
    site: SignInSite
    deposits: Deposits
    cards: Cards
    destinations: Destinations | None = None
    # The mint of USDC, base58; None: no money moves on chain.
    usdc_mint: str | None = None
    swaps: SwapServices | None = None
    outside: OutsideDeposits | None = None
