"""What is pushed of notifications: those of one user and kind together, at most once in PACE_MS."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from persistence.notifications.preferences import DEFAULTS
from persistence.postgres.guard import guarded
from persistence.profiles.profiles import Preferences
from persistence.push.subscriptions import Subscription

PUSH_NOTIFICATIONS = "push_notifications"
PACE_MS = 30_000
# What is older was not sent in time, and is not any more.
AGE_MAX_MS = 12 * 3600 * 1000


class PushDigest(msgspec.Struct, frozen=True):
    """What to push. ``data``: of the newest, of ``total``; ``seq``: its number. ``wait_ms``: not yet."""

    subscriptions: Sequence[Subscription]
    preferences: Preferences
    data: Mapping[str, Any]
    total: int
    seq: int
    wait_ms: int


_DUE = """
    SELECT n.data::text, n.total, n.seq, coalesce(d.sent_at, 0) AS sent_at,
        (SELECT preferences::text FROM profiles WHERE user_id = $1) AS preferences
    FROM (SELECT) AS one
    LEFT JOIN push_digests d ON d.user_id = $1 AND d.kind = $2
    LEFT JOIN notification_preferences p ON p.user_id = $1 AND p.kind = $2
    CROSS JOIN LATERAL (
        SELECT data, seq, count(*) OVER () AS total FROM notifications
        WHERE user_id = $1 AND kind = $2 AND seq > coalesce(d.seq, 0) AND at > $3 AND read_at IS NULL
        ORDER BY seq DESC LIMIT 1
    ) n
    WHERE coalesce(p.push, $4)
"""
_SUBSCRIPTIONS = """
    SELECT s.endpoint, s.p256dh, s.auth FROM push_subscriptions s JOIN log_ins l USING (family)
    WHERE s.user_id = $1 AND l.expires_at > $2
"""
_SENT = """
    INSERT INTO push_digests (user_id, kind, sent_at, seq) VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id, kind) DO UPDATE SET sent_at = excluded.sent_at, seq = greatest(push_digests.seq, excluded.seq)
"""
_data = msgspec.json.Decoder(dict[str, Any]).decode
_preferences = msgspec.json.Decoder(Preferences).decode


class NotificationPushes:
    """The table ``push_digests``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def due(self, user: int, kind: str, now_ms: int) -> PushDigest | None:
        """What to push to this user; None where there is nothing, push is off, or no browser is subscribed."""
        default = kind in DEFAULTS and DEFAULTS[kind].push
        row = await guarded(self._pool.fetchrow(_DUE, user, kind, now_ms - AGE_MAX_MS, default))
        if row is None:
            return None
        subscriptions = await guarded(self._pool.fetch(_SUBSCRIPTIONS, user, now_ms))
        if not subscriptions:
            return None
        return PushDigest(
            [Subscription(*one) for one in subscriptions],
            _preferences(row["preferences"] or "{}"),
            _data(row["data"]),
            row["total"],
            row["seq"],
            max(0, row["sent_at"] + PACE_MS - now_ms),
        )

    async def sent(self, user: int, kind: str, seq: int, now_ms: int) -> None:
        """These were pushed, up to this one."""
        await guarded(self._pool.execute(_SENT, user, kind, now_ms, seq))
