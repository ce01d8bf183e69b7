"""`ece chain audit`: compare every minted card, and the money in custody, with the chain."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Protocol

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chain.rpc.client import ChainRpc
from chain.rpc.errors import ChainError
from chain.wallets.addresses import parse_address
from chain.wallets.holdings import Holdings
from chain.wallets.key_files import UnusableKey
from chain.wallets.platform_keys import PlatformKeys
from chain.wallets.reads import MoneyOnChain
from domain.ids import id_text
from domain.ledger.currencies import USDC
from domain.minting.custody import OUTSIDE, WITH_VAULT, belongs
from domain.wallets.custody import CustodialWallet
from domain.wallets.solvency import Solvency
from ece.commands.chain.endpoints import rpc_urls_of, usdc_mint_of
from ece.commands.chain.solvency import MoneyAuditor, print_solvency
from ece.engine.running import database_of
from ece.failure import Failure
from ece.key_sources import key_sources
from ece.settings import Settings, load_settings
from persistence.chain.genesis import ChainGenesis
from persistence.minting.ownership import Holding, Ownership
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool
from persistence.wallets.booked import booked
from persistence.wallets.custody import CustodialWallets

PAGE = 1_000
FINDINGS_SHOWN = 50


class KnowsHoldings(Protocol):
    """``persistence.minting.ownership.Ownership``."""

    async def count(self) -> int: ...
    async def page(self, after_copy: int, limit: int) -> list[Holding]: ...
    async def move_again(self, copies: Sequence[int]) -> int: ...


class KnowsWallets(Protocol):
    """``persistence.wallets.custody.CustodialWallets``."""

    async def of(self, users: Sequence[int]) -> Mapping[int, CustodialWallet]: ...


class ReadsHolders(Protocol):
    """``chain.wallets.holdings.Holdings``."""

    async def holders(self, held: Sequence[tuple[str, str, str]]) -> Sequence[tuple[str | None, int]]: ...


class Finding(msgspec.Struct, frozen=True):
    """A card that the chain and the database differ about. ``expected`` None: any wallet outside."""

    copy: str
    asset: str
    expected: str | None
    holder: str | None
    slot: int
    explanation: str


class Audit(msgspec.Struct):
    """``moving``: cards on their way. ``differ``: those elsewhere that nothing moves, one finding each.

    ``repaired``: those of them that are moved from now on. ``usdc`` None: the engine has no mint of USDC.
    """

    cards: int = 0
    agree: int = 0
    moving: int = 0
    differ: int = 0
    repaired: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list)
    usdc: Solvency | None = None

    @property
    def fault(self) -> bool:
        """Whether a card is elsewhere, or money is missing."""
        return self.differ > 0 or (self.usdc is not None and self.usdc.short)


def audit(
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Move what is in a wrong wallet.")] = False,
) -> None:
    """Compare every minted card, and the USDC in custody, with the chain.

    A listed card belongs in the vault, any other in the wallet of its owner, unless
    its owner has withdrawn it. What the chain says is final. Cards that are on their
    way are counted apart.

    The treasury and the custodial wallets together hold what the ledger owes: deposits
    that are not withdrawn. Withdrawals that are being sent, and deposits that are not
    credited yet, are shown apart. More than that is shown, but is no fault.

    Exit code 1 if a card is elsewhere, or USDC is missing.

    --repair queues a move for each card that is in a wrong wallet of this engine,
    for instance because its move was poisoned. Run the audit again afterwards.

    Example: scripts/ece chain audit --json
    """
    settings = load_settings()
    console = Console(stderr=True, highlight=False)
    try:
        found = asyncio.run(_audited(settings, console, repair))
    except (StoreError, ChainError, UnusableKey) as error:
        raise Failure(f"The engine can't be compared with the chain: {error}") from error
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(found)) + "\n")
    else:
        _print(Console(highlight=False), found)
    if found.fault:
        raise typer.Exit(1)


async def _audited(settings: Settings, console: Console, repair: bool) -> Audit:
    async with database_of(settings, console) as url:
        urls = rpc_urls_of(settings)
        pool = await open_pool(url, size_max=2)
        rpc = ChainRpc(urls, genesis=await ChainGenesis(pool).known())
        await rpc.start()
        try:
            keys, wallets = PlatformKeys(key_sources(settings)), CustodialWallets(pool)
            cards = Auditor(Ownership(pool), wallets, Holdings(rpc), str(keys.vault.address))
            found = await cards.compare(console, repair=repair)
            mint = usdc_mint_of(settings)
            if mint is not None:
                money = MoneyOnChain(rpc, parse_address(mint), USDC.code)
                of_ledger = partial(booked, pool, USDC.code)
                found.usdc = await MoneyAuditor(of_ledger, wallets, money, str(keys.treasury.address)).compare()
            return found
        finally:
            await close_pool(pool)
            await rpc.stop()


class Auditor:
    """Compares cards with the chain. Every method may raise StoreUnavailable, ChainError."""

    def __init__(self, ownership: KnowsHoldings, wallets: KnowsWallets, holdings: ReadsHolders, vault: str) -> None:
        self._ownership = ownership
        self._wallets = wallets
        self._holdings = holdings
        self._vault = vault

    async def compare(self, console: Console, *, repair: bool = False) -> Audit:
        """All cards, page by page."""
        result, after = Audit(), 0
        columns = TextColumn("cards"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("cards", total=await self._ownership.count())
            while page := await self._ownership.page(after, PAGE):
                after = page[-1].copy
                misplaced = await self._compare_page(page, result)
                if repair and misplaced:
                    result.repaired += await self._ownership.move_again(misplaced)
                progress.advance(task, len(page))
        return result

    async def _compare_page(self, page: Sequence[Holding], result: Audit) -> list[int]:
        """Counts these; the copies that a move would repair."""
        owners = await self._wallets.of(sorted({one.owner for one in page}))
        found = await self._holdings.holders([(one.standard, one.asset, one.holder) for one in page])
        misplaced = []
        for held, (holder, slot) in zip(page, found, strict=True):
            wallet = owners.get(held.owner)
            expected = self._expected(held, None if wallet is None else wallet.address)
            if not _count(result, held, holder, slot, expected) and _repairable(held, holder):
                misplaced.append(held.copy)
        return misplaced

    def _expected(self, held: Holding, wallet: str | None) -> str | None:
        where = belongs(held.place, held.owner)
        if where == OUTSIDE:
            return None
        return self._vault if where == WITH_VAULT else wallet


def _repairable(held: Holding, holder: str | None) -> bool:
    """What has another holder than the known one was moved outside: the worker follows that."""
    return not held.moving and holder == held.holder and belongs(held.place, held.owner) != OUTSIDE


def _count(result: Audit, held: Holding, holder: str | None, slot: int, expected: str | None) -> bool:
    """Whether they agree."""
    result.cards += 1
    outside = belongs(held.place, held.owner) == OUTSIDE
    if holder is not None and (holder == held.holder if outside else holder == expected):
        result.agree += 1
        return True
    if held.moving:
        result.moving += 1
        return False
    result.differ += 1
    explanation = "nobody holds it" if holder is None else "another wallet holds it, and nothing moves it"
    result.findings.append(
        Finding(id_text(held.copy), held.asset, held.holder if outside else expected, holder, slot, explanation)
    )
    return False


def _print(out: Console, found: Audit) -> None:
    counts = Counter(agree=found.agree, moving=found.moving, differ=found.differ)
    colour = "red" if found.differ else "green"
    out.print(
        f"[{colour}]{found.cards:,} cards:[/] " + ", ".join(f"{count:,} {name}" for name, count in counts.items())
    )
    if found.usdc is not None:
        print_solvency(out, found.usdc)
    if found.repaired:
        out.print(f"{found.repaired:,} are moved to where they belong: run this again in a minute.")
    # Addresses are long: a card takes some lines, so that they can be copied.
    for one in found.findings[:FINDINGS_SHOWN]:
        out.print(f"\ncopy {one.copy}: {one.explanation}", soft_wrap=True)
        for name, value in (("asset", one.asset), ("expected", one.expected), ("on chain", one.holder)):
            out.print(f"  {name:<9} {value or '-'}", soft_wrap=True)
        out.print(f"  as of slot {one.slot}")
    if len(found.findings) > FINDINGS_SHOWN:
        out.print(f"… and {len(found.findings) - FINDINGS_SHOWN:,} more: --json has all.")
