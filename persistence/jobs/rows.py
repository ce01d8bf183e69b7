"""Rows of jobs, to insert in the transaction of their cause."""

import msgspec


class JobRow(msgspec.Struct, frozen=True, array_like=True):
    """A job to add. ``kind`` names the code that runs it; ``(kind, key)`` identifies it.

    ``payload`` is JSON or empty; the job runs at ``run_at_ms`` (milliseconds since the epoch) or soon after.
    """

    kind: str
    key: str
    payload: bytes = b""
    run_at_ms: int = 0


def insert_jobs(first_parameter: int = 1) -> str:
    """SQL that adds jobs, usable as a CTE: four arrays, in the order of JobRow's fields, from ``$first_parameter`` on.

    A job that is in the table already stays as it is: adding it again changes nothing.
    """
    types = ("text", "text", "bytea", "bigint")
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, first_parameter))
    rows = f"INSERT INTO jobs (kind, key, payload, run_at) SELECT * FROM unnest({arrays})"
    return f"{rows} ON CONFLICT (kind, key) DO NOTHING"
