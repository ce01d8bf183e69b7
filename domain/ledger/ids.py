"""Names of 16 bytes: of transfers, made so that a retry makes the same, and of what money is held for."""

import hashlib

from domain.ledger.orders import ID_BYTES

REFERENCE_KIND_BYTES = 8


def transfer_id(purpose: str, *parts: int | bytes | str) -> bytes:
    """The id of the transfer for this purpose of these things: the same for the same, another for any other."""
    digest = hashlib.blake2b(digest_size=ID_BYTES)
    for part in (purpose, *parts):
        # The type and length of each part go in, so that no two lists of parts read alike.
        encoded = part if isinstance(part, bytes) else str(part).encode()
        digest.update(f"{type(part).__name__}{len(encoded)}:".encode() + encoded)
    return digest.digest()


def held_for(kind: str, entity: int) -> bytes:
    """What names the holds of an entity's users. ``kind`` has at most seven letters."""
    return f"{kind}:".encode().ljust(REFERENCE_KIND_BYTES, b"\0") + entity.to_bytes(8, "big")


def held_for_auction(auction: int) -> bytes:
    """What names the holds of an auction's bidders."""
    return held_for("auction", auction)
