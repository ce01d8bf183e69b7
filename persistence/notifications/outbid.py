"""Notifies users who led an auction and were outbid. A trigger on ``auctions`` adds the job, some seconds ahead."""

from collections.abc import Sequence

import asyncpg

from domain.ids import parse_id
from persistence.jobs.store import Claimed, complete_within
from persistence.notifications.alerts import BATCH_TIMEOUT_S, store_found
from persistence.postgres.guard import guard

NOTIFY_OUTBID = "notify_outbid"

# Who leads again by now, or can't bid any more, is not notified.
_NOTIFY = f"""
    WITH found AS (
        SELECT w.user_id, 'outbid' AS kind, format('outbid %s %s', a.auction_id, a.seq) AS about,
            jsonb_build_object('auction', jsonb_build_object('id', id_text(a.auction_id), 'title', a.title,
                'status', a.status, 'price', a.price, 'minimum', a.minimum, 'ends_at', a.ends_at)) AS data
        FROM unnest($1::bigint[], $2::bigint[]) AS w (auction_id, user_id)
        JOIN auctions a USING (auction_id)
        WHERE a.status = 'open' AND a.leader_id <> w.user_id
    ), {store_found("$3")}
"""


class OutbidAlerts:
    """Writes the notifications for batches of jobs."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def notify(self, jobs: Sequence[Claimed], now_ms: int) -> list[int]:
        """Notify users, and complete the jobs, in one transaction; returns the users with new notifications.

        The keys are an auction and a user. Raises StoreUnavailable, LeaseLost.
        """
        pairs = [tuple(map(parse_id, job.key.split(":"))) for job in jobs]
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            columns = zip(*pairs, strict=True)
            rows = await connection.fetch(_NOTIFY, *columns, now_ms, timeout=BATCH_TIMEOUT_S)
            await complete_within(connection, jobs)
        return [row[0] for row in rows]
