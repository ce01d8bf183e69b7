"""Which kinds of notifications a user gets, and by which channel."""

import asyncpg
import msgspec

from persistence.postgres.guard import guarded


class Channels(msgspec.Struct, frozen=True):
    """By which channels a kind of notification is sent."""

    in_app: bool = True
    email: bool = False
    push: bool = False


_IN_APP, _ALL = Channels(), Channels(email=True, push=True)

# Every kind, with its defaults. ``in_app`` is on for all: what is written excludes only who has turned a kind off.
DEFAULTS = {
    "outbid": _ALL, "auction_won": _ALL,
    "search_match": _IN_APP, "card_listed": _IN_APP, "auction_ending": _ALL, "auction_ended": _ALL,
    "seller_listed": _ALL, "trade_offered": _ALL, "trade_countered": _IN_APP, "trade_agreed": _IN_APP,
    "trade_executed": _IN_APP, "trade_disputed": _ALL, "trade_judged": _ALL, "trade_reversed": _ALL,
    "trade_ended": _IN_APP, "deposit": _IN_APP, "withdrawal_paid": _IN_APP, "withdrawal_failed": _ALL,
    "card_withdrawn": _IN_APP, "card_withdrawal_failed": _ALL, "card_deposited": _IN_APP, "card_left": _IN_APP,
    "card_received": _IN_APP, "swap": _IN_APP, "sale_cancelled": _ALL, "account_suspended": _ALL,
    "account_reinstated": _ALL,
}  # fmt: skip

_SET = "SELECT kind, in_app, email, push FROM notification_preferences WHERE user_id = $1"
_PUT = """
    INSERT INTO notification_preferences AS p (user_id, kind, in_app, email, push)
    VALUES ($1, $2, $3, $4, coalesce($5::boolean, $6::boolean))
    ON CONFLICT (user_id, kind)
    DO UPDATE SET in_app = excluded.in_app, email = excluded.email, push = coalesce($5::boolean, p.push)
"""
_END_EMAIL = """
    INSERT INTO notification_preferences (user_id, kind, in_app, email, push)
    SELECT user_id, $2, $3, false, $4 FROM users WHERE user_id = $1
    ON CONFLICT (user_id, kind) DO UPDATE SET email = false
"""


class NotificationPreferences:
    """The table ``notification_preferences``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, user: int) -> dict[str, Channels]:
        """All kinds, as the user has set them or by default."""
        rows = await guarded(self._pool.fetch(_SET, user))
        return DEFAULTS | {row[0]: Channels(*row[1:]) for row in rows}

    async def put(self, user: int, kind: str, in_app: bool, email: bool, push: bool | None = None) -> None:
        """Set the channels of one kind; without ``push`` that one stays as it is."""
        await guarded(self._pool.execute(_PUT, user, kind, in_app, email, push, DEFAULTS[kind].push))

    async def end_email(self, user: int, kind: str) -> None:
        """No more e-mail of this kind; the other channels stay as they are."""
        await guarded(self._pool.execute(_END_EMAIL, user, kind, DEFAULTS[kind].in_app, DEFAULTS[kind].push))
