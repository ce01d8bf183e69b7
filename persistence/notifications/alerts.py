"""Notifications about auctions: of cards that users look for or watch, and of auctions that they watch.

Triggers on ``auctions`` write a job of the kind ``notify`` when an auction opens or ends, in the same transaction.
The jobs are completed in the transaction that writes the notifications, so each is written once.
"""

from collections.abc import Sequence

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from domain.ids import parse_id
from persistence.jobs.store import Claimed, complete_within
from persistence.postgres.guard import guard

NOTIFY = "notify"
BATCH_TIMEOUT_S = 30.0
ENDING_WINDOW_MS = 15 * 60 * 1000


def store_found(now: str) -> str:
    """The rest of a statement that stores the rows of ``found`` (user_id, kind, about, data); ``now`` is a parameter.

    They are numbered for each user, one after the other without gaps: two that notify the same user wait for each other
    at the row of notification_heads. The result are the users; who was notified of the same before, or has turned
    the kind off, is not one of them.
    """
    return f"""fresh AS (
        SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY about) AS place,
            count(*) OVER (PARTITION BY user_id) AS all_of_them
        FROM found f
        WHERE NOT EXISTS (SELECT FROM notifications n WHERE n.user_id = f.user_id AND n.about = f.about)
            AND NOT EXISTS (SELECT FROM notification_preferences p
                WHERE p.user_id = f.user_id AND p.kind = f.kind AND NOT p.in_app)
    ), heads AS (
        INSERT INTO notification_heads (user_id, seq)
        SELECT user_id, count(*) FROM fresh GROUP BY user_id ORDER BY user_id
        ON CONFLICT (user_id) DO UPDATE SET seq = notification_heads.seq + excluded.seq
        RETURNING user_id, seq
    ), written AS (
        INSERT INTO notifications (user_id, seq, kind, about, data, at)
        SELECT f.user_id, h.seq - f.all_of_them + f.place, f.kind, f.about, f.data, {now}
        FROM fresh f JOIN heads h USING (user_id)
    )
    SELECT user_id FROM heads"""


# Who gets which notification: (user, kind, about, data). Searches agree with those of catalog/reading.py; a price is
# that of the new auction, and that of a bundle is no price of one card (catalog/market.py).
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
            AND NOT EXISTS (SELECT FROM user_mutes m WHERE m.user_id = s.user_id AND m.muted_id = o.seller_id)
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
            AND NOT EXISTS (SELECT FROM user_mutes m WHERE m.user_id = w.user_id AND m.muted_id = o.seller_id)
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
        UNION ALL SELECT a.winner_id, 'auction_won', format('won %s', a.auction_id),
            jsonb_build_object('auction', a.shown)
        FROM auction a JOIN users u ON u.user_id = a.winner_id
        WHERE a.auction_id = ANY($3::bigint[]) AND a.status = 'closed' AND u.email_key NOT LIKE '%.invalid'
    )
"""

_NOTIFY = f"WITH {_MATCHED}, {store_found('$4')}"

# What opened will end; an end that has moved since is notified of later.
_ENDINGS = """
    INSERT INTO jobs (kind, key, run_at) SELECT 'notify', 'ending:' || id_text(auction_id), ends_at - $2::bigint
    FROM auctions WHERE auction_id = ANY($1::bigint[]) AND status = 'open'
    ON CONFLICT DO NOTHING
"""
# The first page of those who follow the sellers of what opened (followers.py).
_FOLLOWERS = """
    INSERT INTO jobs (kind, key, run_at) SELECT 'notify_followers', id_text(auction_id) || ':0', 0
    FROM auctions a WHERE auction_id = ANY($1::bigint[]) AND status = 'open'
        AND EXISTS (SELECT FROM follows WHERE followed_id = a.seller_id)
    ON CONFLICT DO NOTHING
"""
_LATER = """
    UPDATE jobs j SET claim = NULL, worker = NULL, attempts = 0, run_at = a.ends_at - $3::bigint FROM auctions a
    WHERE j.kind = 'notify' AND j.key = 'ending:' || id_text(a.auction_id) AND j.claim = $4
        AND a.auction_id = ANY($1::bigint[]) AND a.status = 'open' AND a.ends_at > $2::bigint + $3::bigint
    RETURNING j.key
"""


class Alerts:
    """Writes the notifications for batches of jobs."""

    def __init__(self, pool: asyncpg.Pool, ending_window_ms: int = ENDING_WINDOW_MS) -> None:
        self._pool = pool
        self._window_ms = ending_window_ms

    async def notify(self, jobs: Sequence[Claimed], now_ms: int) -> list[int]:
        """Notify users, and complete the jobs, in one transaction; returns the users with new notifications.

        The keys are ``opened:``, ``ending:`` or ``ended:`` and an auction's id. Raises StoreUnavailable, LeaseLost.
        """
        by_stage: dict[str, list[int]] = {"opened": [], "ending": [], "ended": []}
        for job in jobs:
            stage, _, auction = job.key.partition(":")
            by_stage[stage].append(parse_id(auction))
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_NOTIFY, *by_stage.values(), now_ms, self._window_ms, timeout=BATCH_TIMEOUT_S)
            await self._complete(connection, jobs, by_stage, now_ms)
        return [row[0] for row in rows]

    async def _complete(
        self, connection: PoolConnectionProxy, jobs: Sequence[Claimed], by_stage: dict[str, list[int]], now_ms: int
    ) -> None:
        await connection.execute(_ENDINGS, by_stage["opened"], self._window_ms)
        await connection.execute(_FOLLOWERS, by_stage["opened"])
        later = await connection.fetch(_LATER, by_stage["ending"], now_ms, self._window_ms, jobs[0].claim)
        moved = {row[0] for row in later}
        await complete_within(connection, [job for job in jobs if job.key not in moved])
