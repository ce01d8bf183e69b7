"""What a gateway's routes about wallets need."""

from urllib.parse import urlsplit

from solders.pubkey import Pubkey

from chain.rpc.client import ChainRpc
from chain.transactions.swap_message import LOCAL_VERSIONS, PUBLIC_VERSIONS, SwapBuilder
from chain.wallets.cipher import KeyCipher
from chain.wallets.custody import Wallets
from chain.wallets.destinations import Destinations
from chain.wallets.outside import OutsideDeposits
from chain.wallets.platform_keys import PlatformKeys
from chain.wallets.reads import AccountsOnChain
from ece.key_sources import key_sources
from ece.settings import Settings
from gateway.identity.second_factor import SecondFactorCheck
from gateway.rest.ledger.services import ChainPayouts, NoPayouts
from gateway.rest.ledger.services import Payouts as PayoutPort
from gateway.rest.wallets.services import SignInSite, SwapServices, WalletServices
from persistence.postgres.pool import Pool
from persistence.wallets.cards import Cards
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.custody import CustodialWallets
from persistence.wallets.deposits import Deposits
from persistence.wallets.links import LinkedWallets
from persistence.wallets.payouts import Payouts
from persistence.wallets.second_factors import SecondFactors
from persistence.wallets.swaps import Swaps


def payouts_of(settings: Settings, pool: Pool) -> PayoutPort:
    """Who pays withdrawals: the minting pool, if money moves on the chain."""
    if not settings.rpc_urls or settings.usdc_mint is None:
        return NoPayouts()
    return ChainPayouts(Payouts(pool, add_chain_jobs))


def wallet_services(settings: Settings, pool: Pool, rpc: ChainRpc | None, cipher: KeyCipher) -> WalletServices:
    """Custody, links and the second factor over this pool. Raises UnusableKey."""
    return WalletServices(
        Wallets(CustodialWallets(pool), cipher),
        LinkedWallets(pool),
        SecondFactorCheck(SecondFactors(pool), cipher),
        sign_in_site(settings),
        Deposits(pool),
        Cards(pool, add_chain_jobs),
        None if rpc is None else _destinations(settings, pool, rpc),
        settings.usdc_mint,
        None if rpc is None else _swaps(settings, pool),
        None if rpc is None else OutsideDeposits(rpc),
    )


def _destinations(settings: Settings, pool: Pool, rpc: ChainRpc) -> Destinations:
    keys = PlatformKeys(key_sources(settings))
    own = [*keys.addresses().values(), *(signer.address for signer in keys.known_fee_payers())]
    mints = [] if settings.usdc_mint is None else [Pubkey.from_string(settings.usdc_mint)]
    return Destinations(own, mints, CustodialWallets(pool), AccountsOnChain(rpc))


def _swaps(settings: Settings, pool: Pool) -> SwapServices:
    """Public chains and their wallets take transactions of version 0."""
    mint = None if settings.usdc_mint is None else Pubkey.from_string(settings.usdc_mint)
    versions = PUBLIC_VERSIONS if settings.chain_port is None else LOCAL_VERSIONS
    treasury = PlatformKeys(key_sources(settings)).treasury.address
    return SwapServices(Swaps(pool), SwapBuilder(mint, versions), str(treasury))


def sign_in_site(settings: Settings) -> SignInSite:
    """What wallets show as the site that asks for a signature."""
    if settings.wallet_domain is not None:
        return SignInSite(settings.wallet_domain, f"https://{settings.wallet_domain}")
    return SignInSite(urlsplit(settings.base_url).netloc, settings.base_url, "solana:localnet")
