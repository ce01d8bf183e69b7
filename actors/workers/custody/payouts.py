"""Passes approved withdrawals to the chain."""

from collections.abc import Sequence
from typing import Protocol

from actors.workers.job import Job, Later
from persistence.jobs.store import Claimed


class Waiting(Protocol):
    """``persistence.wallets.payouts.Payouts``. May raise StoreUnavailable."""

    async def begin(self) -> int:
        """Begin to pay those that wait; returns how many."""


class BeginPayouts(Job):
    """Periodic: withdrawals that wait for the chain become chain jobs. Those that the gateway began are not there."""

    kind = "begin_payouts"
    every_ms = 1_000

    def __init__(self, payouts: Waiting) -> None:
        self._payouts = payouts

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        await self._payouts.begin()
        return []
