"""What PostgreSQL counts: commits, WAL, connections and sizes."""

import time
from collections.abc import Sequence
from typing import Any

from persistence.postgres.guard import guarded
from persistence.postgres.pool import Pool

MIB = 1024 * 1024
# Sizes are asked of the file system.
SIZES_EVERY_S = 10.0
COUNTERS = ("db.commits", "db.rollbacks", "db.rows_written", "db.deadlocks", "db.temporary_bytes", "db.wal_bytes")
_COUNTS = """
    SELECT d.xact_commit, d.xact_rollback, d.tup_inserted + d.tup_updated + d.tup_deleted, d.deadlocks, d.temp_bytes,
        w.wal_bytes
    FROM pg_stat_database d, pg_stat_wal w WHERE d.datname = current_database()
"""
_ACTIVITY = """
    SELECT count(*) FILTER (WHERE state = 'active'), count(*) FILTER (WHERE state = 'idle in transaction'),
        count(*) FILTER (WHERE state = 'active' AND wait_event_type = 'Lock'),
        count(*) FILTER (WHERE state = 'active' AND wait_event_type IN ('IO', 'LWLock', 'IPC'))
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_SIZES = """
    SELECT pg_database_size(current_database()),
        (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('entity_events'))
"""


class DatabaseSamples:
    """Reads through one connection of the pool at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sizes_s = float("-inf")

    async def read(self) -> dict[str, float]:
        """Counters as they stand, connections, and sizes every SIZES_EVERY_S. Raises StoreError."""
        counts = await self._row(_COUNTS)
        active, in_transaction, locks, waits = await self._row(_ACTIVITY)
        found = dict(zip(COUNTERS, map(float, counts), strict=True))
        found |= {
            "connections.active": active,
            "connections.idle in transaction": in_transaction,
            "connections.waiting for locks": locks,
            "connections.waiting for I/O": waits,
        }
        if time.monotonic() - self._sizes_s >= SIZES_EVERY_S:
            self._sizes_s = time.monotonic()
            database, log = await self._row(_SIZES)
            found |= {"size_mib.database": database / MIB, "size_mib.event log": float(log or 0) / MIB}
        return found

    async def _row(self, query: str) -> Sequence[Any]:
        [row] = await guarded(self._pool.fetch(query))
        return tuple(row)
