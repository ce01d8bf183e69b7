"""What a message from a host to the gateways costs: to Redis for each gateway, and to each gateway that reads it."""

import asyncio
import time
from collections.abc import AsyncIterator

from bench.engine import OwnEngine
from bench.measures.capacity.usage import usage_of
from persistence.redis.announcements import Announcer, Listener

CHANNEL = "ece:bench"
# As long as a page with the state of one auction and one event.
MESSAGE = bytes(400)
BATCH = 500
BATCHES = 10
WITHIN_S = 30.0
REDIS = "valkey"


async def message_costs(engine: OwnEngine) -> dict[str, float]:
    """Processor time (µs) by message: of this process to read it as a gateway does, and of Redis for one reader."""
    announcer, listener = Announcer(engine.redis_url), Listener(engine.redis_url, [CHANNEL])
    messages = listener.messages()
    announcer.start()
    read_s = 0.0
    try:
        async with asyncio.timeout(WITHIN_S):
            # None: connected.
            await anext(messages)
            redis_from_s = usage_of(engine).cpu_s.get(REDIS, 0.0)
            for _ in range(BATCHES):
                read_s += await _batch(announcer, messages)
            redis_s = usage_of(engine).cpu_s.get(REDIS, 0.0) - redis_from_s
    finally:
        await listener.close()
        await announcer.stop()
    sent = BATCH * BATCHES
    return {"receive_us_per_message": read_s / sent * 1e6, "redis_us_per_publish": redis_s / sent * 1e6}


async def _batch(announcer: Announcer, messages: AsyncIterator[tuple[str, bytes] | None]) -> float:
    """Publish a batch, wait until Redis has it, then read it; the processor time of reading (s)."""
    for _ in range(BATCH):
        announcer.publish(CHANNEL, MESSAGE)
    first = await anext(messages)
    while announcer.waiting:  # noqa: ASYNC110
        await asyncio.sleep(0)
    from_s = time.thread_time()
    left = BATCH - (first is not None)
    while left:
        left -= await anext(messages) is not None
    return time.thread_time() - from_s
