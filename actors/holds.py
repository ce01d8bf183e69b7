"""The port for funds: what a bidder may lose by winning is held before their bid is decided.

Nothing stands behind it yet: ``NoHolds`` asks nobody, and every bid is decided as if it were covered.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from actors.messages import Bid, Buy


class Shortfall(msgspec.Struct, frozen=True):
    """What the bidder has, and what the bid would need (base units)."""

    available: int
    required: int


class Holds(Protocol):
    """Where funds are held. Idempotent by auction, bidder and key; may raise StoreError: then nothing is decided."""

    async def place(self, orders: Sequence[Bid | Buy]) -> Mapping[int, Shortfall]:
        """Hold what these orders of one commit need, all at once. Returns, by index, those that are not covered."""


class NoHolds:
    """No funds are kept: nothing is held, nobody is refused."""

    async def place(self, orders: Sequence[Bid | Buy]) -> Mapping[int, Shortfall]:
        return {}
