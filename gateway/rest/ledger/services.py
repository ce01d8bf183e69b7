"""What the gateway's routes about money work with, and the port to whoever pays out."""

from dataclasses import dataclass, field
from typing import Protocol

from domain.ledger.withdrawals import Limits
from persistence.ledger.reading import LedgerReading
from persistence.ledger.store import Ledger
from persistence.ledger.withdrawals import Withdrawal, Withdrawals

# In base units of USDC.
UNITS = 1_000_000


class Payouts(Protocol):
    """Who pays out what was approved. ``chain`` names it, None where there is none."""

    chain: str | None

    async def take(self, withdrawal: Withdrawal) -> None:
        """A withdrawal waits from now on: pay it out in good time. Comes again for the same one; may be missed."""


class NoPayouts:
    """No chain is set: what was approved waits, and its money stays held."""

    chain: str | None = None

    async def take(self, withdrawal: Withdrawal) -> None:
        return None


@dataclass(frozen=True)
class MoneyRules:
    """What may be asked for. ``faucet``: deposits come from nowhere, for trying things out."""

    faucet: bool = False
    faucet_max: int = 1_000_000 * UNITS
    withdrawals: Limits = field(
        default_factory=lambda: Limits(10_000 * UNITS, 25_000 * UNITS, 1_000 * UNITS, cool_down_ms=60_000)
    )


@dataclass(frozen=True)
class Money:
    """The ledger, what users see of it, and what they may ask for."""

    ledger: Ledger
    reading: LedgerReading
    withdrawals: Withdrawals
    rules: MoneyRules = field(default_factory=MoneyRules)
    payouts: Payouts = field(default_factory=NoPayouts)
