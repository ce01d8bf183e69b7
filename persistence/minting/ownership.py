"""Who has the minted cards: what the database says, and what follows from a look at the chain."""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text
from domain.minting.custody import NOBODY
from persistence.jobs.rows import JobRow
from persistence.jobs.store import add_within
from persistence.postgres.guard import guard, guarded

END_LISTING = "end_listing"
"""The kind of the job that ends an auction whose card is gone; its key is the auction's id."""

PAGE_MAX = 1_000


class Holding(msgspec.Struct, frozen=True):
    """A minted copy. ``holder`` is the wallet that had it as of ``slot``.

    ``moving``: a job, a withdrawal or a swap that moves it is not finished.
    """

    copy: int
    asset: str
    standard: str
    holder: str
    slot: int
    owner: int
    owner_name: str | None
    place: str
    moving: bool
    card: int


class SeenHolder(msgspec.Struct, frozen=True):
    """A copy that another wallet than the known one has, as of a final slot."""

    copy: int
    holder: str
    slot: int


_MOVING = """
    (EXISTS (SELECT FROM chain_jobs j WHERE j.moved_copy = a.copy_id AND j.state IN ('queued', 'signed'))
        OR EXISTS (SELECT FROM card_withdrawals w WHERE w.copy_id = a.copy_id AND w.state = 'sending')
        OR EXISTS (SELECT FROM swap_copies s JOIN swaps USING (swap_id) WHERE s.copy_id = a.copy_id AND state = 'sent'))
"""
_HOLDING = f"""
    SELECT a.copy_id, a.address, a.standard, a.holder, coalesce(a.holder_slot, 0), c.owner_id, u.username, c.place,
        {_MOVING}, c.card_id
    FROM assets a JOIN copies c USING (copy_id) LEFT JOIN users u ON u.user_id = c.owner_id
    WHERE a.state = 'minted'
"""
_PAGE = f"{_HOLDING} AND a.copy_id > $1 ORDER BY a.copy_id LIMIT $2"
_OF = f"{_HOLDING} AND a.copy_id = $1"
_OF_ASSETS = f"{_HOLDING} AND a.address = ANY($1::text[])"
_OF_CARD = f"{_HOLDING} AND c.card_id = $1 AND a.copy_id > $2 ORDER BY a.copy_id LIMIT $3"
_STANDARDS = "SELECT DISTINCT standard FROM mints"
# As the triggers of migration 0023 do. What moves already is left alone.
_MOVE_AGAIN = f"""
    WITH numbered AS (
        UPDATE assets a SET moves = moves + 1 WHERE copy_id = ANY($1::bigint[]) AND state = 'minted' AND NOT {_MOVING}
        RETURNING copy_id, moves
    )
    SELECT count(*) FROM (SELECT add_move(copy_id, moves, NULL) FROM numbered OFFSET 0) AS added
"""
_COUNT = "SELECT count(*) FROM assets WHERE state = 'minted'"

# Only a later slot than the known one counts, and nothing while we move the card ourselves: a node may lag behind.
_LOCK = "SELECT FROM copies WHERE copy_id = $1 FOR NO KEY UPDATE"
# A statement of its own: it sees the jobs of whoever had the lock before.
_HELD_BY_ANOTHER = f"""
    SELECT c.owner_id, c.place, c.locked_by FROM copies c JOIN assets a USING (copy_id)
    WHERE c.copy_id = $1 AND a.holder <> $2 AND coalesce(a.holder_slot, 0) < $3 AND NOT {_MOVING}
"""
_OWNER = """
    SELECT user_id, true FROM custodial_wallets WHERE address = $1
    UNION ALL SELECT user_id, false FROM linked_wallets WHERE address = $1 LIMIT 1
"""
_PUT = """
    UPDATE copies SET place = $2, locked_by = NULL, locked_at = NULL, owner_id = $3,
        cost = CASE WHEN owner_id = $3 THEN cost END,
        acquired_at = CASE WHEN owner_id = $3 THEN acquired_at ELSE $4 END,
        provenance_seq = provenance_seq + CASE WHEN owner_id = $3 THEN 0 ELSE 1 END
    WHERE copy_id = $1 RETURNING provenance_seq
"""
_PROVENANCE = """
    INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner) VALUES ($1, $2, $5, 'outside', $3, $4)
"""
_HELD = "UPDATE assets SET holder = $2, holder_slot = $3, moving_to = NULL WHERE copy_id = $1"
_NOTIFY = "SELECT notify_user($1, $2, $3, jsonb_build_object('copy', id_text($4), 'address', $5::text), $6)"


class Ownership:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def page(self, after_copy: int, limit: int) -> list[Holding]:
        """The next minted copies."""
        rows = await guarded(self._pool.fetch(_PAGE, after_copy, min(limit, PAGE_MAX)))
        return [Holding(*row) for row in rows]

    async def of(self, copy: int) -> Holding | None:
        """One copy; None if it is not minted."""
        row = await guarded(self._pool.fetchrow(_OF, copy))
        return None if row is None else Holding(*row)

    async def of_assets(self, assets: Sequence[str]) -> list[Holding]:
        """The minted copies whose assets have these addresses."""
        return [Holding(*row) for row in await guarded(self._pool.fetch(_OF_ASSETS, list(assets)))]

    async def of_card(self, card: int, after_copy: int, limit: int) -> list[Holding]:
        """The next minted copies of a card."""
        rows = await guarded(self._pool.fetch(_OF_CARD, card, after_copy, min(limit, PAGE_MAX)))
        return [Holding(*row) for row in rows]

    async def standards(self) -> list[str]:
        """The standards in which something was minted, or will be."""
        return [row[0] for row in await guarded(self._pool.fetch(_STANDARDS))]

    async def count(self) -> int:
        """How many copies are minted."""
        count: int = await guarded(self._pool.fetchval(_COUNT))
        return count

    async def move_again(self, copies: Sequence[int]) -> int:
        """Have these copies moved to where they belong, by new jobs; how many."""
        count: int = await guarded(self._pool.fetchval(_MOVE_AGAIN, list(copies)))
        return count

    async def moved_outside(self, seen: Sequence[SeenHolder], now_ms: int) -> list[int]:
        """These cards were moved without us: their new holders own them. Returns the copies that this changed.

        The owner is the user of the wallet, or NOBODY. An auction of such a card ends by a job.
        """
        changed = []
        for one in sorted(seen, key=lambda one: one.copy):
            async with guard(), self._pool.acquire() as connection, connection.transaction():
                if await _moved(connection, one, now_ms):
                    changed.append(one.copy)
        return changed


async def _moved(connection: PoolConnectionProxy, seen: SeenHolder, now_ms: int) -> bool:
    await connection.execute(_LOCK, seen.copy)
    row = await connection.fetchrow(_HELD_BY_ANOTHER, seen.copy, seen.holder, seen.slot)
    if row is None:
        return False
    before, place, locked_by = row
    found = await connection.fetchrow(_OWNER, seen.holder)
    owner, in_custody = (NOBODY, False) if found is None else found
    if in_custody and place == "withdrawn":
        # It came back: that is a deposit (persistence/wallets/cards.py).
        return False
    seq = await connection.fetchval(_PUT, seen.copy, "free" if in_custody else "withdrawn", owner, now_ms)
    if owner != before:
        await connection.execute(_PROVENANCE, seen.copy, seq, before, owner, now_ms)
    await connection.execute(_HELD, seen.copy, seen.holder, seen.slot)
    if place == "listed":
        await add_within(connection, [JobRow(END_LISTING, id_text(locked_by))])
    for user, kind in ((before, "card_left"), (owner, "card_received")):
        if user != NOBODY and before != owner:
            about = f"{kind} {seen.copy} {seen.slot}"
            await connection.execute(_NOTIFY, user, kind, about, seen.copy, seen.holder, now_ms)
    return True
