"""Durable state in SQLite: accounts, transactions by signature and by address. One transaction of SQLite a slot."""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.local.errors import ErrorJson, StartFailed
from chain.local.ledger.landed import Landed, Status, metadata_json
from chain.local.ledger.received import Version
from chain.local.programs import RENT_EPOCH_NEVER

TRANSACTIONS_MAX = 200_000
FORMAT = 1
BUSY_TIMEOUT_S = 5.0
# The accounts table is read in pieces of this many rows.
PIECE = 2_000
SEQUENCE_MAX = 2**62

_SCHEMA = """
CREATE TABLE IF NOT EXISTS position (
    one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER, genesis BLOB, slot INTEGER, height INTEGER, count INTEGER
);
CREATE TABLE IF NOT EXISTS accounts (
    address BLOB PRIMARY KEY, lamports INTEGER, owner BLOB, executable INTEGER, data BLOB
);
CREATE TABLE IF NOT EXISTS blocks (slot INTEGER PRIMARY KEY, height INTEGER, time_s INTEGER);
CREATE TABLE IF NOT EXISTS transactions (
    sequence INTEGER PRIMARY KEY, signature BLOB UNIQUE, slot INTEGER, time_s INTEGER, version INTEGER,
    error BLOB, raw BLOB, metadata BLOB, keys BLOB
);
CREATE INDEX IF NOT EXISTS transactions_by_slot ON transactions (slot);
CREATE TABLE IF NOT EXISTS addresses (
    address BLOB, sequence INTEGER, PRIMARY KEY (address, sequence)
) WITHOUT ROWID;
"""
_LEGACY = -1


@dataclass(frozen=True, slots=True)
class Position:
    """Where the chain goes on after a restart: behind all slots and heights that were ever told."""

    genesis: bytes
    slot: int
    height: int
    transaction_count: int


@dataclass(frozen=True, slots=True)
class SlotBatch:
    """What a slot leaves behind. `rolled_back_to` is set if everything after that slot was undone."""

    position: Position
    slot: int
    height: int
    time_s: int
    landed: Sequence[Landed] = ()
    accounts: tuple[tuple[Pubkey, Account | None], ...] = ()
    rolled_back_to: int | None = None


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A transaction of the history. `metadata` is JSON."""

    signature: Signature
    slot: int
    time_s: int
    version: Version
    error: ErrorJson | None
    raw: bytes
    metadata: msgspec.Raw
    keys: tuple[Pubkey, ...]


def open_database(path: Path) -> sqlite3.Connection:
    """A connection, for the thread that opens it or that it is handed to. Raises StartFailed."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_SCHEMA)
        row = connection.execute("SELECT format FROM position").fetchone()
    except sqlite3.Error as error:
        connection.close()
        raise StartFailed(f"{path} can't be opened: {error}") from error
    if row is not None and row[0] != FORMAT:
        connection.close()
        raise StartFailed(f"{path} has format {row[0]}, this version reads {FORMAT}")
    return connection


class StoreReader:
    """Look-ups in what is durable. Blocks for the time of a query by a key."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def position(self) -> Position | None:
        row = self._connection.execute("SELECT genesis, slot, height, count FROM position").fetchone()
        return None if row is None else Position(*row)

    def accounts(self) -> Iterator[tuple[Pubkey, Account]]:
        """All accounts; programs come last, after the data that they refer to."""
        rows = self._connection.execute(
            "SELECT address, lamports, owner, executable, data FROM accounts ORDER BY executable"
        )
        while piece := rows.fetchmany(PIECE):
            for address, lamports, owner, executable, data in piece:
                account = Account(lamports, data, Pubkey(owner), bool(executable), RENT_EPOCH_NEVER)
                yield Pubkey(address), account

    def statuses(self, since_slot: int) -> Iterator[tuple[Signature, Status]]:
        """In the order in which they landed."""
        query = "SELECT signature, slot, error FROM transactions WHERE slot >= ? ORDER BY sequence"
        for signature, slot, error in self._connection.execute(query, (since_slot,)):
            yield Signature(signature), Status(slot, _error(error))

    def status(self, signature: Signature) -> Status | None:
        query = "SELECT slot, error FROM transactions WHERE signature = ?"
        row = self._connection.execute(query, (bytes(signature),)).fetchone()
        return None if row is None else Status(row[0], _error(row[1]))

    def transaction(self, signature: Signature) -> StoredTransaction | None:
        return next(self._transactions("signature = ?", bytes(signature)), None)

    def of_slot(self, slot: int) -> list[StoredTransaction]:
        """In the order of the block."""
        return list(self._transactions("slot = ?", slot))

    def block(self, slot: int) -> tuple[int, int] | None:
        """Height and time of a block with transactions."""
        row = self._connection.execute("SELECT height, time_s FROM blocks WHERE slot = ?", (slot,)).fetchone()
        return None if row is None else (row[0], row[1])

    def block_slots(self, first: int, last: int) -> list[int]:
        rows = self._connection.execute("SELECT slot FROM blocks WHERE slot BETWEEN ? AND ?", (first, last))
        return [row[0] for row in rows]

    def sequence(self, signature: Signature) -> int | None:
        query = "SELECT sequence FROM transactions WHERE signature = ?"
        row = self._connection.execute(query, (bytes(signature),)).fetchone()
        return None if row is None else row[0]

    def signatures_for(
        self, address: Pubkey, slot_max: int, before: int | None, until: int | None, limit: int
    ) -> list[tuple[Signature, int, int, ErrorJson | None]]:
        """(signature, slot, time, error) of an address, newest first, between two sequence numbers."""
        below = SEQUENCE_MAX if before is None else before
        rows = self._connection.execute(
            """
            SELECT t.signature, t.slot, t.time_s, t.error FROM addresses a JOIN transactions t USING (sequence)
            WHERE a.address = ? AND a.sequence < ? AND a.sequence > ? AND t.slot <= ?
            ORDER BY a.sequence DESC LIMIT ?
            """,
            (bytes(address), below, until or 0, slot_max, limit),
        )
        return [(Signature(signature), slot, time_s, _error(error)) for signature, slot, time_s, error in rows]

    def _transactions(self, condition: str, value: bytes | int) -> Iterator[StoredTransaction]:
        query = (
            "SELECT signature, slot, time_s, version, error, raw, metadata, keys FROM transactions "
            f"WHERE {condition} ORDER BY sequence"
        )
        for signature, slot, time_s, version, error, raw, metadata, keys in self._connection.execute(query, (value,)):
            yield StoredTransaction(
                Signature(signature),
                slot,
                time_s,
                "legacy" if version == _LEGACY else version,
                _error(error),
                raw,
                msgspec.Raw(zlib.decompress(metadata)),
                _keys(keys),
            )


def write(connection: sqlite3.Connection, batches: Sequence[SlotBatch]) -> None:
    """Write slots, all or none. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for batch in batches:
            _write_batch(connection, batch)
        _write_accounts(connection, batches)
        position = batches[-1].position
        connection.execute(
            "INSERT OR REPLACE INTO position (one, format, genesis, slot, height, count) VALUES (1, ?, ?, ?, ?, ?)",
            (FORMAT, position.genesis, position.slot, position.height, position.transaction_count),
        )
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _write_batch(connection: sqlite3.Connection, batch: SlotBatch) -> None:
    if batch.rolled_back_to is not None:
        sequences = connection.execute(
            "SELECT sequence, keys FROM transactions WHERE slot > ?", (batch.rolled_back_to,)
        ).fetchall()
        _delete(connection, sequences)
        connection.execute("DELETE FROM blocks WHERE slot > ?", (batch.rolled_back_to,))
    if not batch.landed:
        return
    (last,) = connection.execute("SELECT coalesce(max(sequence), 0) FROM transactions").fetchone()
    connection.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?)", (batch.slot, batch.height, batch.time_s))
    connection.executemany(
        "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_row(sequence, landed) for sequence, landed in enumerate(batch.landed, last + 1)],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO addresses VALUES (?, ?)",
        [(bytes(key), sequence) for sequence, landed in enumerate(batch.landed, last + 1) for key in landed.keys],
    )
    forgotten = connection.execute(
        "SELECT sequence, keys FROM transactions WHERE sequence <= ?",
        (last + len(batch.landed) - TRANSACTIONS_MAX,),
    ).fetchall()
    _delete(connection, forgotten)


def _write_accounts(connection: sqlite3.Connection, batches: Sequence[SlotBatch]) -> None:
    newest = {address: account for batch in batches for address, account in batch.accounts}
    connection.executemany(
        "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)",
        [
            (bytes(address), account.lamports, bytes(account.owner), account.executable, account.data)
            for address, account in newest.items()
            if account is not None
        ],
    )
    connection.executemany(
        "DELETE FROM accounts WHERE address = ?",
        [(bytes(address),) for address, account in newest.items() if account is None],
    )


def _row(sequence: int, landed: Landed) -> tuple[Any, ...]:
    metadata = zlib.compress(msgspec.json.encode(metadata_json(landed)), 1)
    return (
        sequence,
        bytes(landed.signature),
        landed.slot,
        landed.time_s,
        landed.version if isinstance(landed.version, int) else _LEGACY,
        None if landed.error is None else msgspec.json.encode(landed.error),
        landed.raw,
        metadata,
        b"".join(bytes(key) for key in landed.keys),
    )


def _delete(connection: sqlite3.Connection, transactions: Sequence[tuple[int, bytes]]) -> None:
    connection.executemany(
        "DELETE FROM addresses WHERE address = ? AND sequence = ?",
        [(bytes(key), sequence) for sequence, keys in transactions for key in _keys(keys)],
    )
    connection.executemany("DELETE FROM transactions WHERE sequence = ?", [(sequence,) for sequence, _ in transactions])


def _keys(keys: bytes) -> tuple[Pubkey, ...]:
    return tuple(Pubkey(keys[start : start + 32]) for start in range(0, len(keys), 32))


def _error(error: bytes | None) -> ErrorJson | None:
    return None if error is None else msgspec.json.decode(error)
