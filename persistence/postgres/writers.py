"""Names of the connections over which a host writes, so that the next owner of its slots can end them.

What has been sent over a connection that has ended can't be committed any more.
"""

import secrets
from collections.abc import Iterable

# An application's name may have 63 bytes; 16 of them tell one connection from the next.
KINDS = ("log", "holds", "copies")
WRITER_BYTES_MAX = 63 - max(len(f"ece-{kind}--") for kind in KINDS) - 16

# $1: prefixes; $2: for how many milliseconds to wait for each. The hosts of another engine, which has a database of its
# own on the same server, have the same names.
END_WRITERS = """
    SELECT coalesce(bool_and(pg_terminate_backend(pid, $2)), true) FROM pg_stat_activity
    WHERE datname = current_database() AND left(application_name, -16) = ANY($1::text[])
"""


def prefix_of(kind: str, writer: str) -> str:
    """What the names of this writer's connections of a kind (one of KINDS) begin with."""
    return f"ece-{kind}-{writer[:WRITER_BYTES_MAX]}-"


def prefixes_of(writers: Iterable[str]) -> list[str]:
    """Those of all connections of these writers."""
    return [prefix_of(kind, writer) for writer in writers for kind in KINDS]


def new_name(prefix: str) -> str:
    """A name for one connection."""
    return prefix + secrets.token_hex(8)
