"""The event log of all entities in PostgreSQL: group commit, recovery, command keys.

One `EventLog` belongs to one host. Appends go over one connection of their own, one statement a batch, so one
round trip and one fsync commit every entity of the batch, or none.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import asyncpg
import msgspec

from persistence.log.summaries import (
    ENTITY_COLUMNS,
    SummaryRow,
    SummaryTable,
    summary_values,
    upsert_entities,
    upsert_summaries,
)
from persistence.postgres.errors import KeyTaken, StaleSequence, StoreUnavailable
from persistence.postgres.guard import UNAVAILABLE, guarded
from persistence.postgres.planner import LOOK_UPS
from persistence.postgres.pool import close_pool
from persistence.postgres.writers import END_WRITERS, new_name, prefix_of, prefixes_of

APPEND_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
# Connections for reads that are open from the start: a heartbeat has one, and another is there for what bids wait for.
POOL_MIN = 2
TAIL_PAGE = 5_000
BACKEND_END_WAIT_MS = 3_000


class EventRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of the log. ``command_key`` is 16 bytes, or None for events of commands without a key."""

    entity: int
    kind: str
    seq: int
    epoch: int
    at: int
    command_key: bytes | None
    body: bytes
    hash: bytes


class KeyedRow(msgspec.Struct, frozen=True):
    """The event with a command key."""

    seq: int
    at: int
    epoch: int
    body: bytes


_COLUMNS = "entity_id, kind, seq, epoch, at, command_key, body, hash"
_EVENTS = f"""
    INSERT INTO entity_events ({_COLUMNS})
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::int[], $5::bigint[], $6::bytea[], $7::bytea[],
        $8::bytea[])
"""
# The kind as one value: an array of it costs a tenth of the append.
_EVENTS_OF_ONE_KIND = f"""
    INSERT INTO entity_events ({_COLUMNS})
    SELECT entity_id, $2::text, seq, epoch, at, command_key, body, hash
    FROM unnest($1::bigint[], $3::bigint[], $4::int[], $5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[])
        AS u (entity_id, seq, epoch, at, command_key, body, hash)
"""
_EVENT_PARAMETERS = 8
# Nothing is written where not all can be reserved. The arguments are a currency and ``persistence.ledger.reserves``.
_RESERVED = "reserved AS MATERIALIZED (SELECT ledger_cover_at_once($9, $10, $11, $12, $13, $14, $15, $16) AS done)"
_RESERVE_PARAMETERS = 8
_IF_RESERVED = "WHERE (SELECT done FROM reserved)"

Reserves = Sequence[object]
"""A currency, and the arrays of ``persistence.ledger.reserves.reserves_at_once``."""

_TAILS = f"""
    SELECT e.* FROM unnest($1::bigint[], $2::bigint[]) AS w (entity_id, after_seq), LATERAL (
        SELECT {_COLUMNS} FROM entity_events
        WHERE entity_id = w.entity_id AND seq > w.after_seq ORDER BY seq LIMIT $3
    ) e ORDER BY e.entity_id, e.seq
"""

_END_BACKEND = """
    SELECT coalesce(bool_and(pg_terminate_backend(pid, $2)), true) FROM pg_stat_activity WHERE application_name = $1
"""

_PARAMETER = re.compile(r"\$(\d+)")

Confirm = Callable[[Set[int]], Awaitable[None]]
"""Raises StoreUnavailable unless these entities may be written by this host."""


async def _nothing_to_confirm(_: Set[int]) -> None:
    """There is one writer."""


class EventLog:
    """Reads and appends. Failures are StoreErrors; ``StoreUnavailable`` from ``append`` leaves the outcome unknown."""

    def __init__(
        self, database_url: str, tables: Mapping[str, SummaryTable], *, writer: str = "", pool_max: int = 4,
        confirm: Confirm = _nothing_to_confirm,
    ) -> None:  # fmt: skip
        """``tables``: the summary tables, by kind. ``writer`` names who appends: see ``end_writers``.

        ``confirm`` is called with the entities of the first append over a new connection, before it: whoever has ended
        the connection before that one may own them now.
        """
        self._tables = tables
        self._statements: dict[tuple[tuple[str, ...] | None, bool, bool], str] = {}
        self._url = database_url
        self._prefix, self._confirm = prefix_of("log", writer), confirm
        self._pool_max = pool_max
        self._pool: asyncpg.Pool | None = None
        self._writer: asyncpg.Connection | None = None
        self._writer_name = ""
        # The writer whose last append failed: its backend may still commit.
        self._unresolved: str | None = None

    async def open(self) -> None:
        """Connect. Raises StoreUnavailable."""
        try:
            # Connections stay: opening one takes a busy machine some hundredths of a second, and bids may wait for it.
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=min(POOL_MIN, self._pool_max),
                max_size=self._pool_max,
                max_inactive_connection_lifetime=0,
                command_timeout=READ_TIMEOUT_S,
                timeout=READ_TIMEOUT_S,
            )
        except UNAVAILABLE as error:
            raise StoreUnavailable(str(error)) from error

    async def close(self) -> None:
        """Close all connections, at the latest after some seconds."""
        if self._writer is not None:
            self._writer.terminate()
            self._writer = None
        if self._pool is not None:
            await close_pool(self._pool)

    @property
    def pool(self) -> asyncpg.Pool:
        assert self._pool is not None, "the log is not open"
        return self._pool

    async def prepare_appends(self) -> None:
        """Connect, and prepare the statements of appends. Raises StoreUnavailable."""
        try:
            connection = self._writer or await self._new_writer()
            for kinds in (None, *((kind,) for kind in self._tables)):
                for reserve in (False, True):
                    statement = self._append_statement(kinds, reserve=reserve, one_kind=True)
                    await connection.fetchval(statement, *_empty(statement, reserve), timeout=APPEND_TIMEOUT_S)
        except UNAVAILABLE as error:
            self._drop_writer()
            raise StoreUnavailable(str(error) or type(error).__name__) from error

    async def append(
        self, events: Sequence[EventRow], summaries: Sequence[SummaryRow] = (), reserve: Reserves | None = None
    ) -> bool:
        """Append every event of the batch, across entities, or none; and write ``summaries``.

        ``reserve`` is done in the same statement. False: the balance is too small for some of it, nothing was written.
        Raises StaleSequence or KeyTaken (nothing was written), StoreUnavailable (the outcome is unknown).
        """
        columns: list[Any] = list(zip(*map(msgspec.structs.astuple, events), strict=True))
        one_kind = len(set(columns[1])) == 1
        if one_kind:
            columns[1] = columns[1][0]
        columns += reserve or ()
        by_kind = self._by_kind(summaries)
        columns += _summary_columns(summaries, by_kind)
        statement = self._append_statement(
            tuple(by_kind) if summaries else None, reserve=reserve is not None, one_kind=one_kind
        )
        try:
            connection = self._writer or await self._confirmed_writer(columns[0])
            done = await connection.fetchval(statement, *columns, timeout=APPEND_TIMEOUT_S)
        except asyncpg.UniqueViolationError as error:
            raise (StaleSequence if "_pkey" in (error.constraint_name or "") else KeyTaken)(str(error)) from None
        except UNAVAILABLE as error:
            self._drop_writer()
            raise StoreUnavailable(str(error) or type(error).__name__) from error
        return reserve is None or bool(done)

    async def write_summaries(self, summaries: Sequence[SummaryRow]) -> None:
        """Write summary rows; rows older than those in the tables are ignored."""
        if summaries:
            by_kind = self._by_kind(summaries)
            statement = f"WITH {', '.join(self._summary_parts(tuple(by_kind), 1))} SELECT"
            await guarded(self.pool.execute(statement, *_summary_columns(summaries, by_kind)))

    def _by_kind(self, summaries: Sequence[SummaryRow]) -> dict[str, list[SummaryRow]]:
        """The rows of the kinds that have a table, by kind, always in the same order of kinds."""
        found: dict[str, list[SummaryRow]] = {}
        for row in summaries:
            if row.kind in self._tables:
                found.setdefault(row.kind, []).append(row)
        return dict(sorted(found.items()))

    def _append_statement(self, kinds: tuple[str, ...] | None, *, reserve: bool, one_kind: bool) -> str:
        """For summaries of these kinds; None: without summaries."""
        known = self._statements.get((kinds, reserve, one_kind))
        if known is None:
            first = 1 + _EVENT_PARAMETERS + (_RESERVE_PARAMETERS if reserve else 0)
            condition = _IF_RESERVED if reserve else ""
            parts = [_RESERVED] if reserve else []
            if kinds is not None:
                parts += self._summary_parts(kinds, first, condition)
            parts.append(f"events AS ({_EVENTS_OF_ONE_KIND if one_kind else _EVENTS} {condition})")
            result = "SELECT done FROM reserved" if reserve else "SELECT true"
            known = self._statements[kinds, reserve, one_kind] = f"WITH {', '.join(parts)} {result}"
        return known

    def _summary_parts(self, kinds: tuple[str, ...], first: int, condition: str = "") -> list[str]:
        parts = [f"of_all AS ({upsert_entities(first, condition)})"]
        first += len(ENTITY_COLUMNS)
        for number, kind in enumerate(kinds):
            table = self._tables[kind]
            parts.append(f"of_kind_{number} AS ({upsert_summaries(table, first, condition)})")
            first += len(table.columns) + 3
        return parts

    async def summary(self, kind: str, entity: int) -> tuple[int, tuple[str, ...], tuple[Any, ...]] | None:
        """The summary row of an entity: its ``seq``, and the kind's columns with their values."""
        table = self._tables.get(kind)
        if table is None:
            return None
        statement = f"SELECT seq, {', '.join(table.names)} FROM {table.name} WHERE {table.key} = $1"
        row = await guarded(self.pool.fetchrow(statement, entity))
        return None if row is None else (row[0], table.names, tuple(row[1:]))

    async def find_keys(self, wanted: Sequence[tuple[int, bytes]]) -> dict[tuple[int, bytes], KeyedRow]:
        """Which of these (entity, command key) the log has, and where. Final: see ``_settle``."""
        await self._settle()
        rows = await guarded(
            self.pool.fetch(
                "SELECT e.entity_id, e.command_key, e.seq, e.at, e.epoch, e.body"
                " FROM unnest($1::bigint[], $2::bytea[]) AS w (entity_id, command_key)"
                " JOIN entity_events e USING (entity_id, command_key)",
                [entity for entity, _ in wanted],
                [key for _, key in wanted],
            )
        )
        return {(r[0], r[1]): KeyedRow(seq=r[2], at=r[3], epoch=r[4], body=r[5]) for r in rows}

    async def tail(self, entity: int, after_seq: int, limit: int = TAIL_PAGE) -> list[EventRow]:
        """The next events of one entity, in order. Final: see ``_settle``."""
        await self._settle()
        rows = await guarded(
            self.pool.fetch(
                f"SELECT {_COLUMNS} FROM entity_events WHERE entity_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                entity,
                after_seq,
                limit,
            )
        )
        return [EventRow(*row) for row in rows]

    async def tails(self, after: Sequence[tuple[int, int]], limit_each: int) -> dict[int, list[EventRow]]:
        """The next events of each (entity, after this seq), in order, with one query. Final: see ``_settle``.

        An entity with fewer than ``limit_each`` has no more; one with none is not in the result.
        """
        await self._settle()
        rows = await guarded(
            self.pool.fetch(_TAILS, [entity for entity, _ in after], [after_seq for _, after_seq in after], limit_each)
        )
        found: dict[int, list[EventRow]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(EventRow(*row))
        return found

    async def epoch(self) -> int:
        """The cluster's epoch, which new events carry."""
        value: int = await guarded(self.pool.fetchval("SELECT epoch FROM cluster"))
        return value

    async def ensure_partitions(self) -> None:
        """Make the partitions of this month and the next two."""
        await guarded(self.pool.execute("SELECT ensure_event_partitions()"))

    async def end_writers(self, writers: Sequence[str]) -> None:
        """End what other writers have sent: afterwards none of it can commit. Raises StoreUnavailable.

        It includes calls of their ``BidHolds`` and ``CopyLocks``.
        """
        ended = await guarded(self.pool.fetchval(END_WRITERS, prefixes_of(writers), BACKEND_END_WAIT_MS))
        if not ended:
            raise StoreUnavailable("the backend of a former owner's append does not end")

    async def _settle(self) -> None:
        """End the backend of an append that failed here: afterwards it can't commit.

        Otherwise a command could be refused by a state that lacks it, and commit afterwards. Raises StoreUnavailable.
        """
        name = self._unresolved
        if name is None:
            return
        ended = await guarded(self.pool.fetchval(_END_BACKEND, name, BACKEND_END_WAIT_MS))
        if not ended:
            raise StoreUnavailable("the backend of an append that was given up does not end")
        if self._unresolved == name:
            self._unresolved = None

    async def _confirmed_writer(self, entities: Iterable[int]) -> asyncpg.Connection:
        connection = await self._new_writer()
        try:
            await self._confirm(frozenset(entities))
        except BaseException:
            self._drop_writer()
            raise
        return connection

    async def _new_writer(self) -> asyncpg.Connection:
        await self._settle()
        self._writer_name = new_name(self._prefix)
        settings = {"application_name": self._writer_name, **LOOK_UPS}
        self._writer = await asyncpg.connect(self._url, timeout=APPEND_TIMEOUT_S, server_settings=settings)
        return self._writer

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._unresolved = self._writer_name
            self._writer.terminate()
            self._writer = None


def _summary_columns(summaries: Sequence[SummaryRow], by_kind: Mapping[str, Sequence[SummaryRow]]) -> list[Any]:
    """The arrays for ``_summary_parts``."""
    if not summaries:
        return []
    columns: list[Any] = list(
        zip(*(msgspec.structs.astuple(row)[: len(ENTITY_COLUMNS)] for row in summaries), strict=True)
    )
    for rows in by_kind.values():
        columns += zip(*map(summary_values, rows), strict=True)
    return columns


def _empty(statement: str, reserve: bool) -> list[object]:
    """Arrays of nothing for all its parameters."""
    arrays: list[object] = [[] for _ in range(max(map(int, _PARAMETER.findall(statement))))]
    arrays[1] = ""
    if reserve:
        arrays[_EVENT_PARAMETERS] = ""
    return arrays
