"""The audit trail: its entries, the chain of their hashes, and how both are verified."""

from collections.abc import Iterator
from hashlib import sha256

import msgspec

GENESIS = bytes(32)


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """Who did what from where. ``details`` is JSON; times in milliseconds."""

    entry_id: int
    at: int
    action: str
    actor_id: int | None
    actor: str | None
    subject: str
    address: str | None
    request_id: str | None
    details: str


class Link(msgspec.Struct, frozen=True):
    """A link of the chain as it is stored, with its entry; None: there is no such entry."""

    position: int
    entry_id: int
    hash: bytes
    entry: Entry | None


class Head(msgspec.Struct, frozen=True):
    """The end of the chain."""

    position: int = 0
    hash: bytes = GENESIS


class Finding(msgspec.Struct, frozen=True):
    """What is wrong: ``changed``, ``missing``, ``gap``, ``unchained`` or ``head``."""

    kind: str
    entry_id: int | None
    detail: str


def follow(head: Head, entry: Entry) -> Head:
    """The end of the chain with one more entry."""
    position = head.position + 1
    return Head(position, sha256(head.hash + msgspec.msgpack.encode((position, entry))).digest())


def check(before: Head, link: Link) -> Iterator[Finding]:
    """What is wrong with the link that follows ``before``.

    The next link is checked against the stored hash of this one, so that each finding is one row.
    """
    if link.position != before.position + 1:
        yield Finding(
            "gap", None, f"links {before.position + 1} to {link.position - 1} are missing, or the order was changed"
        )
        return
    if link.entry is None:
        yield Finding("missing", link.entry_id, f"the entry of link {link.position} is gone")
    elif follow(before, link.entry).hash != link.hash:
        yield Finding("changed", link.entry_id, f"the entry of link {link.position}, or its place, was changed")
