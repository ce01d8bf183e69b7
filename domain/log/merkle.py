"""Merkle trees as in RFC 6962: one hash of many leaves, and short proofs that a leaf is among them.

Leaves and inner nodes have different prefixes, so neither can be taken for the other. No leaf is doubled to fill a
level: a tree of n leaves has the largest power of two below n on its left side.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

LEAF, NODE = b"\x00", b"\x01"


class Tree(NamedTuple):
    """The root, and for each leaf in order the hashes from it up to the root."""

    root: bytes
    paths: tuple[tuple[bytes, ...], ...]


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(NODE + left + right).digest()


def tree_of(leaves: Sequence[bytes]) -> Tree:
    """The tree of these leaves, in their order. That of none has the hash of nothing as its root."""
    if not leaves:
        return Tree(hashlib.sha256().digest(), ())
    return _tree_of([leaf_hash(data) for data in leaves])


def _tree_of(hashes: Sequence[bytes]) -> Tree:
    if len(hashes) == 1:
        return Tree(hashes[0], ((),))
    half = 1 << (len(hashes) - 1).bit_length() - 1
    left, right = _tree_of(hashes[:half]), _tree_of(hashes[half:])
    paths = (
        *((*path, right.root) for path in left.paths),
        *((*path, left.root) for path in right.paths),
    )  # fmt: skip
    return Tree(node_hash(left.root, right.root), paths)


def is_included(data: bytes, place: int, leaves: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether this leaf has this place (from 0) in the tree of so many leaves with this root: RFC 9162, 2.1.3.2."""
    if not 0 <= place < leaves:
        return False
    here, last, found = place, leaves - 1, leaf_hash(data)
    for sibling in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            found = node_hash(sibling, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root
