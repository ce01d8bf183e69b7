"""Telling users of auctions: of cards that they look for or watch, and of those that they watch themselves.

``auction_tidings`` (migration 0010) has what is still to be told. A page of it is taken, told and struck off in one
transaction, so each is told once, whichever gateway does it and wherever one dies.
"""

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.postgres.guard import guard

PAGE_TIDINGS = 100
PAGE_TIMEOUT_S = 30.0
ENDING_WINDOW_MS = 15 * 60 * 1000


class Told(msgspec.Struct, frozen=True):
    """What one page came to: how many tidings it had, and who has new notifications."""

    tidings: int
    users: list[int]


# Several gateways at once: none waits for what another has taken.
_TAKE = """
    SELECT auction_id, stage FROM auction_tidings WHERE due_at <= $1 ORDER BY due_at, auction_id LIMIT $2
    FOR UPDATE SKIP LOCKED
"""

# Who is told what: (user, kind, about, data). Searches agree with those of catalog_reading.py; a price is that of the
# new auction, and that of a bundle is no price of one card (catalog_market.py).
_MATCHED = """
    auction AS (
        SELECT a.*, jsonb_build_object('id', id_text(a.auction_id), 'title', a.title, 'status', a.status,
            'price', a.price, 'ends_at', a.ends_at) AS shown
        FROM auctions a WHERE a.auction_id = ANY($1::bigint[] || $2::bigint[] || $3::bigint[])
    ), opened AS MATERIALIZED (
        SELECT DISTINCT ON (a.auction_id, c.card_id) a.auction_id, a.seller_id, a.price, a.shown, c.card_id, c.document,
            c.rarity, c.traits, s.code,
            (SELECT count(*) FROM listed_copies l WHERE l.auction_id = a.auction_id) = 1 AS alone,
            card_handles(c.document, s.code, c.rarity, c.traits) AS handles,
            jsonb_build_object('id', id_text(c.card_id), 'set', s.code, 'number', c.number, 'name', c.name,
                'rarity', c.rarity, 'image', c.images[1]) AS card
        FROM auction a
        JOIN listed_copies o ON o.auction_id = a.auction_id
        JOIN cards c ON c.card_id = o.card_id JOIN card_sets s ON s.set_id = c.set_id
        WHERE a.auction_id = ANY($1::bigint[]) AND a.status = 'open'
    ), matched AS (
        SELECT DISTINCT ON (s.search_id, o.auction_id) s.user_id, 'search_match' AS kind,
            format('search %s %s', s.search_id, o.auction_id) AS about,
            jsonb_build_object('search', jsonb_build_object('id', id_text(s.search_id), 'name', s.name),
                'card', o.card, 'auction', o.shown) AS data
        FROM opened o JOIN saved_searches s ON s.alerts AND s.handles && o.handles
        WHERE s.user_id <> o.seller_id
            AND (s.words IS NULL OR o.document @@ s.words)
            AND (s.set_code IS NULL OR s.set_code = o.code)
            AND (s.rarity IS NULL OR s.rarity = o.rarity)
            AND o.traits @> s.traits
            AND (s.min_price IS NULL OR (o.alone AND o.price >= s.min_price))
            AND (s.max_price IS NULL OR (o.alone AND o.price <= s.max_price))
            AND s.status IS DISTINCT FROM 'none'
        ORDER BY s.search_id, o.auction_id, o.card_id
    ), listed AS (
        SELECT DISTINCT ON (w.user_id, o.auction_id) w.user_id, 'card_listed',
            format('listed %s', o.auction_id), jsonb_build_object('card', o.card, 'auction', o.shown)
        FROM opened o JOIN watches w ON w.target_id = o.card_id AND w.kind = 'card'
        WHERE w.user_id <> o.seller_id
        ORDER BY w.user_id, o.auction_id, o.card_id
    ), found AS (
        SELECT * FROM matched UNION ALL SELECT * FROM listed
        UNION ALL SELECT w.user_id, 'auction_ending', format('ending %s', a.auction_id),
            jsonb_build_object('auction', a.shown)
        FROM auction a JOIN watches w ON w.target_id = a.auction_id AND w.kind = 'auction'
        WHERE a.auction_id = ANY($2::bigint[]) AND a.status = 'open' AND a.ends_at <= $4::bigint + $5::bigint
        UNION ALL SELECT w.user_id, 'auction_ended', format('ended %s', a.auction_id),
            jsonb_build_object('auction', a.shown || jsonb_build_object('closed_reason', a.closed_reason,
                'winner', CASE WHEN a.winner_id IS NOT NULL THEN a.leader_name END))
        FROM auction a JOIN watches w ON w.target_id = a.auction_id AND w.kind = 'auction'
        WHERE a.auction_id = ANY($3::bigint[]) AND a.status IN ('closed', 'cancelled')
    )
"""

# Numbered for each user, one after the other without gaps: two who tell the same user wait for each other at the head.
_TELL = f"""
    WITH {_MATCHED}, fresh AS (
        SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY about) AS place,
            count(*) OVER (PARTITION BY user_id) AS all_of_them
        FROM found f
        WHERE NOT EXISTS (SELECT FROM notifications n WHERE n.user_id = f.user_id AND n.about = f.about)
    ), heads AS (
        INSERT INTO notification_heads (user_id, seq)
        SELECT user_id, count(*) FROM fresh GROUP BY user_id ORDER BY user_id
        ON CONFLICT (user_id) DO UPDATE SET seq = notification_heads.seq + excluded.seq
        RETURNING user_id, seq
    ), told AS (
        INSERT INTO notifications (user_id, seq, kind, about, data, at)
        SELECT f.user_id, h.seq - f.all_of_them + f.place, f.kind, f.about, f.data, $4
        FROM fresh f JOIN heads h USING (user_id)
    )
    SELECT user_id FROM heads
"""

# What was told is struck off. What opened will end; an end that has moved is told of later.
_STRIKE = """
    WITH struck AS (
        DELETE FROM auction_tidings t USING unnest($1::bigint[], $2::text[]) AS taken (auction_id, stage)
        WHERE t.auction_id = taken.auction_id AND t.stage = taken.stage
        RETURNING t.auction_id, t.stage
    )
    INSERT INTO auction_tidings (auction_id, stage, due_at)
    SELECT DISTINCT a.auction_id, 'ending', a.ends_at - $3::bigint FROM struck t JOIN auctions a USING (auction_id)
    WHERE a.status = 'open' AND t.stage = 'opened'
    ON CONFLICT DO NOTHING
"""
_LATER = """
    UPDATE auction_tidings t SET due_at = a.ends_at - $3::bigint FROM auctions a
    WHERE a.auction_id = t.auction_id AND a.auction_id = ANY($1::bigint[]) AND t.stage = 'ending'
        AND a.status = 'open' AND a.ends_at > $2::bigint + $3::bigint
    RETURNING t.auction_id
"""


class Alerts:
    """Tells what is due, a page at a time."""

    def __init__(self, pool: asyncpg.Pool, ending_window_ms: int = ENDING_WINDOW_MS) -> None:
        self._pool = pool
        self._window_ms = ending_window_ms

    async def tell(self, now_ms: int, limit: int = PAGE_TIDINGS) -> Told:
        """Tell the next ``limit`` of what is due, all of it or nothing. Raises StoreUnavailable."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            taken = await connection.fetch(_TAKE, now_ms, limit)
            if not taken:
                return Told(0, [])
            by_stage: dict[str, list[int]] = {"opened": [], "ending": [], "ended": []}
            for auction, stage in taken:
                by_stage[stage].append(auction)
            rows = await connection.fetch(_TELL, *by_stage.values(), now_ms, self._window_ms, timeout=PAGE_TIMEOUT_S)
            await self._strike_off(connection, by_stage, now_ms)
        return Told(len(taken), [row[0] for row in rows])

    async def _strike_off(
        self, connection: PoolConnectionProxy, by_stage: dict[str, list[int]], now_ms: int
    ) -> None:  # fmt: skip
        later = {row[0] for row in await connection.fetch(_LATER, by_stage["ending"], now_ms, self._window_ms)}
        done = [(auction, stage) for stage, auctions in by_stage.items() for auction in auctions
                if stage != "ending" or auction not in later]  # fmt: skip
        auctions, stages = [auction for auction, _ in done], [stage for _, stage in done]
        await connection.execute(_STRIKE, auctions, stages, self._window_ms)
