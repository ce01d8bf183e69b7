"""The auctions' event log in PostgreSQL: group commit, recovery, command keys.

One `EventLog` belongs to one host. Appends go over one connection of their own, one statement a batch, so one
round trip and one fsync commit every auction of the batch, or none.
"""

import asyncio
import secrets
from collections.abc import Sequence

import asyncpg
import msgspec

from persistence.postgres.errors import KeyTaken, StaleSequence, StoreUnavailable
from persistence.postgres.guard import UNAVAILABLE, guarded

APPEND_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
# Connections for reads that are open from the start: a heartbeat has one, and another is there for what bids wait for.
POOL_MIN = 2
TAIL_PAGE = 5_000
BACKEND_END_WAIT_MS = 3_000


class EventRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of the log. ``command_key`` is 16 bytes, None for events that no client's key names."""

    auction: int
    seq: int
    epoch: int
    at: int
    command_key: bytes | None
    body: bytes
    hash: bytes


class HeadRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of the read model: where an auction stands after (epoch, seq)."""

    auction: int
    slot: int
    seller: int
    seller_name: str
    title: str
    format: str
    status: str
    placement: str
    price: int
    minimum: int
    leader: int | None
    leader_name: str | None
    winner: int | None
    bids: int
    reserve: str
    buy_now: int | None
    starts_at: int
    ends_at: int
    closed_reason: str | None
    due_at: int | None
    epoch: int
    seq: int


class KeyedRow(msgspec.Struct, frozen=True):
    """The event that a command key named."""

    seq: int
    at: int
    epoch: int
    body: bytes


_EVENTS = """
    INSERT INTO auction_events (auction_id, seq, epoch, at, command_key, body, hash)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[])
"""

_HEAD_COLUMNS = (
    ("auction_id", "bigint"), ("slot", "int"), ("seller_id", "bigint"), ("seller_name", "text"), ("title", "text"),
    ("format", "text"), ("status", "text"), ("placement", "text"), ("price", "bigint"), ("minimum", "bigint"),
    ("leader_id", "bigint"), ("leader_name", "text"), ("winner_id", "bigint"), ("bids", "bigint"),
    ("reserve", "text"), ("buy_now", "bigint"), ("starts_at", "bigint"), ("ends_at", "bigint"),
    ("closed_reason", "text"), ("due_at", "bigint"), ("epoch", "int"), ("seq", "bigint"),
)  # fmt: skip

_FOLLOWED = ("slot", "status", "price", "minimum", "leader_id", "leader_name", "winner_id", "bids", "reserve",
             "buy_now", "ends_at", "closed_reason", "due_at", "epoch", "seq")  # fmt: skip

_TAILS = """
    SELECT e.* FROM unnest($1::bigint[], $2::bigint[]) AS w (auction_id, after_seq), LATERAL (
        SELECT auction_id, seq, epoch, at, command_key, body, hash FROM auction_events
        WHERE auction_id = w.auction_id AND seq > w.after_seq ORDER BY seq LIMIT $3
    ) e ORDER BY e.auction_id, e.seq
"""

_END_BACKEND = """
    SELECT coalesce(bool_and(pg_terminate_backend(pid, $2)), true) FROM pg_stat_activity WHERE application_name = $1
"""

_END_WRITERS = """
    SELECT coalesce(bool_and(pg_terminate_backend(pid, $2)), true) FROM pg_stat_activity
    WHERE left(application_name, -16) = ANY($1::text[])
"""
# An application's name may have 63 bytes; 16 of them tell one connection from the next.
WRITER_BYTES_MAX = 63 - len("ece-log--") - 16


def _writer_prefix(writer: str) -> str:
    return f"ece-log-{writer[:WRITER_BYTES_MAX]}-"


def _heads_statement(first_parameter: int) -> str:
    columns = ", ".join(name for name, _ in _HEAD_COLUMNS)
    arrays = ", ".join(f"${i}::{kind}[]" for i, (_, kind) in enumerate(_HEAD_COLUMNS, first_parameter))
    follow = ", ".join(f"{name} = excluded.{name}" for name in _FOLLOWED)
    return (
        f"INSERT INTO auctions ({columns}) SELECT * FROM unnest({arrays}) "
        f"ON CONFLICT (auction_id) DO UPDATE SET {follow} WHERE auctions.seq <= excluded.seq"
    )


_HEADS = _heads_statement(1)
_EVENTS_AND_HEADS = f"WITH heads AS ({_heads_statement(8)}) {_EVENTS}"


class EventLog:
    """Reads and appends. Failures are StoreErrors; ``StoreUnavailable`` from ``append`` leaves the outcome unknown."""

    def __init__(self, database_url: str, *, writer: str = "", pool_max: int = 4) -> None:
        """``writer`` names who appends: see ``end_writers``."""
        self._url = database_url
        self._prefix = _writer_prefix(writer)
        self._pool_max = pool_max
        self._pool: asyncpg.Pool | None = None
        self._writer: asyncpg.Connection | None = None
        self._writer_name = ""
        # The writer whose last append failed: its backend may not have noticed, and write after all.
        self._in_doubt: str | None = None

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
            try:
                await asyncio.wait_for(self._pool.close(), 3)
            except TimeoutError:
                self._pool.terminate()

    @property
    def pool(self) -> asyncpg.Pool:
        assert self._pool is not None, "the log is not open"
        return self._pool

    async def prepare_appends(self) -> None:
        """Do once what the first append would have to do: connect, and plan the statements. Raises StoreUnavailable."""
        try:
            connection = self._writer or await self._new_writer()
            nothing: list[list[object]] = [[] for _ in EventRow.__struct_fields__]
            await connection.execute(_EVENTS, *nothing, timeout=APPEND_TIMEOUT_S)
            nothing += [[] for _ in HeadRow.__struct_fields__]
            await connection.execute(_EVENTS_AND_HEADS, *nothing, timeout=APPEND_TIMEOUT_S)
        except UNAVAILABLE as error:
            self._drop_writer()
            raise StoreUnavailable(str(error) or type(error).__name__) from error

    async def append(self, events: Sequence[EventRow], heads: Sequence[HeadRow] = ()) -> None:
        """Append every event of the batch, across auctions, or none; and bring the read model to ``heads``.

        Raises StaleSequence or KeyTaken (nothing was written), StoreUnavailable (nobody knows).
        """
        columns = list(zip(*map(msgspec.structs.astuple, events), strict=True))
        statement = _EVENTS
        if heads:
            statement = _EVENTS_AND_HEADS
            columns += zip(*map(msgspec.structs.astuple, heads), strict=True)
        try:
            connection = self._writer or await self._new_writer()
            await connection.execute(statement, *columns, timeout=APPEND_TIMEOUT_S)
        except asyncpg.UniqueViolationError as error:
            raise (StaleSequence if "_pkey" in (error.constraint_name or "") else KeyTaken)(str(error)) from None
        except UNAVAILABLE as error:
            self._drop_writer()
            raise StoreUnavailable(str(error) or type(error).__name__) from error

    async def write_heads(self, heads: Sequence[HeadRow]) -> None:
        """Bring the read model to these heads; older ones than it has are ignored."""
        if heads:
            await guarded(self.pool.execute(_HEADS, *zip(*map(msgspec.structs.astuple, heads), strict=True)))

    async def find_keys(self, wanted: Sequence[tuple[int, bytes]]) -> dict[tuple[int, bytes], KeyedRow]:
        """Which of these (auction, command key) the log has, and where. Final: see ``_settle``."""
        await self._settle()
        rows = await guarded(
            self.pool.fetch(
                "SELECT e.auction_id, e.command_key, e.seq, e.at, e.epoch, e.body"
                " FROM unnest($1::bigint[], $2::bytea[]) AS w (auction_id, command_key)"
                " JOIN auction_events e USING (auction_id, command_key)",
                [auction for auction, _ in wanted],
                [key for _, key in wanted],
            )
        )
        return {(r[0], r[1]): KeyedRow(seq=r[2], at=r[3], epoch=r[4], body=r[5]) for r in rows}

    async def tail(self, auction: int, after_seq: int, limit: int = TAIL_PAGE) -> list[EventRow]:
        """The next events of one auction, in order. Final: see ``_settle``."""
        await self._settle()
        rows = await guarded(
            self.pool.fetch(
                "SELECT auction_id, seq, epoch, at, command_key, body, hash FROM auction_events"
                " WHERE auction_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                auction,
                after_seq,
                limit,
            )
        )
        return [EventRow(*row) for row in rows]

    async def tails(self, after: Sequence[tuple[int, int]], limit_each: int) -> dict[int, list[EventRow]]:
        """The next events of each (auction, after this seq), in order, with one query. Final: see ``_settle``.

        An auction with fewer than ``limit_each`` has no more; one with none is not in the result.
        """
        await self._settle()
        rows = await guarded(
            self.pool.fetch(
                _TAILS, [auction for auction, _ in after], [after_seq for _, after_seq in after], limit_each
            )
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
        """End these others' appends: what has not landed by now never will. Raises StoreUnavailable."""
        ended = await guarded(
            self.pool.fetchval(_END_WRITERS, [_writer_prefix(writer) for writer in writers], BACKEND_END_WAIT_MS)
        )
        if not ended:
            raise StoreUnavailable("the backend of a former keeper's append does not end")

    async def _settle(self) -> None:
        """End a backend that may still be at an append which we gave up: what it has not written by now it never will.

        Without this a bid could be refused by a state that lacks it, and land after all. Raises StoreUnavailable.
        """
        name = self._in_doubt
        if name is None:
            return
        ended = await guarded(self.pool.fetchval(_END_BACKEND, name, BACKEND_END_WAIT_MS))
        if not ended:
            raise StoreUnavailable("the backend of an append that was given up does not end")
        if self._in_doubt == name:
            self._in_doubt = None

    async def _new_writer(self) -> asyncpg.Connection:
        await self._settle()
        self._writer_name = self._prefix + secrets.token_hex(8)
        settings = {"application_name": self._writer_name}
        self._writer = await asyncpg.connect(self._url, timeout=APPEND_TIMEOUT_S, server_settings=settings)
        return self._writer

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._in_doubt = self._writer_name
            self._writer.terminate()
            self._writer = None
