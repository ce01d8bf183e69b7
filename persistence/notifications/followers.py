"""Notifies the followers of sellers of what these list, a page of followers a job.

``Alerts`` adds the first job when it handles an opening; each page adds the job of the next one in its transaction.
"""

from collections.abc import Sequence

import asyncpg

from domain.ids import parse_id
from persistence.jobs.store import Claimed, complete_within
from persistence.notifications.alerts import BATCH_TIMEOUT_S, store_found
from persistence.postgres.guard import guard

NOTIFY_FOLLOWERS = "notify_followers"
FOLLOWERS_PAGE = 1_000

_AUCTION = "SELECT seller_id FROM auctions WHERE auction_id = $1"
_NEXT = """
    SELECT max(follow_id) FROM (SELECT follow_id FROM follows WHERE followed_id = $1 AND follow_id > $2
        ORDER BY follow_id LIMIT $3) AS page
"""
_NOTIFY = f"""
    WITH found AS (
        SELECT f.follower_id AS user_id, 'seller_listed' AS kind, format('seller listed %s', a.auction_id) AS about,
            jsonb_build_object('seller', a.seller_name, 'auction', jsonb_build_object('id', id_text(a.auction_id),
                'title', a.title, 'status', a.status, 'price', a.price, 'ends_at', a.ends_at)) AS data
        FROM auctions a JOIN follows f ON f.followed_id = a.seller_id AND f.follow_id > $2 AND f.follow_id <= $3
        WHERE a.auction_id = $1 AND a.status = 'open'
            AND NOT EXISTS (SELECT FROM user_mutes m WHERE m.user_id = f.follower_id AND m.muted_id = a.seller_id)
    ), {store_found("$4")}
"""
_MORE = """
    INSERT INTO jobs (kind, key, run_at) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING
"""


class FollowerAlerts:
    """Writes the notifications for one page of followers."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def notify(self, jobs: Sequence[Claimed], now_ms: int) -> list[int]:
        """Notify a page for each job, and complete it; returns the users with new notifications.

        The keys are an auction, and the last follow of the pages before. Raises StoreUnavailable, LeaseLost.
        """
        users: list[int] = []
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            for job in jobs:
                auction, _, after = job.key.partition(":")
                id_, first = parse_id(auction), int(after)
                seller = await connection.fetchval(_AUCTION, id_)
                last = await connection.fetchval(_NEXT, seller, first, FOLLOWERS_PAGE)
                if last is not None:
                    rows = await connection.fetch(_NOTIFY, id_, first, last, now_ms, timeout=BATCH_TIMEOUT_S)
                    users += [row[0] for row in rows]
                    await connection.execute(_MORE, NOTIFY_FOLLOWERS, f"{auction}:{last}")
            await complete_within(connection, jobs)
        return users
