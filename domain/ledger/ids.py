"""Ids of 16 bytes: of transfers, equal in a retry, and references of holds."""

import hashlib

from domain.ledger.orders import ID_BYTES

REFERENCE_KIND_BYTES = 8


def transfer_id(purpose: str, *parts: int | bytes | str) -> bytes:
    """The id of a transfer, a hash of its purpose and parts."""
    digest = hashlib.blake2b(digest_size=ID_BYTES)
    for part in (purpose, *parts):
        # The type and length of each part go in, so that no two lists of parts read alike.
        encoded = part if isinstance(part, bytes) else str(part).encode()
        digest.update(f"{type(part).__name__}{len(encoded)}:".encode() + encoded)
    return digest.digest()


def held_for(kind: str, entity: int) -> bytes:
    """The reference of the holds for an entity. ``kind`` has at most seven letters."""
    return f"{kind}:".encode().ljust(REFERENCE_KIND_BYTES, b"\0") + entity.to_bytes(8, "big")


def held_for_auction(auction: int) -> bytes:
    """The reference of the holds for an auction."""
    return held_for("auction", auction)
