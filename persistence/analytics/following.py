"""Updates the read models from sales, settlements, refunds and changes of owner, page by page.

Any number of processes may do so: one works at a time. A row of these tables has its number
before it is committed, so a later number may be seen before an earlier one. Therefore rows are read in the order of
their writers' transactions, and only up to the first of these that is still at work.
"""

from collections.abc import Callable, Iterable

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.sales.portfolio import day_of
from persistence.analytics.bidding import count_bids
from persistence.analytics.models import STATEMENT_TIMEOUT_S, Changed, move_windows, recompute
from persistence.analytics.values import queue_values, value_collections
from persistence.postgres.guard import guard

PAGE_ROWS = 1_000
# Their whole logs are read.
AUCTIONS_A_STEP = 20
RESET_LOCK_MS = 10_000
COUNTED_MAX = 10_000_000


class Step(msgspec.Struct, frozen=True):
    """What one step did. ``busy``: another process is at it. ``idle``: there is nothing more to do at present."""

    rows: int = 0
    valued: int = 0
    busy: bool = False
    idle: bool = False


class SourceStatus(msgspec.Struct, frozen=True):
    """A source table; ``waiting`` rows were not processed yet."""

    source: str
    waiting: int


class Status(msgspec.Struct, frozen=True):
    """How far the read models are. ``caught_up_at`` (ms) is None during a rebuild."""

    caught_up_at: int | None
    values_due: int
    sources: list[SourceStatus]


class _Source(msgspec.Struct, frozen=True):
    """A table, what its rows are ordered by, and what else is read of them."""

    name: str
    key: tuple[str, ...]
    columns: str
    note: Callable[[asyncpg.Record, Changed], None]
    # Where the name is not that of the table.
    table: str | None = None

    def page(self) -> str:
        """Rows begin with the place that they leave the follower at: writer, number, part."""
        order, places = ", ".join(self.key), ", ".join(("$1::xid8", "$2::bigint", "$3::int")[: len(self.key)])
        return f"""
            SELECT {order}{", 0" * (3 - len(self.key))}, {self.columns} FROM {self.table or self.name} AS t
            WHERE ({order}) > ({places}) AND t.writer < pg_snapshot_xmin(pg_current_snapshot())
                AND $3::int IS NOT NULL
            ORDER BY {order} LIMIT $4
        """

    def waiting(self) -> str:
        return f"SELECT count(*) FROM (SELECT {self._beyond()} LIMIT {COUNTED_MAX}) AS counted"

    def next_at(self) -> str:
        return f"(SELECT t.at {self._beyond()} ORDER BY {', '.join(self.key)} LIMIT 1)"

    def _beyond(self) -> str:
        places = ", ".join(("a.writer", "a.number", "a.part")[: len(self.key)])
        return f"""FROM analytics_sources a, {self.table or self.name} AS t
            WHERE a.source = '{self.name}' AND ({", ".join(self.key)}) > ({places})"""


def _sale(row: asyncpg.Record, changed: Changed) -> None:
    card, seller, currency, at = row[3:]
    changed.card_days.add((card, currency, day_of(at)))
    changed.seller_days.add((seller, currency, day_of(at)))
    changed.value_cards.add((day_of(at), card))


def _settlement(row: asyncpg.Record, changed: Changed) -> None:
    seller, buyer, currency, at = row[3:]
    changed.seller_days.add((seller, currency, day_of(at)))
    if buyer is not None:
        changed.buyer_days.add((buyer, currency, day_of(at)))


def _owner(row: asyncpg.Record, changed: Changed) -> None:
    card, before, after, at = row[3:]
    if card is None:
        return
    for owner in (before, after):
        if owner is not None:
            changed.holdings.add((owner, card))
            changed.value_owners.add((day_of(at), owner))


def _refund(_row: asyncpg.Record, _changed: Changed) -> None:
    """What it is about is looked up for the whole page, or one by one."""


SOURCES = (
    _Source("sales", ("t.writer", "t.sale_no"), "t.card_id, t.seller_id, t.currency, t.at", _sale),
    _Source("settlements", ("t.writer", "t.settlement_no"), "t.seller_id, t.buyer_id, t.currency, t.at", _settlement),
    _Source("refunds", ("t.writer", "t.refund_no"), "t.auction_id, t.round, t.at", _refund),
    _Source(
        "provenance",
        ("t.writer", "t.copy_id", "t.seq"),
        "(SELECT card_id FROM copies WHERE copy_id = t.copy_id), t.from_owner, t.to_owner, t.at",
        _owner,
    ),
)

# Of each auction that has ended the log is read.
BIDS = _Source(
    "bids", ("t.writer", "t.settlement_no"), "t.auction_id, t.at, t.round", _refund, table="settlements"
)  # fmt: skip
ALL_SOURCES = (*SOURCES, BIDS)

# A plan that was made while a table was empty would be kept while it fills: each is made for how large they are now.
_LOCK = """
    SELECT set_config('plan_cache_mode', 'force_custom_plan', true) FROM analytics_progress FOR UPDATE SKIP LOCKED
"""
_READ = "SELECT source, writer, number, part FROM analytics_sources"
_MOVE = "UPDATE analytics_sources SET writer = $2, number = $3, part = $4 WHERE source = $1"
# What is committed, but comes after somebody who is still at work, has not been taken in.
_CAUGHT_UP = f"""
    UPDATE analytics_progress SET caught_up_at = greatest(caught_up_at, least($1::bigint, next.at - 1))
    FROM (SELECT least({", ".join(source.next_at() for source in ALL_SOURCES)}) AS at) AS next
"""
_REFUNDED = """
    SELECT s.card_id, s.seller_id, NULL, s.currency, s.at, g.at FROM unnest($1::bigint[], $2::smallint[], $3::bigint[])
        AS g (auction_id, round, at) JOIN sales s USING (auction_id, round)
    UNION ALL
    SELECT NULL, s.seller_id, s.buyer_id, s.currency, s.at, g.at FROM unnest($1::bigint[], $2::smallint[], $3::bigint[])
        AS g (auction_id, round, at) JOIN settlements s USING (auction_id, round)
"""
_RESET = (
    """TRUNCATE card_days, market_days, card_prices, card_windows, seller_days, holdings, user_value_days, value_cards,
        value_owners, auction_bidders, buyer_days""",
    "UPDATE analytics_sources SET writer = '0', number = 0, part = 0",
    "UPDATE analytics_progress SET caught_up_at = NULL, value_day = 0",
)  # fmt: skip
_STATUS = """
    SELECT caught_up_at, (SELECT count(*) FROM value_owners WHERE day <= $1)
        + (SELECT count(*) FROM value_cards WHERE day <= $1) FROM analytics_progress
"""


class Analytics:
    """Updates the read models. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def step(self, now_ms: int) -> Step:
        """Take in a page of each table, as one transaction; if there was none, value what is due."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            # Locked by one statement and read by the next: it sees what the last holder of the lock has written.
            if await connection.fetchrow(_LOCK) is None:
                return Step(busy=True)
            rows, more = await _take_in(connection, day_of(now_ms))
            moved = valued = 0
            if not more:
                moved = await move_windows(connection, day_of(now_ms))
                valued = await value_collections(connection, now_ms)
                if not moved and not valued:
                    await connection.execute(_CAUGHT_UP, now_ms)
            return Step(rows, valued, idle=not (more or moved or valued))

    async def reset(self) -> None:
        """Empty the read models, and begin with the first row again."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {RESET_LOCK_MS}")
            await connection.execute("SELECT FROM analytics_progress FOR UPDATE", timeout=STATEMENT_TIMEOUT_S)
            for statement in _RESET:
                await connection.execute(statement, timeout=STATEMENT_TIMEOUT_S)

    async def status(self, now_ms: int) -> Status:
        """How far they are. Counts what waits."""
        async with guard(), self._pool.acquire() as connection:
            row = await connection.fetchrow(_STATUS, day_of(now_ms) - 1)
            waiting = [
                SourceStatus(source.name, await connection.fetchval(source.waiting(), timeout=STATEMENT_TIMEOUT_S))
                for source in ALL_SOURCES
            ]
        assert row is not None, "the migration made the row"
        return Status(row[0], row[1], waiting)


async def _take_in(connection: PoolConnectionProxy, today: int) -> tuple[int, bool]:
    """How many rows of all tables, and whether there are more."""
    places = {row[0]: tuple(row[1:]) for row in await connection.fetch(_READ)}
    changed, count, more = Changed(), 0, False
    for source in SOURCES:
        page = await connection.fetch(source.page(), *places[source.name], PAGE_ROWS, timeout=STATEMENT_TIMEOUT_S)
        if not page:
            continue
        for row in page:
            source.note(row, changed)
        if source.name == "refunds":
            await _note_refunds(connection, page, changed)
        await connection.execute(_MOVE, source.name, *page[-1][:3])
        count, more = count + len(page), more or len(page) == PAGE_ROWS
    await recompute(connection, changed, today)
    await queue_values(connection, changed)
    auctions = await _take_in_bids(connection, places[BIDS.name])
    return count + auctions, more or auctions == AUCTIONS_A_STEP


async def _take_in_bids(connection: PoolConnectionProxy, place: tuple[object, ...]) -> int:
    """Count the bids of the next auctions that have ended: of how many."""
    page = await connection.fetch(BIDS.page(), *place, AUCTIONS_A_STEP, timeout=STATEMENT_TIMEOUT_S)
    for row in page:
        auction, at, round_ = row[3:]
        # A second chance has no bids of its own.
        if round_ == 1:
            await count_bids(connection, auction, at)
    if page:
        await connection.execute(_MOVE, BIDS.name, *page[-1][:3])
    return len(page)


async def _note_refunds(connection: PoolConnectionProxy, page: Iterable[asyncpg.Record], changed: Changed) -> None:
    auctions, rounds, times = zip(*(row[3:] for row in page), strict=True)
    for card, seller, buyer, currency, at, refunded_at in await connection.fetch(_REFUNDED, auctions, rounds, times):
        changed.seller_days.add((seller, currency, day_of(at)))
        if buyer is not None:
            changed.buyer_days.add((buyer, currency, day_of(at)))
        if card is not None:
            changed.card_days.add((card, currency, day_of(at)))
            changed.value_cards.add((day_of(refunded_at), card))
