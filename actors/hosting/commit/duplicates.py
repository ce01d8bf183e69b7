"""Duplicate look-up: the keys of commands that may be retries are looked up in the log."""

from collections.abc import Sequence

from actors.hosting.commit.batch import Batch
from actors.hosting.entity.orders import Order
from actors.stream.messages import Command
from domain.log.codec import command_key
from persistence.log.event_log import EventLog, KeyedRow
from persistence.postgres.errors import StoreError


async def keys_of_second_attempts(event_log: EventLog, orders: Sequence[Order]) -> dict[tuple[int, bytes], KeyedRow]:
    """The keys of orders whose earlier attempt collided, as far as the log has them: memory may not have these keys."""
    wanted = [key for order in orders if order.attempts and (key := _key_of(order)) is not None]
    if not wanted:
        return {}
    try:
        return await event_log.find_keys(wanted)
    except StoreError:
        return {}


async def resolve_duplicates(event_log: EventLog, batch: Batch) -> None:
    """Answer refused commands whose key is in the log but no longer in memory with the first answer.

    An accepted command can't be such a retry: the rules of a kind refuse a command that a later event made impossible.
    """
    keys = [_key_of(order) for order, _ in batch.maybe_duplicates]
    try:
        found = await event_log.find_keys([key for key in keys if key is not None])
    except StoreError:
        batch.answers += [(order, batch.unavailable) for order, _ in batch.maybe_duplicates]
        return
    for (order, refused), key in zip(batch.maybe_duplicates, keys, strict=True):
        answer = refused
        if key is not None and key in found and isinstance(order.request, Command):
            # Not from the host's memory, from which it may be gone by now.
            entity = batch.overlays[order.request.entity].entity
            command = entity.kind.codec.decode_command(order.request.payload)
            answer = entity.known_answer(entity.rules.fingerprint(command), found[key])
        batch.answers.append((order, answer))


def _key_of(order: Order) -> tuple[int, bytes] | None:
    request = order.request
    if not isinstance(request, Command) or request.key is None:
        return None
    return request.entity, command_key(*request.key)
