"""The browsers that want push messages: each belongs to a session, and goes with it."""

import asyncpg
import msgspec

from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

SUBSCRIPTIONS_MAX = 20


class SubscriptionsFull(StoreError):
    """A user can't have more subscriptions."""

    code = "push_subscriptions_full"


class SubscriptionTaken(StoreError):
    """Another browser has this endpoint."""

    code = "push_subscription_taken"


class Subscription(msgspec.Struct, frozen=True):
    """Where a browser gets its messages, and the keys that encrypt them. ``p256dh``: 65 bytes, ``auth``: 16."""

    endpoint: str
    p256dh: bytes
    auth: bytes


class KnownSubscription(msgspec.Struct, frozen=True):
    """A subscription as its owner sees it."""

    id: int
    device: str
    session: str
    endpoint: str
    created_at: int


_LOCK_OWNER = "SELECT true FROM users WHERE user_id = $1 FOR NO KEY UPDATE"
_COUNT = "SELECT count(*) FROM push_subscriptions WHERE user_id = $1 AND endpoint <> $2"
# The same browser may belong to another user by now; who does not know its keys is not that browser.
_ADD = """
    INSERT INTO push_subscriptions AS s (user_id, family, endpoint, p256dh, auth, created_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (endpoint) DO UPDATE SET user_id = excluded.user_id, family = excluded.family,
        p256dh = excluded.p256dh, auth = excluded.auth, created_at = excluded.created_at
        WHERE s.auth = excluded.auth AND s.p256dh = excluded.p256dh OR s.user_id = excluded.user_id
    RETURNING subscription_id, (SELECT device FROM log_ins l WHERE l.family = s.family), family, endpoint, created_at
"""
_OF = """
    SELECT s.subscription_id, l.device, s.family, s.endpoint, s.created_at FROM push_subscriptions s
    JOIN log_ins l USING (family) WHERE s.user_id = $1 ORDER BY s.subscription_id DESC
"""
_REMOVE = "DELETE FROM push_subscriptions WHERE user_id = $1 AND subscription_id = $2"
_GONE = "DELETE FROM push_subscriptions WHERE endpoint = ANY($1::text[])"


class PushSubscriptions:
    """The table ``push_subscriptions``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, user: int, session: str, new: Subscription, now_ms: int) -> KnownSubscription | None:
        """Remember one; the same endpoint again is no second one. None: the session has ended.

        Raises SubscriptionsFull and SubscriptionTaken.
        """
        try:
            async with guard(), self._pool.acquire() as connection, connection.transaction():
                await connection.fetchval(_LOCK_OWNER, user)
                if await connection.fetchval(_COUNT, user, new.endpoint) >= SUBSCRIPTIONS_MAX:
                    raise SubscriptionsFull(f"nobody can have more than {SUBSCRIPTIONS_MAX}: remove one")
                values = user, session, new.endpoint, new.p256dh, new.auth, now_ms
                added = await connection.fetchrow(_ADD, *values)
        except asyncpg.ForeignKeyViolationError:
            return None
        if added is None:
            raise SubscriptionTaken("this endpoint belongs to another browser")
        return KnownSubscription(*added)

    async def of(self, user: int) -> list[KnownSubscription]:
        """Those of a user, the newest first."""
        return [KnownSubscription(*row) for row in await guarded(self._pool.fetch(_OF, user))]

    async def remove(self, user: int, subscription: int) -> None:
        """Remove one; nothing happens where this user has no such one."""
        await guarded(self._pool.execute(_REMOVE, user, subscription))

    async def gone(self, endpoints: list[str]) -> None:
        """Their push services don't know these any more."""
        await guarded(self._pool.execute(_GONE, endpoints))
