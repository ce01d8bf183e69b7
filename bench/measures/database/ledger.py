"""The ledger alone: batches of transfers and holds into PostgreSQL, with all rules and constraints."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bench.cells import pair, rate
from bench.definition import SECONDS, Bench, BenchFailed, Context, Report, Table
from bench.percentiles import p50_p99
from domain.ledger.books import HOUSE
from domain.ledger.ids import held_for_auction, transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.rules import Done, Outcome, Reserve
from persistence.ledger.store import Ledger
from persistence.postgres.pool import close_pool, open_pool

CURRENCY = "USDC"
GOAL_PER_S = 20_000
ACCOUNTS = 10_000
BATCH = 1_000
WRITERS = 2
FUNDS = 1_000_000_000
AMOUNT_MAX = 1_000
AUCTIONS = 50
HOLDS_A_BATCH = 200
NOW_MS = 1_800_000_000_000
# Ids that no real user gets: real ones count from the time of their making.
OWNER_FIRST = 1


class LedgerRefused(BenchFailed):
    """The ledger refused an order of the bench."""


async def measure_ledger(database_url: str, seconds: float) -> dict[str, Any]:
    """Figures of transfers and of holds. Writes to the database: give it a fresh one. Raises LedgerRefused."""
    pool = await open_pool(database_url, size_max=WRITERS)
    try:
        ledger = Ledger(pool)
        accounts = await _funded(ledger)
        transfers = [_Transfers(ledger, accounts, writer) for writer in range(WRITERS)]
        measured = await _measured([writer.send for writer in transfers], seconds)
        holds = [_Holds(ledger, writer) for writer in range(WRITERS)]
        held = await _measured([writer.send for writer in holds], seconds)
    finally:
        await close_pool(pool)
    return {
        "transfers": {"accounts": ACCOUNTS, "batch": BATCH, "writers": WRITERS, **_figures(measured, BATCH)},
        "holds": {"accounts": ACCOUNTS, "batch": HOLDS_A_BATCH, "writers": WRITERS, **_figures(held, HOLDS_A_BATCH)},
        "goals": {"transfers_per_s": GOAL_PER_S},
    }


async def _funded(ledger: Ledger) -> list[int]:
    faucet = (await ledger.accounts([HOUSE], CURRENCY, "faucet"))[HOUSE]
    accounts = list((await ledger.accounts(range(OWNER_FIRST, OWNER_FIRST + ACCOUNTS), CURRENCY)).values())
    for start in range(0, ACCOUNTS, BATCH):
        page = accounts[start : start + BATCH]
        orders = [Transfer(transfer_id("bench funds", a), faucet, a, FUNDS, "deposit") for a in page]
        _all_done(await ledger.execute(orders, NOW_MS))
    return accounts


class _Transfers:
    """One writer of batches: each transfer between two random accounts, with a unique id."""

    def __init__(self, ledger: Ledger, accounts: list[int], writer: int) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._writer = writer
        self._chance = random.Random(writer)
        self._sent = 0

    async def send(self) -> None:
        orders = []
        for number in range(self._sent, self._sent + BATCH):
            debit, credit = self._chance.sample(self._accounts, 2)
            amount = self._chance.randint(1, AMOUNT_MAX)
            orders.append(Transfer(transfer_id("bench", self._writer, number), debit, credit, amount, "sale", number))
        self._sent += BATCH
        _all_done(await self._ledger.execute(orders, NOW_MS + self._sent))


class _Holds:
    """One host: in every batch bidders take the lead in its auctions, and the holds of former leaders are released."""

    def __init__(self, ledger: Ledger, writer: int) -> None:
        self._ledger = ledger
        self._auctions = [held_for_auction(writer * AUCTIONS + number) for number in range(AUCTIONS)]
        self._chance = random.Random(writer)
        self._leading: list[tuple[bytes, int]] = []

    async def send(self) -> None:
        released = [Reserve(auction, owner, 0, 0) for auction, owner in self._leading]
        count = HOLDS_A_BATCH // 2
        owners = self._chance.sample(range(OWNER_FIRST, OWNER_FIRST + ACCOUNTS), count)
        self._leading = [(self._auctions[n % AUCTIONS], owner) for n, owner in enumerate(owners)]
        taken = [Reserve(auction, owner, self._chance.randint(1, AMOUNT_MAX)) for auction, owner in self._leading]
        short = await self._ledger.reserve([*released, *taken], CURRENCY)
        if short:
            raise LedgerRefused(f"a hold was refused: {next(iter(short.values()))}")


async def _measured(senders: Sequence[Callable[[], Awaitable[None]]], seconds: float) -> tuple[float, list[float]]:
    """Closed loop: each sender sends its next batch when the last is answered. Seconds in all, and of each batch."""
    latencies: list[float] = []

    async def keep_sending(send: Callable[[], Awaitable[None]], until: float) -> None:
        # The first prepares the statement.
        await send()
        while (began := time.perf_counter()) < until:
            await send()
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(keep_sending(send, began + seconds) for send in senders))
    return time.perf_counter() - began, latencies


def _all_done(outcomes: Sequence[Outcome]) -> None:
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Done)]
    if refused:
        raise LedgerRefused(f"{len(refused)} transfers were refused: {refused[0]}")


def _figures(measured: tuple[float, list[float]], batch: int) -> dict[str, Any]:
    elapsed_s, latencies = measured
    return {"per_s": round(len(latencies) * batch / elapsed_s, 1), "batch_ms": p50_p99(latencies)}


def report(figures: Mapping[str, Any]) -> Report:
    """A row for transfers and one for holds."""
    rows = []
    for name in ("transfers", "holds"):
        shown = figures[name]
        rows.append((
            name,
            rate(shown["per_s"]),
            f"{shown['batch']:,}",
            pair(shown["batch_ms"]),
            str(shown["writers"]),
            f"{shown['accounts']:,}",
        ))  # fmt: skip
    columns = ("operation", "per second", "batch", "batch ms", "writers", "accounts")
    goal = f"Latencies: p50 / p99. Goal for transfers: above {rate(figures['goals']['transfers_per_s'])}/s."
    return Report(figures, [Table("The ledger, in batches", columns, rows), goal])


async def run(context: Context) -> Report:
    async with context.engine() as engine:
        await context.idle()
        return report(await measure_ledger(engine.database_url, context.value(SECONDS)))


ledger = Bench(
    "ledger",
    "Transfers and holds in batches, directly into PostgreSQL, with all rules, constraints and hashes.",
    "batch: orders of one statement. batch ms: latency of one statement. The writers share the processors with "
    "PostgreSQL, and build their orders in the same process.",
    (SECONDS,),
    run,
)
