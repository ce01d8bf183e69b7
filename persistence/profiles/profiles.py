"""Public profiles, and the preferences of users."""

import asyncpg
import msgspec

from domain.users import DELETED_PREFIX
from persistence.postgres.guard import guarded

# Larger counts are not counted.
COUNTED_MAX = 10_000


class Preferences(msgspec.Struct, frozen=True):
    """What a user prefers, with the defaults. Others don't see a private collection, nor its size."""

    locale: str = "en"
    time_zone: str = "UTC"
    currency: str = "USDC"
    private_collection: bool = False
    private_follows: bool = False
    private_wins: bool = False
    # As ``22:30``, by the clock of the time zone: no push messages from then on, until then.
    quiet_from: str | None = None
    quiet_until: str | None = None
    # Base units: a client asks before it sends a bid above it. None: it never asks.
    confirm_bids_above: int | None = 100_000_000


class Profile(msgspec.Struct, frozen=True):
    """A profile; counts are None where the user does not show them, and COUNTED_MAX at most."""

    user: int
    username: str
    joined_at: int
    display_name: str | None
    bio: str | None
    avatar: str | None
    copies: int | None
    followers: int | None
    following: int | None
    trades: int
    sales: int


class FoundUser(msgspec.Struct, frozen=True):
    """A user, as a search finds them."""

    user: int
    username: str
    display_name: str | None
    avatar: str | None


def _counted(table: str, condition: str) -> str:
    return f"(SELECT count(*) FROM (SELECT FROM {table} WHERE {condition} LIMIT {COUNTED_MAX}) AS counted)"


_TRADES = "SELECT DISTINCT trade_id FROM trade_copies WHERE u.user_id IN (giver_id, receiver_id)"
_GET = f"""
    SELECT u.user_id, u.username, (extract(epoch FROM u.created_at) * 1000)::bigint, p.display_name, p.bio, p.avatar,
        CASE WHEN (p.preferences->>'private_collection')::boolean IS NOT TRUE OR $2
            THEN {_counted("copies", "owner_id = u.user_id")} END,
        CASE WHEN (p.preferences->>'private_follows')::boolean IS NOT TRUE OR $2
            THEN {_counted("follows", "followed_id = u.user_id")} END,
        CASE WHEN (p.preferences->>'private_follows')::boolean IS NOT TRUE OR $2
            THEN {_counted("follows", "follower_id = u.user_id")} END,
        {_counted(f"({_TRADES}) AS t", "true")},
        {_counted("sales", "seller_id = u.user_id")}
    FROM users u LEFT JOIN profiles p USING (user_id) WHERE u.user_id = $1
"""
_CHANGE = """
    INSERT INTO profiles (user_id, display_name, bio, avatar) VALUES ($1, $3, $4, $5)
    ON CONFLICT (user_id) DO UPDATE SET
        display_name = CASE WHEN 'display_name' = ANY($2::text[]) THEN $3 ELSE profiles.display_name END,
        bio = CASE WHEN 'bio' = ANY($2::text[]) THEN $4 ELSE profiles.bio END,
        avatar = CASE WHEN 'avatar' = ANY($2::text[]) THEN $5 ELSE profiles.avatar END
"""
_PREFERENCES = "SELECT preferences::text FROM profiles WHERE user_id = $1"
_PREFER = """
    INSERT INTO profiles (user_id, preferences) VALUES ($1, $2::text::jsonb)
    ON CONFLICT (user_id) DO UPDATE SET preferences = profiles.preferences || excluded.preferences
"""
_IS_IMAGE = "SELECT EXISTS (SELECT FROM content WHERE cid = $1 AND media_type LIKE 'image/%')"
# These operators compare bytes, as the index does; a name has no byte as high as that of `~`.
_FIND = f"""
    SELECT u.user_id, u.username, p.display_name, p.avatar FROM users u LEFT JOIN profiles p USING (user_id)
    WHERE lower(u.username) ~>=~ $1 AND lower(u.username) ~<~ ($1 || '~') AND u.user_id <> $2
        AND lower(u.username) NOT LIKE '{DELETED_PREFIX}%'
    ORDER BY lower(u.username) USING ~<~ LIMIT $3
"""
_LIKE_ANOTHER = "SELECT EXISTS (SELECT FROM users WHERE skeleton = $1 AND user_id <> $2)"


class Profiles:
    """The table ``profiles``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def get(self, user: int, own: bool) -> Profile:
        """A profile of a user who exists; ``own``: as the user sees it."""
        row = await guarded(self._pool.fetchrow(_GET, user, own))
        assert row is not None, "users stay"
        return Profile(*row)

    async def find(self, prefix: str, but: int, limit: int) -> list[FoundUser]:
        """Users whose names begin so, in any case, in the order of their names; ``but`` one, without deleted ones."""
        return [FoundUser(*row) for row in await guarded(self._pool.fetch(_FIND, prefix.lower(), but, limit))]

    async def change(self, user: int, changed: dict[str, str | None]) -> None:
        """Change ``display_name``, ``bio`` or ``avatar``; those that are missing stay."""
        values = (changed.get(name) for name in ("display_name", "bio", "avatar"))
        await guarded(self._pool.execute(_CHANGE, user, list(changed), *values))

    async def is_image(self, cid: str) -> bool:
        """Whether this content is a stored image."""
        found: bool = await guarded(self._pool.fetchval(_IS_IMAGE, cid))
        return found

    async def is_like_another(self, user: int, skeleton: str) -> bool:
        """Whether another user's name has this skeleton (domain/users.py)."""
        found: bool = await guarded(self._pool.fetchval(_LIKE_ANOTHER, skeleton, user))
        return found

    async def preferences(self, user: int) -> Preferences:
        """What was set, or the defaults."""
        text = await guarded(self._pool.fetchval(_PREFERENCES, user))
        return msgspec.json.decode(text or "{}", type=Preferences)

    async def prefer(self, user: int, changed: dict[str, object]) -> None:
        """Change these preferences."""
        await guarded(self._pool.execute(_PREFER, user, msgspec.json.encode(changed).decode()))
