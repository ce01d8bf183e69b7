"""Rows of jobs and transactions, and SQL to add jobs in the transaction of their cause."""

import uuid
from typing import NamedTuple

import msgspec

# `not_before` of a job that waits for another one.
NEVER_MS = (1 << 63) - 1


class ChainJobRow(msgspec.Struct, frozen=True, array_like=True):
    """A job to add. ``kind`` names the code that does it; ``(kind, key)`` identifies it for ever.

    ``payload`` is JSON or empty.
    """

    kind: str
    key: str
    payload: bytes = b""


class ChainJob(msgspec.Struct, frozen=True):
    """A job that was claimed. ``attempts``: in how many transactions it was before; ``batch_max``: how many jobs a
    transaction with it may have."""

    id: int
    kind: str
    key: str
    payload: bytes
    attempts: int
    faults: int
    batch_max: int
    mint_id: int | None
    claim: uuid.UUID | None = None


class SignedRow(msgspec.Struct, frozen=True):
    """A signed transaction, before it is sent, with the jobs that it does."""

    signature: str
    raw: bytes
    payer: str
    last_valid_height: int
    jobs: tuple[int, ...]


class OpenTransaction(msgspec.Struct, frozen=True):
    """A signed transaction whose outcome is not final."""

    id: int
    signature: str
    raw: bytes
    last_valid_height: int


class Outcome(msgspec.Struct, frozen=True):
    """The end of a transaction: ``landed``, ``failed`` with its error, or ``expired``."""

    transaction: int
    state: str
    slot: int | None = None
    error: str | None = None


class DoneJob(msgspec.Struct, frozen=True):
    """A job that is done, for good: in which slot and transaction (None: found done on the chain)."""

    job: ChainJob
    slot: int
    signature: str | None


class FinishedJob(NamedTuple):
    """A job that has just been recorded as done, and the time since it was added."""

    kind: str
    took_ms: int


class PoisonedJob(msgspec.Struct, frozen=True):
    """A job that is not tried again."""

    job: ChainJob
    reason: str


def insert_chain_jobs(first_parameter: int = 1) -> str:
    """SQL that adds jobs, usable as a CTE: three arrays, in the order of ChainJobRow's fields.

    A job that is in the table already stays as it is: adding it again changes nothing.
    """
    types = ("text", "text", "bytea")
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, first_parameter))
    rows = f"INSERT INTO chain_jobs (kind, key, payload) SELECT * FROM unnest({arrays})"
    return f"{rows} ON CONFLICT (kind, key) DO NOTHING"
