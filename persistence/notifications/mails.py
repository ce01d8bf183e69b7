"""What is mailed of notifications: those of one user and kind together, at most once in PACE_MS."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from persistence.identity.emails import address_in
from persistence.keys.emails import EmailCipher
from persistence.notifications.preferences import DEFAULTS
from persistence.postgres.guard import guarded

MAIL_NOTIFICATIONS = "mail_notifications"
PACE_MS = 600_000
LISTED_MAX = 20
# What is older was not mailed in time, and is not any more.
AGE_MAX_MS = 24 * 3600 * 1000


class Digest(msgspec.Struct, frozen=True):
    """What to mail. ``data``: the newest of them, of ``total``; ``seq``: the last one. ``wait_ms``: not yet."""

    address: str
    username: str
    data: Sequence[Mapping[str, Any]]
    total: int
    seq: int
    wait_ms: int


_DIGEST = """
    SELECT u.email, u.email_key, u.email_key_id, u.email_sealed, u.username, coalesce(d.sent_at, 0) AS sent_at,
        n.data, n.total, n.seq
    FROM users u
    LEFT JOIN mail_digests d ON d.user_id = u.user_id AND d.kind = $2
    LEFT JOIN notification_preferences p ON p.user_id = u.user_id AND p.kind = $2
    CROSS JOIN LATERAL (
        SELECT jsonb_agg(data ORDER BY seq DESC) FILTER (WHERE place <= $5)::text AS data, count(*) AS total,
            max(seq) AS seq
        FROM (
            SELECT data, seq, row_number() OVER (ORDER BY seq DESC) AS place FROM notifications
            WHERE user_id = u.user_id AND kind = $2 AND seq > coalesce(d.seq, 0) AND at > $3 AND read_at IS NULL
        ) AS newer
    ) n
    WHERE u.user_id = $1 AND u.verified_at IS NOT NULL AND n.total > 0 AND coalesce(p.email, $4)
"""
_SENT = """
    INSERT INTO mail_digests (user_id, kind, sent_at, seq) VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id, kind) DO UPDATE SET sent_at = excluded.sent_at, seq = greatest(mail_digests.seq, excluded.seq)
"""
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode


class NotificationMails:
    """The table ``mail_digests``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, emails: EmailCipher | None = None) -> None:
        """``emails``: as of UserStore."""
        self._pool = pool
        self._emails = emails

    async def due(self, user_id: int, kind: str, now_ms: int) -> Digest | None:
        """What to mail to this user; None where there is nothing, or e-mail is off."""
        default = kind in DEFAULTS and DEFAULTS[kind].email
        arguments = user_id, kind, now_ms - AGE_MAX_MS, default, LISTED_MAX
        row = await guarded(self._pool.fetchrow(_DIGEST, *arguments))
        if row is None:
            return None
        wait_ms = max(0, row["sent_at"] + PACE_MS - now_ms)
        address, data = address_in(row, self._emails), _decode(row["data"])
        if not address:
            # It is encrypted, and this process does not read such ones.
            return None
        return Digest(address, row["username"], data, row["total"], row["seq"], wait_ms)

    async def sent(self, user_id: int, kind: str, seq: int, now_ms: int) -> None:
        """These were mailed, up to this one."""
        await guarded(self._pool.execute(_SENT, user_id, kind, now_ms, seq))
