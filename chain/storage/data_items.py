"""Data items and bundles of Arweave (ANS-104, version 2.0.0), signed with ed25519 as Solana wallets do.

The id of an item is the hash of its signature. ed25519 gives the same signature for the same message, so the same
content, tags and key have the same id.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from chain.signing import Signer
from chain.storage.varint import varint

# The type of the signature: 64 bytes, with a public key of 32.
ED25519 = 2
TAGS_MAX = 128
TAGS_BYTES_MAX = 4_096
ANCHOR_BYTES = 32
Tags = Sequence[tuple[str, str]]
DeepList = Sequence["DeepList | bytes | Hashed"]


class InvalidTags(ValueError):
    """Too many tags, or too long ones."""


class Hashed(NamedTuple):
    """Bytes of which only the length and the SHA-384 are in memory."""

    size: int
    digest: bytes


class ItemHead(NamedTuple):
    """An item without its data, which follow ``content``. ``id`` is its 32 bytes."""

    id: bytes
    content: bytes
    data_size: int

    @property
    def text(self) -> str:
        """The id as it stands in addresses: ``ar://`` and this."""
        return id_text(self.id)

    @property
    def size(self) -> int:
        return len(self.content) + self.data_size


def id_text(id: bytes) -> str:
    """An id as base64url without padding."""
    return base64.urlsafe_b64encode(id).decode().rstrip("=")


class DataHash:
    """Size and hash of data that come piece by piece."""

    def __init__(self) -> None:
        self._size = 0
        self._digest = hashlib.sha384()

    def feed(self, piece: bytes) -> None:
        self._size += len(piece)
        self._digest.update(piece)

    def finish(self) -> Hashed:
        return Hashed(self._size, self._digest.digest())


async def sign_item(signer: Signer, data: Hashed, tags: Tags, anchor: bytes = b"") -> ItemHead:
    """Sign an item. Raises InvalidTags, SignerUnavailable, SignerRefused."""
    assert len(anchor) in (0, ANCHOR_BYTES), "an anchor has 32 bytes"
    owner, encoded = bytes(signer.address), encoded_tags(tags)
    message = deep_hash([b"dataitem", b"1", str(ED25519).encode(), owner, b"", anchor, encoded, data])
    signature = bytes(await signer.sign(message))
    content = ED25519.to_bytes(2, "little") + signature + owner
    # No target; the anchor, if there is one.
    content += b"\0" + (b"\1" + anchor if anchor else b"\0")
    content += len(tags).to_bytes(8, "little") + len(encoded).to_bytes(8, "little") + encoded
    return ItemHead(hashlib.sha256(signature).digest(), content, data.size)


def encoded_tags(tags: Tags) -> bytes:
    """An Avro array of pairs, in one block. Raises InvalidTags."""
    if not tags:
        return b""
    if len(tags) > TAGS_MAX or not all(name and value for name, value in tags):
        raise InvalidTags(f"1 to {TAGS_MAX} tags, none empty")
    encoded = _long(len(tags)) + b"".join(_text(name) + _text(value) for name, value in tags) + _long(0)
    if len(encoded) > TAGS_BYTES_MAX:
        raise InvalidTags(f"at most {TAGS_BYTES_MAX} bytes of tags")
    return encoded


def bundle_header(items: Sequence[ItemHead]) -> bytes:
    """What stands before the items of a bundle: how many there are, then size and id of each."""
    table = b"".join(item.size.to_bytes(32, "little") + item.id for item in items)
    return len(items).to_bytes(32, "little") + table


def deep_hash(chunk: "DeepList | bytes | Hashed") -> bytes:
    """The hash that is signed (Arweave's deep hash with SHA-384)."""
    if isinstance(chunk, bytes):
        chunk = Hashed(len(chunk), _sha384(chunk))
    if isinstance(chunk, Hashed):
        return _sha384(_sha384(b"blob" + str(chunk.size).encode()) + chunk.digest)
    found = _sha384(b"list" + str(len(chunk)).encode())
    for one in chunk:
        found = _sha384(found + deep_hash(one))
    return found


def _sha384(content: bytes) -> bytes:
    return hashlib.sha384(content).digest()


def _long(number: int) -> bytes:
    """Avro's zig-zag, of a number that is not negative."""
    return varint(number << 1)


def _text(text: str) -> bytes:
    return _long(len(text.encode())) + text.encode()
