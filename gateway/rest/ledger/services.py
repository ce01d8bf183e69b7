"""The stores of the routes about money, and the port for payouts."""

from dataclasses import dataclass, field
from typing import Protocol

from domain.ledger.withdrawals import Limits
from persistence.ledger.reading import LedgerReading
from persistence.ledger.store import Ledger
from persistence.ledger.withdrawals import Withdrawal, Withdrawals
from persistence.wallets.payouts import Payouts as BegunPayouts

# In base units of USDC.
UNITS = 1_000_000


class Payouts(Protocol):
    """Pays out approved withdrawals. ``chain`` is its name, None if there is none."""

    chain: str | None

    async def take(self, withdrawal: Withdrawal) -> None:
        """A withdrawal waits for the chain from now on. May be called again for the same one, or not at all."""


class NoPayouts:
    """For engines without a chain: approved withdrawals wait, and their amounts stay held."""

    chain: str | None = None

    async def take(self, withdrawal: Withdrawal) -> None:
        return None


class ChainPayouts:
    """Passes approved withdrawals to the minting pool at once; a job does so for those that are missed here."""

    chain: str | None = "solana"

    def __init__(self, payouts: BegunPayouts) -> None:
        self._payouts = payouts

    async def take(self, withdrawal: Withdrawal) -> None:
        await self._payouts.begin(withdrawal.id)


@dataclass(frozen=True)
class MoneyRules:
    """Limits of deposits and withdrawals. ``faucet``: whether deposits without payment are accepted."""

    faucet: bool = False
    faucet_max: int = 1_000_000 * UNITS
    withdrawals: Limits = field(
        default_factory=lambda: Limits(10_000 * UNITS, 25_000 * UNITS, 1_000 * UNITS, cool_down_ms=60_000)
    )


@dataclass(frozen=True)
class Money:
    """The ledger, its read model, withdrawals, and their limits."""

    ledger: Ledger
    reading: LedgerReading
    withdrawals: Withdrawals
    rules: MoneyRules = field(default_factory=MoneyRules)
    payouts: Payouts = field(default_factory=NoPayouts)
