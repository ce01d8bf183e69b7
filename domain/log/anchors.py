"""Anchors: the hash chains of ended entities, as leaves of a Merkle tree whose root is on the chain as a memo."""

from collections.abc import Sequence
from typing import Any

import msgspec

from domain.ids import InvalidId, id_text, parse_id
from domain.log.codec import HASH_BYTES
from domain.log.kind import Kind
from domain.log.merkle import is_included

LEAF_PREFIX, MEMO_PREFIX = "ece:leaf:1", "ece:anchor:1"


class InvalidMemo(ValueError):
    """The text is not the memo of an anchor."""


class Leaf(msgspec.Struct, frozen=True):
    """The hash chain of an entity up to a row: the hash of that row."""

    kind: str
    entity: int
    seq: int
    hash: bytes

    @property
    def text(self) -> str:
        """What is hashed, as UTF-8."""
        return f"{LEAF_PREFIX}:{self.kind}:{id_text(self.entity)}:{self.seq}:{self.hash.hex()}"

    @property
    def data(self) -> bytes:
        return self.text.encode()


class AnchorMemo(msgspec.Struct, frozen=True):
    """The memo of an anchor: the root, the number of leaves, and the smallest and largest id among them."""

    root: bytes
    leaves: int
    first: int
    last: int

    @property
    def text(self) -> str:
        return f"{MEMO_PREFIX}:{self.root.hex()}:{self.leaves}:{id_text(self.first)}-{id_text(self.last)}"


def memo_of(root: bytes, leaves: Sequence[Leaf]) -> AnchorMemo:
    """The memo of an anchor with these leaves."""
    entities = [leaf.entity for leaf in leaves]
    return AnchorMemo(root, len(leaves), min(entities), max(entities))


def parse_memo(text: str) -> AnchorMemo:
    """The memo behind its text. Raises InvalidMemo; never accepts two texts for one memo."""
    fields = text.removeprefix(f"{MEMO_PREFIX}:").split(":")
    try:
        root, leaves, entities = fields
        first, last = entities.split("-")
        memo = AnchorMemo(bytes.fromhex(root), int(leaves), parse_id(first), parse_id(last))
    except (ValueError, InvalidId):
        raise InvalidMemo(text[:200]) from None
    if len(memo.root) != HASH_BYTES or memo.leaves < 1 or memo.text != text:
        raise InvalidMemo(text[:200])
    return memo


class AnchorClaim(msgspec.Struct, frozen=True):
    """What an anchor says of an entity's log. Its hash alone is compared: no state is needed."""

    leaf: Leaf
    place: int
    leaves: int
    path: tuple[bytes, ...]
    root: bytes
    source: str = "the anchor"

    @property
    def seq(self) -> int:
        return self.leaf.seq

    @property
    def needs_state(self) -> bool:
        return False

    @property
    def included(self) -> bool:
        """Whether the proof leads from the leaf to the root."""
        return is_included(self.leaf.data, self.place, self.leaves, self.path, self.root)

    def fault(self, kind: Kind, state: Any, at_ms: int, row_hash: bytes) -> str | None:
        if self.leaf.hash != row_hash:
            return "its hash is not the row's"
        return None if self.included else "its inclusion proof does not lead to its root"
