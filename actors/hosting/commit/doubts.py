"""Bids that may be retries: their keys are looked up in the log before they are decided, or before they are refused."""

from collections.abc import Mapping, Sequence

from actors.hosting.commit.batch import Batch
from actors.hosting.entity.keeper import Keeper
from actors.hosting.entity.orders import Order
from actors.stream.messages import Bid, Buy
from domain.log.codec import command_key
from persistence.log.event_log import EventLog, KeyedRow
from persistence.postgres.errors import StoreError


async def keys_of_second_attempts(event_log: EventLog, orders: Sequence[Order]) -> dict[tuple[int, bytes], KeyedRow]:
    """After a conflict look before deciding: the key may be in the log, older than what memory holds."""
    again = [o.request for o in orders if o.attempts and isinstance(o.request, (Bid, Buy))]
    if not again:
        return {}
    try:
        return await event_log.find_keys([(r.auction, command_key(r.bidder, r.key)) for r in again])
    except StoreError:
        return {}


async def resolve_doubts(event_log: EventLog, batch: Batch, keepers: Mapping[int, Keeper]) -> None:
    """A refused bid may be a retry of one that the log has but memory has forgotten: then that is the answer.

    An accepted bid can't be such a retry: its maximum stays below what a new bid must offer for ever.
    """
    wanted = [(o.request.auction, command_key(o.request.bidder, o.request.key)) for o, _ in batch.doubtful
              if isinstance(o.request, (Bid, Buy))]  # fmt: skip
    try:
        found = await event_log.find_keys(wanted)
    except StoreError:
        batch.answers += [(order, batch.unavailable) for order, _ in batch.doubtful]
        return
    for (order, refused), key in zip(batch.doubtful, wanted, strict=True):
        answer = refused
        if key in found and isinstance(order.request, (Bid, Buy)):
            answer = keepers[order.request.auction].known_answer(order.request, found[key])
        batch.answers.append((order, answer))
