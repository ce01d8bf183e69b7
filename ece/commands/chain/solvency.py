"""The part of `ece chain audit` about money: what the wallets in custody have, and what the ledger owes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from rich.console import Console

from domain.ledger.currencies import USDC
from domain.wallets.custody import CustodialWallet
from domain.wallets.solvency import Booked, Solvency, compare

PAGE = 100
# What moves while it is read may look like a difference; then it is read again.
READ_AT_MOST, AGAIN_S = 3, 0.5


class PagesWallets(Protocol):
    """``persistence.wallets.custody.CustodialWallets``."""

    async def page(self, after_user: int, limit: int) -> list[CustodialWallet]: ...


class ReadsMoney(Protocol):
    """``chain.wallets.reads.MoneyOnChain``."""

    def account_of(self, wallet: str) -> str: ...
    async def balances(self, accounts: Sequence[str]) -> Sequence[int]: ...


class MoneyAuditor:
    """Compares money with the chain. May raise StoreUnavailable, ChainError."""

    def __init__(
        self, booked: Callable[[], Awaitable[Booked]], wallets: PagesWallets, money: ReadsMoney, treasury: str
    ) -> None:
        self._booked = booked
        self._wallets = wallets
        self._money = money
        self._treasury = treasury

    async def compare(self) -> Solvency:
        """All wallets, page by page; again if they differ, since money may have moved meanwhile."""
        for _ in range(READ_AT_MOST - 1):
            found = await self._compared()
            if found.finding is None:
                return found
            await asyncio.sleep(AGAIN_S)
        return await self._compared()

    async def _compared(self) -> Solvency:
        # The database first, the treasury last: what is credited is on the chain, and a sweep is not overlooked.
        booked, custodial, after = await self._booked(), 0, 0
        while page := await self._wallets.page(after, PAGE):
            after = page[-1].user
            custodial += sum(await self._money.balances([self._money.account_of(one.address) for one in page]))
        [treasury] = await self._money.balances([self._money.account_of(self._treasury)])
        return compare(booked, treasury, custodial)


def print_solvency(out: Console, found: Solvency) -> None:
    """Some lines for people."""
    rows = (
        ("owed", found.owed), ("in treasury", found.treasury), ("in wallets", found.custodial),
        ("being sent", found.sending), ("arriving", found.arriving),
    )  # fmt: skip
    colour = "red" if found.short else "yellow" if found.finding else "green"
    out.print(f"[{colour}]{USDC.code}:[/] " + ", ".join(f"{_shown(amount)} {name}" for name, amount in rows))
    if found.finding is not None:
        one = found.finding
        out.print(f"  {one.code}: expected {_shown(one.expected)}, found {_shown(one.found)}: {one.explanation}",
                  soft_wrap=True)  # fmt: skip


def _shown(amount: int) -> str:
    whole, part = divmod(abs(amount), 10**USDC.decimals)
    return f"{'-' if amount < 0 else ''}{whole:,}.{part:0{USDC.decimals}}"
