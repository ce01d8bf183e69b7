"""The read models of sales and holdings: rows that a change concerns are recomputed from the source tables.

So neither the order of changes nor a repeated one matters, and a rebuild gives the same rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from asyncpg.pool import PoolConnectionProxy

from domain.sales.portfolio import CHANGE_BP_MAX, DAY_MS, WHOLE_BP

WINDOWS = (1, 7, 30)
# Cards whose windows are recomputed by one statement because a day has begun.
STALE_MAX = 1_000
STATEMENT_TIMEOUT_S = 60.0

CardDay = tuple[int, str, int]
SellerDay = tuple[int, str, int]


@dataclass
class Changed:
    """The keys to recompute: (card, currency, day), (seller or buyer, currency, day), (owner, card)."""

    card_days: set[CardDay] = field(default_factory=set)
    seller_days: set[SellerDay] = field(default_factory=set)
    buyer_days: set[SellerDay] = field(default_factory=set)
    holdings: set[tuple[int, int]] = field(default_factory=set)
    # For the values of collections at the ends of days: (day, card), (day, owner).
    value_cards: set[tuple[int, int]] = field(default_factory=set)
    value_owners: set[tuple[int, int]] = field(default_factory=set)


_KEYS = """SELECT DISTINCT * FROM unnest($1::bigint[], $2::text[], $3::int[]) AS k ({name}, currency, day)"""
_THAT_DAY = f"s.at >= k.day * {DAY_MS}::bigint AND s.at < (k.day + 1) * {DAY_MS}::bigint"
_NOT_REFUNDED = "NOT EXISTS (SELECT FROM refunds r WHERE r.auction_id = s.auction_id AND r.round = s.round)"

# The market's days are the sums of the cards' days: they move by what these do.
_CARD_DAYS = f"""
    WITH keys AS MATERIALIZED ({_KEYS.format(name="card_id")}),
    fresh AS MATERIALIZED (
        SELECT k.card_id, k.currency, k.day, count(s.price)::int AS sales, coalesce(sum(s.price), 0) AS volume,
            (array_agg(s.price ORDER BY s.at, s.sale_no))[1] AS open, max(s.price) AS high, min(s.price) AS low,
            (array_agg(s.price ORDER BY s.at DESC, s.sale_no DESC))[1] AS close
        FROM keys k LEFT JOIN sales s
            ON s.card_id = k.card_id AND s.currency = k.currency AND {_THAT_DAY} AND {_NOT_REFUNDED}
        GROUP BY k.card_id, k.currency, k.day
    ), old AS (SELECT d.* FROM keys JOIN card_days d USING (card_id, currency, day)),
    gone AS (
        DELETE FROM card_days d USING fresh f
        WHERE d.card_id = f.card_id AND d.currency = f.currency AND d.day = f.day AND f.sales = 0
    ), put AS (
        INSERT INTO card_days (card_id, currency, day, sales, volume, open, high, low, close)
        SELECT * FROM fresh WHERE sales > 0
        ON CONFLICT (card_id, currency, day) DO UPDATE SET sales = excluded.sales, volume = excluded.volume,
            open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close
    )
    INSERT INTO market_days AS m (currency, day, sales, volume, cards)
    SELECT f.currency, f.day, sum(f.sales - coalesce(o.sales, 0)), sum(f.volume - coalesce(o.volume, 0)),
        sum((f.sales > 0)::int - (o.sales IS NOT NULL)::int)
    FROM fresh f LEFT JOIN old o USING (card_id, currency, day) GROUP BY f.currency, f.day
    ON CONFLICT (currency, day) DO UPDATE SET sales = m.sales + excluded.sales, volume = m.volume + excluded.volume,
        cards = m.cards + excluded.cards
"""
_EMPTY_MARKET_DAYS = (
    "DELETE FROM market_days WHERE sales = 0 AND (currency, day) IN (SELECT * FROM unnest($1::text[], $2::int[]))"
)

_CARD_PRICES = f"""
    WITH keys AS MATERIALIZED (SELECT DISTINCT * FROM unnest($1::bigint[], $2::text[]) AS k (card_id, currency)),
    fresh AS MATERIALIZED (
        SELECT k.card_id, k.currency, latest.price, latest.at FROM keys k LEFT JOIN LATERAL (
            SELECT s.price, s.at FROM sales s
            WHERE s.card_id = k.card_id AND s.currency = k.currency AND {_NOT_REFUNDED}
            ORDER BY s.at DESC, s.sale_no DESC LIMIT 1
        ) AS latest ON true
    ), gone AS (
        DELETE FROM card_prices p USING fresh f
        WHERE p.card_id = f.card_id AND p.currency = f.currency AND f.price IS NULL
    )
    INSERT INTO card_prices (card_id, currency, last_price, last_at)
    SELECT * FROM fresh WHERE price IS NOT NULL
    ON CONFLICT (card_id, currency) DO UPDATE SET last_price = excluded.last_price, last_at = excluded.last_at
        WHERE (card_prices.last_price, card_prices.last_at) <> (excluded.last_price, excluded.last_at)
"""

_CARD_WINDOWS = f"""
    WITH keys AS MATERIALIZED (
        SELECT DISTINCT k.card_id, k.currency, w.days, $3::int - w.days + 1 AS first
        FROM unnest($1::bigint[], $2::text[]) AS k (card_id, currency), unnest($4::int[]) AS w (days)
    ), counted AS MATERIALIZED (
        SELECT k.card_id, k.currency, k.days, k.first, sum(d.sales) AS sales, sum(d.volume) AS volume,
            (array_agg(d.open ORDER BY d.day))[1] AS open, (array_agg(d.close ORDER BY d.day DESC))[1] AS price
        FROM keys k JOIN card_days d ON d.card_id = k.card_id AND d.currency = k.currency AND d.day >= k.first
        GROUP BY k.card_id, k.currency, k.days, k.first
    ), fresh AS (
        SELECT c.*, coalesce(earlier.close, c.open) AS before FROM counted c LEFT JOIN LATERAL (
            SELECT d.close FROM card_days d
            WHERE d.card_id = c.card_id AND d.currency = c.currency AND d.day < c.first ORDER BY d.day DESC LIMIT 1
        ) AS earlier ON true
    ), gone AS (
        DELETE FROM card_windows w USING keys k
        WHERE w.card_id = k.card_id AND w.currency = k.currency AND w.days = k.days
            AND NOT EXISTS (SELECT FROM counted c WHERE c.card_id = k.card_id AND c.currency = k.currency
                AND c.days = k.days)
    )
    INSERT INTO card_windows (card_id, currency, days, as_of_day, sales, volume, price, before, change_bp)
    SELECT card_id, currency, days, $3::int, sales, volume, price, before, CASE WHEN before > 0 THEN
        least(div((price - before)::numeric * {WHOLE_BP}, before), {CHANGE_BP_MAX}) END
    FROM fresh
    ON CONFLICT (card_id, currency, days) DO UPDATE SET as_of_day = excluded.as_of_day, sales = excluded.sales,
        volume = excluded.volume, price = excluded.price, before = excluded.before, change_bp = excluded.change_bp
"""
_STALE_WINDOWS = """
    SELECT DISTINCT card_id, currency FROM (
        SELECT card_id, currency FROM card_windows WHERE as_of_day < $1 ORDER BY as_of_day, card_id, currency LIMIT $2
    ) AS oldest
"""

_SELLER_DAYS = f"""
    WITH keys AS MATERIALIZED ({_KEYS.format(name="seller_id")}),
    fresh AS MATERIALIZED (
        SELECT k.seller_id, k.currency, k.day, ended.*, sold.realised FROM keys k CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE s.round = 1 AND s.outcome <> 'cancelled')::int AS auctions_offered,
                count(*) FILTER (WHERE stands)::int AS auctions_sold,
                coalesce(sum(s.copies) FILTER (WHERE s.round = 1 AND s.outcome <> 'cancelled'), 0)::int
                    AS copies_offered,
                coalesce(sum(s.copies) FILTER (WHERE stands), 0)::int AS copies_sold,
                coalesce(sum(s.price::numeric) FILTER (WHERE stands), 0) AS gross,
                coalesce(sum(s.fee::numeric) FILTER (WHERE stands), 0) AS fees,
                coalesce(sum(s.royalties::numeric) FILTER (WHERE stands), 0) AS royalties
            FROM settlements s, LATERAL (SELECT s.outcome = 'sold' AND {_NOT_REFUNDED} AS stands) AS which
            WHERE s.seller_id = k.seller_id AND s.currency = k.currency AND {_THAT_DAY}
        ) AS ended CROSS JOIN LATERAL (
            SELECT coalesce(sum(s.price::numeric - s.fee - s.royalties - coalesce(s.seller_cost, 0)), 0) AS realised
            FROM sales s
            WHERE s.seller_id = k.seller_id AND s.currency = k.currency AND {_THAT_DAY} AND {_NOT_REFUNDED}
        ) AS sold
    ), gone AS (
        DELETE FROM seller_days d USING fresh f
        WHERE d.seller_id = f.seller_id AND d.currency = f.currency AND d.day = f.day
            AND f.auctions_offered = 0 AND f.auctions_sold = 0 AND f.realised = 0
    )
    INSERT INTO seller_days (seller_id, currency, day, auctions_offered, auctions_sold, copies_offered, copies_sold,
        gross, fees, royalties, realised)
    SELECT * FROM fresh WHERE auctions_offered > 0 OR auctions_sold > 0 OR realised <> 0
    ON CONFLICT (seller_id, currency, day) DO UPDATE SET auctions_offered = excluded.auctions_offered,
        auctions_sold = excluded.auctions_sold, copies_offered = excluded.copies_offered,
        copies_sold = excluded.copies_sold, gross = excluded.gross, fees = excluded.fees,
        royalties = excluded.royalties, realised = excluded.realised
"""

_BUYER_DAYS = f"""
    WITH keys AS MATERIALIZED ({_KEYS.format(name="buyer_id")}),
    fresh AS MATERIALIZED (
        SELECT k.buyer_id, k.currency, k.day, count(s.price)::int AS wins, coalesce(sum(s.copies), 0)::int AS copies,
            coalesce(sum(s.price::numeric), 0) AS spent
        FROM keys k LEFT JOIN settlements s
            ON s.buyer_id = k.buyer_id AND s.currency = k.currency AND {_THAT_DAY} AND {_NOT_REFUNDED}
        GROUP BY k.buyer_id, k.currency, k.day
    ), gone AS (
        DELETE FROM buyer_days d USING fresh f
        WHERE d.buyer_id = f.buyer_id AND d.currency = f.currency AND d.day = f.day AND f.wins = 0
    )
    INSERT INTO buyer_days (buyer_id, currency, day, wins, copies, spent) SELECT * FROM fresh WHERE wins > 0
    ON CONFLICT (buyer_id, currency, day) DO UPDATE SET wins = excluded.wins, copies = excluded.copies,
        spent = excluded.spent
"""

_HOLDINGS = """
    WITH keys AS MATERIALIZED (SELECT DISTINCT * FROM unnest($1::bigint[], $2::bigint[]) AS k (owner_id, card_id)),
    fresh AS MATERIALIZED (
        SELECT k.owner_id, k.card_id, count(c.copy_id)::int AS copies, count(c.cost)::int AS costed,
            coalesce(sum(c.cost), 0) AS cost
        FROM keys k LEFT JOIN copies c ON c.owner_id = k.owner_id AND c.card_id = k.card_id
        GROUP BY k.owner_id, k.card_id
    ), gone AS (
        DELETE FROM holdings h USING fresh f
        WHERE h.owner_id = f.owner_id AND h.card_id = f.card_id AND f.copies = 0
    )
    INSERT INTO holdings (owner_id, card_id, copies, costed, cost) SELECT * FROM fresh WHERE copies > 0
    ON CONFLICT (owner_id, card_id) DO UPDATE SET copies = excluded.copies, costed = excluded.costed,
        cost = excluded.cost
"""


async def recompute(connection: PoolConnectionProxy, changed: Changed, today: int) -> None:
    """Recompute what changed, in a transaction that has locked ``analytics_progress``."""
    if changed.card_days:
        cards, currencies, days = _columns(changed.card_days)
        await connection.execute(_CARD_DAYS, cards, currencies, days, timeout=STATEMENT_TIMEOUT_S)
        await connection.execute(_EMPTY_MARKET_DAYS, currencies, days, timeout=STATEMENT_TIMEOUT_S)
        await connection.execute(_CARD_PRICES, cards, currencies, timeout=STATEMENT_TIMEOUT_S)
        await _compute_windows(connection, cards, currencies, today)
    if changed.seller_days:
        await connection.execute(_SELLER_DAYS, *_columns(changed.seller_days), timeout=STATEMENT_TIMEOUT_S)
    if changed.buyer_days:
        await connection.execute(_BUYER_DAYS, *_columns(changed.buyer_days), timeout=STATEMENT_TIMEOUT_S)
    if changed.holdings:
        await connection.execute(_HOLDINGS, *_columns(changed.holdings), timeout=STATEMENT_TIMEOUT_S)


async def move_windows(connection: PoolConnectionProxy, today: int) -> int:
    """Recompute the windows of up to STALE_MAX rows that are of a day before; of how many cards."""
    stale = await connection.fetch(_STALE_WINDOWS, today, STALE_MAX, timeout=STATEMENT_TIMEOUT_S)
    if stale:
        await _compute_windows(connection, [row[0] for row in stale], [row[1] for row in stale], today)
    return len(stale)


async def _compute_windows(
    connection: PoolConnectionProxy, cards: list[object], currencies: list[object], today: int
) -> None:
    await connection.execute(_CARD_WINDOWS, cards, currencies, today, list(WINDOWS), timeout=STATEMENT_TIMEOUT_S)


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    # Sorted, so that rows are written in one order.
    return [list(column) for column in zip(*sorted(rows), strict=True)]
