"""Encrypted values of any table, page by page, for the rotation of keys."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import msgspec

from persistence.postgres.guard import guarded


class SealedValue(msgspec.Struct, frozen=True):
    """An encrypted value: its row, the columns that its context is made of, and what is stored."""

    row: int | str
    about: tuple[object, ...]
    key_id: str
    sealed: bytes

    def __repr__(self) -> str:
        return f"SealedValue(row={self.row}, key_id={self.key_id})"


@dataclass(frozen=True)
class SealedColumns:
    """Where encrypted values stand. All names are constants of the code. ``row_type``: the SQL type of ``row``."""

    table: str
    row: str = "user_id"
    row_type: str = "bigint"
    first_row: int | str = 0
    key_id: str = "key_id"
    sealed: str = "sealed"
    about: tuple[str, ...] = ()


class SealedValues:
    """The encrypted values of one table. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, columns: SealedColumns) -> None:
        self.columns = columns
        self._pool = pool
        its = columns
        self._counts = (
            f"SELECT {its.key_id}, count(*) FROM {its.table} WHERE {its.key_id} IS NOT NULL GROUP BY 1 ORDER BY 1"
        )
        names = ", ".join((its.row, its.key_id, its.sealed, *its.about))
        self._page = f"""
            SELECT {names} FROM {its.table}
            WHERE {its.key_id} IS NOT NULL AND {its.key_id} <> $1 AND {its.row} > $2 ORDER BY {its.row} LIMIT $3
        """
        # A value that was changed meanwhile stays as it is: whoever changed it has used the newest key.
        self._replace = f"""
            UPDATE {its.table} t SET {its.key_id} = given.key_id, {its.sealed} = given.sealed
            FROM unnest($1::{its.row_type}[], $2::text[], $3::bytea[], $4::bytea[])
                AS given (its_row, key_id, sealed, before)
            WHERE t.{its.row} = given.its_row AND t.{its.sealed} = given.before
        """

    async def counts(self) -> dict[str, int]:
        """How many values each key has encrypted."""
        return {row[0]: row[1] for row in await guarded(self._pool.fetch(self._counts))}

    async def not_of(self, key_id: str, after: int | str, limit: int) -> list[SealedValue]:
        """The next values by row that another key than this one has encrypted."""
        rows = await guarded(self._pool.fetch(self._page, key_id, after, limit))
        return [SealedValue(row[0], tuple(row)[3:], row[1], row[2]) for row in rows]

    async def replace(self, changes: Sequence[tuple[SealedValue, SealedValue]]) -> None:
        """Replace values: (before, after)."""
        columns = [
            [after.row for _, after in changes],
            [after.key_id for _, after in changes],
            [after.sealed for _, after in changes],
            [before.sealed for before, _ in changes],
        ]
        await guarded(self._pool.execute(self._replace, *columns))
