"""CAR files (version 1): blocks with their CIDs one after the other, and which of them are roots.

The format in which nodes and pinning services import whole trees (https://ipld.io/specs/transport/car/carv1/).
"""

from collections.abc import Sequence

from chain.storage.cids import Cid
from chain.storage.unixfs import FileTree
from chain.storage.varint import varint

# Of DAG-CBOR: the key "roots" of a map of two; a CID (tag 42, 37 bytes that begin with 0); "version": 1.
_MAP_WITH_ROOTS, _LINK, _VERSION_1 = b"\xa2\x65roots", b"\xd8\x2a\x58\x25\x00", b"\x67version\x01"
ROOTS_MAX = 0xFFFF


def car_header(roots: Sequence[Cid]) -> bytes:
    """The header of a file with these roots, ROOTS_MAX at most."""
    assert len(roots) <= ROOTS_MAX, "a CAR file has a maximum of roots"
    header = _MAP_WITH_ROOTS + _array_head(len(roots))
    header += b"".join(_LINK + root.binary for root in roots) + _VERSION_1
    return varint(len(header)) + header


def car_block(cid: Cid, block: bytes) -> bytes:
    """One block of the file."""
    return varint(len(cid.binary) + len(block)) + cid.binary + block


class CarOfFile:
    """The blocks of one file as its content comes, children before their parents."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._tree = FileTree(lambda cid, block: self._blocks.append(car_block(cid, block)))

    def feed(self, piece: bytes) -> bytes:
        """The blocks that are complete with the next bytes of the file."""
        self._tree.feed(piece)
        return self._complete()

    def finish(self) -> tuple[Cid, bytes]:
        """The root, and the last blocks."""
        node = self._tree.finish()
        return node.cid, self._complete()

    def _complete(self) -> bytes:
        blocks = b"".join(self._blocks)
        self._blocks.clear()
        return blocks


def _array_head(length: int) -> bytes:
    if length < 24:
        return bytes([0x80 | length])
    return bytes([0x98, length]) if length < 0x100 else b"\x99" + length.to_bytes(2, "big")
