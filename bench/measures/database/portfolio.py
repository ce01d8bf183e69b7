"""Portfolios: read models computed from sales, then one large collection read, from the store and over REST."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from bench.cells import rate
from bench.definition import Bench, Context, Option, Report, Table
from bench.percentiles import percentile
from bench.wire.accounts import Accounts
from domain.ids import parse_id
from domain.sales.portfolio import day_of
from persistence.analytics.following import Analytics
from persistence.analytics.market import MarketReading
from persistence.analytics.portfolios import PortfolioReading
from persistence.postgres.pool import Pool, close_pool, open_pool

COPIES = 10_000
COPIES_MAX = 100_000
CARDS = 100_000
OTHERS_COPIES = 50_000
OTHERS = 250
DAYS = 30
ROUNDS = 200
WARM_UP = 20
GOAL_P95_MS = 100
COLLECTOR = "bench_collector"
CURRENCY = "USDC"
FILL_TIMEOUT_S = 300.0

# $1 the collector, $2 their copies, $3 the first day (ms). Few cards are sold often, most of them seldom.
_FILL = (
    "SELECT setseed(0.25), $1::bigint, $2::int, $3::bigint",
    "INSERT INTO card_sets (set_id, code, name) SELECT n, 'bench-' || n, 'Set ' || n FROM generate_series(1, 250) AS n",
    f"""INSERT INTO cards (card_id, set_id, number, name, rarity, creator_id, created_at, updated_at)
    SELECT n, 1 + n % 250, n::text, 'Card ' || n, 'rare', 0, 0, 0 FROM generate_series(1, {CARDS}) AS n""",
    f"""INSERT INTO copies (copy_id, card_id, serial, owner_id, cost, acquired_at, provenance_seq)
    SELECT n, 1 + floor({CARDS} * power(random(), CASE WHEN n > {OTHERS_COPIES} THEN 1 ELSE 2 END)), n,
        CASE WHEN n > {OTHERS_COPIES} THEN $1::bigint ELSE 1 + n % {OTHERS} END, 1000000 + floor(random() * 90000000),
        $3::bigint + floor(random() * 86400000 * {DAYS}::bigint), 2
    FROM generate_series(1, {OTHERS_COPIES} + $2::int) AS n""",
    f"""INSERT INTO provenance (copy_id, seq, at, reason, to_owner)
    SELECT copy_id, 1, $3::bigint - 1, 'made', 1 + (copy_id + 7) % {OTHERS} FROM copies""",
    """INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner, price, currency, source_id)
    SELECT c.copy_id, 2, c.acquired_at, 'sale', p.to_owner, c.owner_id, c.cost, 'USDC', c.copy_id
    FROM copies c JOIN provenance p ON p.copy_id = c.copy_id AND p.seq = 1""",
    """INSERT INTO settlements (auction_id, round, outcome, at, seller_id, buyer_id, currency, price, fee, royalties,
        copies, event_seq, event_hash)
    SELECT source_id, 1, 'sold', at, from_owner, to_owner, currency, price, price / 20, price / 50, 1, 3, '\\x00'
    FROM provenance WHERE seq = 2""",
    """INSERT INTO sales (auction_id, copy_id, card_id, seller_id, buyer_id, currency, price, fee, royalties, at)
    SELECT s.auction_id, c.copy_id, c.card_id, s.seller_id, s.buyer_id, s.currency, s.price, s.fee, s.royalties, s.at
    FROM settlements s JOIN copies c ON c.copy_id = s.auction_id ORDER BY s.at""",
    f"""INSERT INTO card_market (card_id, open_auctions, lowest_price)
    SELECT n, 1, 1000000 + n FROM generate_series(1, {CARDS}, 4) AS n""",
    "ANALYZE",
)


COPIES_OPTION = Option(
    ("--copies",), int, COPIES, "COPIES", "Copies of the collector.", minimum=100, maximum=COPIES_MAX
)
# (query, what it is)
QUERIES = (
    ("portfolio", "portfolio, from the store"),
    ("rest", "portfolio, over REST"),
    ("holdings_page", "a page of 50 holdings"),
    ("history", "value over 30 days"),
    ("card_days", "prices of a card by day"),
    ("movers", "movers of 30 days"),
)


async def measure_portfolio(
    database_url: str, base_url: str, accounts: Accounts, copies: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Figures of computing and of reading. Writes to the database: give it a fresh one, with its engine."""
    collector = (await accounts.provision([COLLECTOR]))[COLLECTOR]
    owner, now_ms = parse_id(collector.id), time.time_ns() // 1_000_000
    pool = await open_pool(database_url, size_max=1)
    try:
        progress(
            f"{copies:,} copies of one collector, {OTHERS_COPIES:,} of {OTHERS:,} others, all sold within {DAYS} days"
        )
        await _fill(pool, owner, copies, now_ms - (DAYS + 1) * 86_400_000)
        progress("computing the read models")
        computed = await _compute(pool, now_ms, (OTHERS_COPIES + copies) * 4)
        progress("reading")
        holdings = await pool.fetchval("SELECT count(*) FROM holdings WHERE owner_id = $1", owner)
        store = await _store(pool, owner, day_of(now_ms))
    finally:
        await close_pool(pool)
    async with httpx.AsyncClient(
        base_url=f"{base_url.rstrip('/')}/api/v1",
        headers={"Authorization": f"Bearer {collector.token}"},
        trust_env=False,
    ) as http:
        rest = await _timed(lambda: _get(http, "/users/me/portfolio"))
    goals = {"p95_ms": GOAL_P95_MS}
    return {"copies": copies, "holdings": holdings, "cards": CARDS, **computed, **store, "rest": rest, "goals": goals}


async def _fill(pool: Pool, owner: int, copies: int, first_ms: int) -> None:
    values = {"$1": owner, "$2": copies, "$3": first_ms}
    async with pool.acquire() as connection:
        for statement in _FILL:
            for name, value in values.items():
                statement = statement.replace(name, str(value))
            await connection.execute(statement, timeout=FILL_TIMEOUT_S)


async def _compute(pool: Pool, now_ms: int, rows: int) -> dict[str, Any]:
    """Until nothing is left to compute. The gateway of the engine does part of it."""
    following, began, rows_s = Analytics(pool), time.perf_counter(), 0.0
    while not (step := await following.step(now_ms)).idle:
        if step.rows:
            rows_s = time.perf_counter() - began
    values_s = time.perf_counter() - began - rows_s
    values = await pool.fetchval("SELECT count(*) FROM user_value_days")
    return {"rows": rows, "rows_per_s": round(rows / rows_s, 1), "value_days": values, "values_s": round(values_s, 1)}


async def _store(pool: Pool, owner: int, today: int) -> dict[str, Any]:
    reading, market = PortfolioReading(pool), MarketReading(pool)
    return {
        "portfolio": await _timed(lambda: reading.portfolio(owner, CURRENCY)),
        "holdings_page": await _timed(lambda: reading.holdings(owner, CURRENCY, CARDS // 2, 51)),
        "history": await _timed(lambda: reading.values(owner, CURRENCY, today - DAYS, today)),
        "card_days": await _timed(lambda: market.card_days(1, CURRENCY, today - DAYS)),
        "movers": await _timed(lambda: market.movers("up", CURRENCY, 30, 10)),
    }


async def _get(http: httpx.AsyncClient, path: str) -> None:
    (await http.get(path)).raise_for_status()


async def _timed(once: Callable[[], Awaitable[object]]) -> dict[str, float | None]:
    latencies = []
    for _ in range(WARM_UP + ROUNDS):
        began = time.perf_counter()
        await once()
        latencies.append((time.perf_counter() - began) * 1000)
    ascending = sorted(latencies[WARM_UP:])
    return {"p50": percentile(ascending, 0.50), "p95": percentile(ascending, 0.95)}


def report(figures: Mapping[str, Any]) -> Report:
    """A row a query, then the time that computing the read models took."""
    rows = [(about, f"{figures[name]['p50']:.1f}", f"{figures[name]['p95']:.1f}") for name, about in QUERIES]
    title = f"A collection of {figures['copies']:,} copies of {figures['holdings']:,} cards"
    return Report(
        figures,
        [
            Table(title, ("query", "p50 ms", "p95 ms"), rows),
            f"Read models: {figures['rows']:,} rows at {rate(figures['rows_per_s'])}/s, then {figures['value_days']:,} "
            f"end-of-day values in {figures['values_s']:.1f} s. Goal: p95 of a portfolio under "
            f"{figures['goals']['p95_ms']} ms.",
        ],
    )


async def run(context: Context) -> Report:
    async with context.engine() as engine:
        await context.idle()
        copies = context.value(COPIES_OPTION)
        figures = await measure_portfolio(
            engine.database_url, engine.base_url, engine.accounts, copies, context.progress
        )
        return report(figures)


portfolio = Bench(
    "portfolio",
    "A collection of 10,000 copies, valued: read models computed from 60,000 sales, then read, also over REST.",
    f"Each query runs {ROUNDS} times, one after the other.",
    (COPIES_OPTION,),
    run,
)
