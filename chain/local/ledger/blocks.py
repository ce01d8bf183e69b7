"""Slots, block heights and blockhashes, and the ladder from processed to finalized."""

from collections import OrderedDict
from hashlib import sha256
from typing import Literal

from solders.hash import Hash

from chain.local.slots import BLOCKHASH_AGE_MAX, FINALIZED_AFTER_SLOTS

Commitment = Literal["processed", "confirmed", "finalized"]

# Slots and heights that may be used before the store has to record that they are: after a crash the chain goes on
# behind them, so that no height is ever told twice.
RESERVED = 16


class Blocks:
    """The position of the chain. A block's hash is a function of the genesis and of its height.

    So a restart knows the hashes that are still valid without having stored them, and no hash ever comes again.
    """

    def __init__(self, genesis: bytes, slot: int, height: int) -> None:
        self.genesis = genesis
        self.first_slot, self.first_height = slot, height
        self.slot, self.height = slot, height
        # All blocks up to here are on disk.
        self.durable_slot = slot - 1
        self._heights: OrderedDict[Hash, int] = OrderedDict()
        for earlier in range(max(0, height - BLOCKHASH_AGE_MAX), height + 1):
            self._heights[self.hash_at(earlier)] = earlier

    def advance(self) -> None:
        """The next slot, with a block."""
        self.slot += 1
        self.height += 1
        self._heights[self.hash_at(self.height)] = self.height
        while len(self._heights) > BLOCKHASH_AGE_MAX + 1:
            self._heights.popitem(last=False)

    def hash_at(self, height: int) -> Hash:
        return Hash(sha256(self.genesis + height.to_bytes(8, "little")).digest())

    def last_valid_height(self, height: int) -> int:
        """The last block in which a transaction with the blockhash of this height can land."""
        return height + BLOCKHASH_AGE_MAX

    def is_recent(self, blockhash: Hash) -> bool:
        """Whether a transaction with this blockhash can still land."""
        return blockhash in self._heights

    def slot_at(self, commitment: Commitment) -> int:
        """The newest slot of this commitment."""
        if commitment == "processed":
            return self.slot
        confirmed = max(0, min(self.durable_slot, self.slot - 1))
        return confirmed if commitment == "confirmed" else max(0, min(confirmed, self.slot - FINALIZED_AFTER_SLOTS))

    def height_at(self, commitment: Commitment) -> int:
        return max(0, self.height - (self.slot - self.slot_at(commitment)))

    def height_of(self, slot: int) -> int | None:
        """The height of a block since this node has started; None where there is none."""
        if not self.first_slot <= slot <= self.slot:
            return None
        return self.first_height + slot - self.first_slot

    def commitment_of(self, slot: int) -> Commitment:
        """How far a transaction of this slot has come."""
        if slot <= self.slot_at("finalized"):
            return "finalized"
        return "confirmed" if slot <= self.slot_at("confirmed") else "processed"
