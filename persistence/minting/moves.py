"""Moves of assets between the wallets in custody: where an asset is, and where it belongs."""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.chain.rows import DoneJob
from persistence.postgres.guard import guarded

MOVE = "move"
"""The kind of the job. Triggers add it: migration 0023."""


class Move(msgspec.Struct, frozen=True):
    """An asset that a job is to move. ``holder`` has it, as of ``slot``.

    ``owner`` and ``place`` say where it belongs. ``moving_to``: the destination of an earlier transaction that is not
    known to have landed.
    ``waits``: a transaction or a withdrawal of this copy has to end first. ``behind``: so many earlier jobs are queued.
    ``together``: the trade that it is part of; ``of``: how many queued jobs that one has.
    ``superseded``: a later job of this copy is queued, which moves it to where it belongs then.
    """

    job: int
    copy: int
    standard: str
    address: str
    collection: str | None
    holder: str
    slot: int
    moving_to: str | None
    owner: int
    place: str
    waits: bool
    together: int | None = None
    of: int = 1
    behind: int = 0
    superseded: bool = False


_OF = """
    SELECT j.job_id, a.copy_id, a.standard, a.address, a.collection, a.holder, coalesce(a.holder_slot, 0), a.moving_to,
        c.owner_id, c.place,
        EXISTS (
            SELECT FROM chain_jobs e WHERE e.moved_copy = j.moved_copy AND e.job_id <> j.job_id AND e.state = 'signed'
        ) OR EXISTS (SELECT FROM card_withdrawals w WHERE w.copy_id = j.moved_copy AND w.state = 'sending'),
        j.together, CASE WHEN j.together IS NULL THEN 1 ELSE (
            SELECT count(*) FROM chain_jobs t WHERE t.together = j.together AND t.state = 'queued'
        ) END, (
            SELECT count(*) FROM chain_jobs e
            WHERE e.moved_copy = j.moved_copy AND e.state = 'queued' AND e.job_id < j.job_id
        ), EXISTS (
            SELECT FROM chain_jobs e
            WHERE e.moved_copy = j.moved_copy AND e.state = 'queued' AND e.job_id > j.job_id
        )
    FROM chain_jobs j JOIN assets a ON a.copy_id = j.moved_copy JOIN copies c ON c.copy_id = j.moved_copy
    WHERE j.job_id = ANY($1::bigint[]) AND a.state = 'minted'
"""
_SIGNED = """
    UPDATE assets SET moving_to = given.destination
    FROM unnest($1::bigint[], $2::text[]) AS given (copy_id, destination)
    WHERE assets.copy_id = given.copy_id
"""
_MOVED = """
    UPDATE assets a SET holder = a.moving_to, holder_slot = given.slot, moving_to = NULL
    FROM unnest($1::bigint[], $2::bigint[]) AS given (job_id, slot) JOIN chain_jobs j USING (job_id)
    WHERE a.copy_id = j.moved_copy AND a.moving_to IS NOT NULL
"""
_ARRIVED = """
    UPDATE assets SET holder = given.holder, holder_slot = given.slot, moving_to = NULL
    FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS given (copy_id, holder, slot)
    WHERE assets.copy_id = given.copy_id
"""


class Moves:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, jobs: Sequence[int]) -> dict[int, Move]:
        """What these jobs are to move, by job."""
        return {row[0]: Move(*row) for row in await guarded(self._pool.fetch(_OF, list(jobs)))}

    async def arrived(self, moves: Sequence[tuple[int, str, int]]) -> None:
        """(copy, holder, slot) of assets that these wallets have, as of final slots."""
        columns = zip(*sorted(moves), strict=True)
        await guarded(self._pool.execute(_ARRIVED, *(list(column) for column in columns)))


async def record_signed_moves(connection: PoolConnectionProxy, moves: Sequence[tuple[int, str]]) -> None:
    """(copy, destination) of signed transactions, in the transaction that stores them."""
    await connection.execute(_SIGNED, [copy for copy, _ in moves], [destination for _, destination in moves])


async def record_moved(connection: PoolConnectionProxy, jobs: Sequence[DoneJob]) -> None:
    """These assets are where their transactions sent them, for good."""
    sent = [one for one in jobs if one.signature is not None]
    await connection.execute(_MOVED, [one.job.id for one in sent], [one.slot for one in sent])
