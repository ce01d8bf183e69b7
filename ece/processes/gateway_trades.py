"""What a gateway's routes and operations about trades need."""

from collections.abc import Callable

from chain.wallets.cipher import KeyCipher
from ece.settings import Settings
from gateway.identity.second_factor import SecondFactorCheck
from gateway.trades.commands import Hosts, TradeCommands
from gateway.trades.conditions import TradeConditions
from gateway.trades.services import Trades
from persistence.postgres.idempotency import IdempotencyKeys
from persistence.postgres.pool import Pool
from persistence.trades.checks import TradeChecks
from persistence.trades.history import TradeHistory
from persistence.trades.preferences import TradePreferences
from persistence.trades.reading import TradeReading
from persistence.trades.values import CopyValues
from persistence.wallets.second_factors import SecondFactors


def trade_services(
    settings: Settings, pool: Pool, hosts: Hosts, now_ms: Callable[[], int], cipher: KeyCipher
) -> Trades:
    """Commands, lists, settings and values over this pool."""
    check = SecondFactorCheck(SecondFactors(pool), cipher)
    terms = TradeConditions(
        fee_bp=settings.trade_fee_bp,
        expiry_min_ms=settings.trade_expiry_min_s * 1000,
        mask_contacts=settings.trade_mask_contacts,
    )
    commands = TradeCommands(hosts, IdempotencyKeys(pool), TradeChecks(pool), check, now_ms, terms)
    return Trades(commands, TradeReading(pool), TradePreferences(pool), CopyValues(pool), TradeHistory(pool))
