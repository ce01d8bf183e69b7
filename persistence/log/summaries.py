"""Read models that follow the log: one table a kind, with one summary row an entity."""

from typing import Any

import msgspec

ENTITY_COLUMNS = (
    ("entity_id", "bigint"), ("kind", "text"), ("slot", "int"), ("due_at", "bigint"), ("ended", "boolean"),
    ("epoch", "int"), ("seq", "bigint"),
)  # fmt: skip


class SummaryRow(msgspec.Struct, frozen=True, array_like=True):
    """The summary row of an entity after (epoch, seq). ``columns`` are those of its kind's table, if it has one."""

    entity: int
    kind: str
    slot: int
    due_at: int | None
    ended: bool
    epoch: int
    seq: int
    columns: tuple[Any, ...] = ()


class SummaryTable(msgspec.Struct, frozen=True):
    """The table of a kind. ``columns`` are (name, type) in the order of ``Rules.summary``; ``fixed`` never change.

    In addition the table has ``key``, the entity's id, and ``epoch`` and ``seq``.
    """

    name: str
    key: str
    columns: tuple[tuple[str, str], ...]
    fixed: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(name for name, _ in self.columns)


def upsert(
    table: str, key: str, columns: tuple[tuple[str, str], ...], followed: list[str], first: int, condition: str
) -> str:
    """The upsert of rows given as arrays, from parameter ``first`` on; rows older than the table's are ignored."""
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"${i}::{kind}[]" for i, (_, kind) in enumerate(columns, first))
    follow = ", ".join(f"{name} = excluded.{name}" for name in followed)
    return (
        f"INSERT INTO {table} AS t ({names}) SELECT * FROM unnest({arrays}) {condition} "
        f"ON CONFLICT ({key}) DO UPDATE SET {follow} WHERE t.seq <= excluded.seq"
    )


def upsert_entities(first: int, condition: str = "") -> str:
    """The statement for the table ``entities``; ``condition`` is a WHERE clause for all rows."""
    followed = ["slot", "due_at", "ended", "epoch", "seq"]
    return upsert("entities", "entity_id", ENTITY_COLUMNS, followed, first, condition)


def upsert_summaries(table: SummaryTable, first: int, condition: str = "") -> str:
    """The statement for the table of a kind; ``condition`` is a WHERE clause for all rows."""
    columns = ((table.key, "bigint"), *table.columns, ("epoch", "int"), ("seq", "bigint"))
    followed = [name for name, _ in columns if name != table.key and name not in table.fixed]
    return upsert(table.name, table.key, columns, followed, first, condition)


def summary_values(row: SummaryRow) -> tuple[Any, ...]:
    """The values for ``upsert_summaries``."""
    return (row.entity, *row.columns, row.epoch, row.seq)
