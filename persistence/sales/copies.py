"""Copies of cards: making, gifts, owners and provenance."""

from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import CARD_NOT_FOUND, COPY_NOT_FOUND, COPY_NOT_FREE, EDITION_FULL, NOT_YOUR_COPY
from persistence.postgres.guard import guard, guarded
from persistence.sales.listings import CopyRefusal

Answered = Callable[[PoolConnectionProxy, list[int]], Awaitable[None]]

MAKE_MAX = 1_000
PAGE_MAX = 100


class Copy(msgspec.Struct, frozen=True):
    """One copy. ``grade`` in tenths, ``place`` free, listed, trade or withdrawn; ``locked_by``: in which auction."""

    id: int
    card: int
    card_name: str
    set: str
    number: str
    serial: int
    grader: str | None
    grade: int | None
    owner: int
    owner_name: str | None
    place: str
    locked_by: int | None
    cost: int | None
    acquired_at: int
    image: str | None
    set_name: str
    rarity: str


class Change(msgspec.Struct, frozen=True):
    """One change of owner. ``price`` is what was paid for this copy; ``event_hash`` that of the event behind it.

    ``source`` is an auction, or with ``traded`` a trade.
    """

    seq: int
    at: int
    reason: str
    from_name: str | None
    to_name: str | None
    price: int | None
    currency: str | None
    source: int | None
    event_hash: bytes | None
    traded: bool


class Rights(msgspec.Struct, frozen=True):
    """A card's creator (None: the house), and the royalties of each sale: (username, basis points)."""

    creator: str | None
    royalty: list[tuple[str | None, int]]


class NewCopies(msgspec.Struct, frozen=True):
    """``count`` copies of a card for ``owner``. A ``grade`` (tenths) comes with its ``grader``."""

    card: int
    count: int
    owner: int
    grader: str | None = None
    grade: int | None = None


_COPY = """
    SELECT c.copy_id, c.card_id, k.name, s.code, k.number, c.serial, c.grader, c.grade, c.owner_id, u.username, c.place,
        c.locked_by, c.cost, c.acquired_at, k.images[1], s.name, k.rarity
    FROM copies c JOIN cards k ON k.card_id = c.card_id JOIN card_sets s ON s.set_id = k.set_id
    LEFT JOIN users u ON u.user_id = c.owner_id
"""
_PAGE = f"""{_COPY} WHERE ($1::bigint IS NULL OR c.owner_id = $1) AND ($2::bigint IS NULL OR c.card_id = $2)
    AND ($3::text IS NULL OR c.place = $3) AND c.copy_id > $4 ORDER BY c.copy_id LIMIT $5"""

_PROVENANCE = """
    SELECT p.seq, p.at, p.reason, f.username, t.username, p.price, p.currency, p.source_id, p.event_hash,
        p.reason = 'trade' OR (p.reason = 'refund' AND EXISTS (
            SELECT FROM trade_copies r WHERE r.trade_id = p.source_id AND r.copy_id = p.copy_id))
    FROM provenance p LEFT JOIN users f ON f.user_id = p.from_owner LEFT JOIN users t ON t.user_id = p.to_owner
    WHERE p.copy_id = $1 AND p.seq > $2::bigint ORDER BY p.seq LIMIT $3
"""

# The card's row is locked: two who make copies of it number them one after the other.
_CARD = "SELECT edition, (SELECT coalesce(max(serial), 0) FROM copies c WHERE c.card_id = k.card_id) FROM cards k"
_LOCK_CARD = "SELECT creator_id FROM cards WHERE card_id = $1 FOR NO KEY UPDATE"
_MAKE = """
    WITH made AS (
        INSERT INTO copies (card_id, serial, grader, grade, owner_id, acquired_at)
        SELECT $1, serial, $4, $5, $6, $7 FROM generate_series($2::int, $3::int) AS serial
        RETURNING copy_id, serial
    ), recorded AS (
        INSERT INTO provenance (copy_id, seq, at, reason, to_owner) SELECT copy_id, 1, $7, 'made', $6 FROM made
    )
    SELECT copy_id FROM made ORDER BY serial
"""

_OF = """
    SELECT c.owner_id, c.place, p.reason = 'gift' AND p.from_owner = $2 FROM copies c
    JOIN provenance p ON p.copy_id = c.copy_id AND p.seq = c.provenance_seq
    WHERE c.copy_id = $1 FOR NO KEY UPDATE OF c
"""
_GIVE = """
    WITH moved AS (
        UPDATE copies SET owner_id = $3, cost = NULL, acquired_at = $4, provenance_seq = provenance_seq + 1
        WHERE copy_id = $1 RETURNING copy_id, provenance_seq
    )
    INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner)
    SELECT copy_id, provenance_seq, $4, 'gift', $2, $3 FROM moved
"""

_RIGHTS = """
    SELECT c.username, p.username, (payee ->> 1)::int FROM cards k
    LEFT JOIN users c ON c.user_id = k.creator_id
    LEFT JOIN LATERAL jsonb_array_elements(k.royalty) WITH ORDINALITY AS payees (payee, nth) ON true
    LEFT JOIN users p ON p.user_id = (payee ->> 0)::bigint
    WHERE k.card_id = $1 ORDER BY nth
"""

_SET_ROYALTY = "UPDATE cards SET royalty = $2::text::jsonb WHERE card_id = $1 RETURNING true"


class Copies:
    """The tables ``copies`` and ``provenance``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def get(self, copy: int) -> Copy | None:
        """One copy."""
        row = await guarded(self._pool.fetchrow(f"{_COPY} WHERE c.copy_id = $1", copy))
        return None if row is None else Copy(*row)

    async def some(self, copies: Sequence[int]) -> dict[int, Copy]:
        """Those of these that there are, by their ids."""
        rows = await guarded(self._pool.fetch(f"{_COPY} WHERE c.copy_id = ANY($1)", copies)) if copies else []
        return {row[0]: Copy(*row) for row in rows}

    async def page(
        self, after: int, limit: int, *, owner: int | None = None, card: int | None = None, place: str | None = None
    ) -> list[Copy]:
        """Copies in the order of their making, of this owner or card, in this place."""
        assert owner is not None or card is not None, "there is no index for all"
        rows = await guarded(self._pool.fetch(_PAGE, owner, card, place, after, min(limit, PAGE_MAX + 1)))
        return [Copy(*row) for row in rows]

    async def provenance(self, copy: int, after: int, limit: int) -> list[Change]:
        """Who had it, from its making on."""
        rows = await guarded(self._pool.fetch(_PROVENANCE, copy, after, min(limit, PAGE_MAX + 1)))
        return [Change(*row) for row in rows]

    async def make(self, new: NewCopies, now_ms: int, answered: Answered | None = None) -> list[int] | CopyRefusal:
        """New copies of a card, numbered on from its last: their ids. Refused where its edition has no room.

        ``answered`` stores the answer in the same transaction.
        """
        assert 1 <= new.count <= MAKE_MAX, "pages have a maximum"
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchrow(_LOCK_CARD, new.card) is None:
                return CopyRefusal(CARD_NOT_FOUND, new.card)
            room = await connection.fetchrow(f"{_CARD} WHERE card_id = $1", new.card)
            assert room is not None, "it is locked"
            edition, last = room
            if edition is not None and last + new.count > edition:
                return CopyRefusal(EDITION_FULL, new.card)
            rows = await connection.fetch(
                _MAKE, new.card, last + 1, last + new.count, new.grader, new.grade, new.owner, now_ms
            )
            made = [row[0] for row in rows]
            if answered is not None:
                await answered(connection, made)
        return made

    async def give(self, copy: int, owner: int, to: int, now_ms: int) -> CopyRefusal | None:
        """Make a free copy another's. Again: it is theirs already."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_OF, copy, owner)
            if row is None:
                return CopyRefusal(COPY_NOT_FOUND, copy)
            if row[0] == to and row[2]:
                return None
            if row[0] != owner:
                return CopyRefusal(NOT_YOUR_COPY, copy)
            if row[1] != "free":
                return CopyRefusal(COPY_NOT_FREE, copy)
            await connection.execute(_GIVE, copy, owner, to, now_ms)
        return None

    async def rights(self, card: int) -> Rights:
        """Who made a card, and whose royalties there are."""
        rows = await guarded(self._pool.fetch(_RIGHTS, card))
        return Rights(rows[0][0] if rows else None, [(row[1], row[2]) for row in rows if row[2] is not None])

    async def set_royalty(self, card: int, payees: Sequence[tuple[int, int]]) -> bool:
        """Who gets how much of each later sale of a card: (user, basis points). False where there is no such card."""
        encoded = msgspec.json.encode(list(payees)).decode()
        return bool(await guarded(self._pool.fetchval(_SET_ROYALTY, card, encoded)))
