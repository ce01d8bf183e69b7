"""The table ``card_fingerprints``: which cards' pictures look like one in a photograph.

A trigger adds a row for each card with pictures, and makes it due again when they change.
"""

from collections.abc import Sequence

import asyncpg
import msgspec

from persistence.catalog.reading import planned
from persistence.postgres.guard import guarded

BITS = 256
DUE_MAX = 1_000
ASKED_MAX = 16
NEAREST_MAX = 10


class Due(msgspec.Struct, frozen=True):
    """A card whose fingerprint has to be computed, from its pictures."""

    card_id: int
    version: int
    attempts: int
    images: Sequence[str]


class Computed(msgspec.Struct, frozen=True):
    """The outcome: a fingerprint of BITS bits, or None. ``due_at``: when to try again (ms); None: never."""

    card_id: int
    version: int
    fingerprint: bytes | None
    due_at: int | None = None


class Near(msgspec.Struct, frozen=True):
    """A card, and how many bits its fingerprint differs from the nearest of those that were asked for."""

    card_id: int
    distance: int
    # The place of that one among them.
    nearest: int


_DUE = """
    SELECT card_id, version, attempts, coalesce(images, '{}') FROM card_fingerprints LEFT JOIN cards USING (card_id)
    WHERE due_at <= $1 ORDER BY due_at, card_id LIMIT $2
"""
# What was computed from pictures that have been replaced meanwhile changes nothing.
_RECORD = """
    UPDATE card_fingerprints f SET fingerprint = u.fingerprint, due_at = u.due_at, attempts = f.attempts + 1
    FROM unnest($1::bigint[], $2::int[], $3::bit(256)[], $4::bigint[]) AS u (card_id, version, fingerprint, due_at)
    WHERE f.card_id = u.card_id AND f.version = u.version
"""


class CardFingerprints:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def due(self, now_ms: int, limit: int) -> list[Due]:
        """Those that wait longest."""
        rows = await guarded(self._pool.fetch(_DUE, now_ms, min(limit, DUE_MAX)))
        return [Due(*row) for row in rows]

    async def record(self, computed: Sequence[Computed]) -> None:
        """Store these outcomes."""
        columns = (
            [one.card_id for one in computed],
            [one.version for one in computed],
            [None if one.fingerprint is None else _bits(one.fingerprint) for one in computed],
            [one.due_at for one in computed],
        )
        await guarded(self._pool.execute(_RECORD, *columns))

    async def nearest(self, fingerprints: Sequence[bytes], limit: int) -> list[Near]:
        """The cards nearest to any of these (ASKED_MAX at the most), the nearest first: a scan of all fingerprints."""
        asked = fingerprints[:ASKED_MAX]
        if not asked:
            return []
        async with planned(self._pool) as connection:
            rows = await connection.fetch(_nearest(len(asked)), *map(_bits, asked), min(limit, NEAREST_MAX))
        return [_near(row[0], row[1].bytes, asked) for row in rows]


def _nearest(count: int) -> str:
    distances = ", ".join(f"bit_count(fingerprint # ${number}::bit(256))" for number in range(1, count + 1))
    return f"""
        SELECT card_id, fingerprint FROM card_fingerprints WHERE fingerprint IS NOT NULL
        ORDER BY least({distances}), card_id LIMIT ${count + 1}
    """


def _near(card_id: int, fingerprint: bytes, asked: Sequence[bytes]) -> Near:
    value = int.from_bytes(fingerprint, "big")
    distances = [(value ^ int.from_bytes(one, "big")).bit_count() for one in asked]
    distance = min(distances)
    return Near(card_id, distance, distances.index(distance))


def _bits(fingerprint: bytes) -> asyncpg.BitString:
    return asyncpg.BitString.frombytes(fingerprint, BITS)
