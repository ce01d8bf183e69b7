"""The port for funds: what a bidder may lose by winning is held before their bid is decided.

Nothing stands behind it yet: ``NoHolds`` asks nobody, and every bid is decided as if it were covered.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from actors.batch import Batch, Order
from actors.messages import INSUFFICIENT_FUNDS, Bid, Buy, Refused
from persistence.errors import StoreError

log = structlog.get_logger()


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


async def covered(holds: Holds, orders: list[Order], batch: Batch, unavailable: Refused) -> list[Order]:
    """Hold the funds of all bids of a batch. Those that are not covered are answered; the others are returned.

    Where nobody can tell, all bids are answered ``unavailable``.
    """
    if isinstance(holds, NoHolds):
        return orders
    bids = [(order, order.request) for order in orders if isinstance(order.request, (Bid, Buy))]
    try:
        short = await holds.place([request for _, request in bids])
    except StoreError as error:
        log.error("holds_failed", error=str(error))
        batch.orders += [order for order, _ in bids]
        batch.answers += [(order, unavailable) for order, _ in bids]
        return [order for order in orders if not isinstance(order.request, (Bid, Buy))]
    refused = set()
    for index, shortfall in short.items():
        order = bids[index][0]
        refused.add(id(order))
        batch.orders.append(order)
        answer = Refused(INSUFFICIENT_FUNDS, batch.now_ms, available=shortfall.available, required=shortfall.required)
        batch.answers.append((order, answer))
    return [order for order in orders if id(order) not in refused]
