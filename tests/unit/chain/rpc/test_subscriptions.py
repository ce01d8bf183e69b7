"""Subscriptions go on over lost connections, and readers are told when something may be missing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from faulty_server import FaultyServer, serving
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.rpc.notices import Ended, Missed, Notices, Update
from chain.rpc.subscriptions import Subscription, Subscriptions

ACCOUNT = Pubkey.new_unique()
WITHIN_S = 10.0


@asynccontextmanager
async def subscriptions_to(*servers: FaultyServer) -> AsyncIterator[Subscriptions]:
    mine = Subscriptions([server.url for server in servers], back_off_first_s=0.01)
    await mine.start()
    try:
        yield mine
    finally:
        await mine.stop()


async def next_of(subscription: Subscription) -> Update | Missed:
    async with asyncio.timeout(WITHIN_S):
        return await subscription.next()


async def test_updates_come_after_the_reader_was_told_to_read_the_state():
    server = FaultyServer()
    async with serving(server), subscriptions_to(server) as subscriptions:
        changes = subscriptions.account(ACCOUNT)
        assert await next_of(changes) == Missed("subscribed")
        await server.notify("accountNotification", 0, server.of({"lamports": 5}, slot=77))
        assert await next_of(changes) == Update(77, {"lamports": 5})


async def test_after_a_lost_connection_it_subscribes_again_and_says_what_may_be_missing():
    server = FaultyServer()
    async with serving(server), subscriptions_to(server) as subscriptions:
        changes = subscriptions.account(ACCOUNT)
        assert await next_of(changes) == Missed("subscribed")
        await server.notify("accountNotification", 0, server.of(1, slot=77))
        assert await next_of(changes) == Update(77, 1)
        await server.disconnect()
        assert await next_of(changes) == Missed("subscribed", since_slot=77)
        await server.notify("accountNotification", 1, server.of(2, slot=99))
        assert await next_of(changes) == Update(99, 2)


async def test_it_goes_to_another_server_when_one_is_gone():
    gone, there = FaultyServer(), FaultyServer()
    async with serving(gone):
        pass
    async with serving(there), subscriptions_to(gone, there) as subscriptions:
        assert await next_of(subscriptions.slots()) == Missed("subscribed")


async def test_a_server_that_answers_with_nonsense_is_left():
    server = FaultyServer()
    async with serving(server), subscriptions_to(server) as subscriptions:
        slots = subscriptions.slots()
        assert await next_of(slots) == Missed("subscribed")
        for nonsense in ("}", '{"method": "slotNotification", "params": 4}', '{"id": "x"}'):
            for socket in list(server.sockets):
                await socket.send_str(nonsense)
            assert isinstance(await next_of(slots), Missed)


async def test_a_signature_ends_with_its_notification():
    server = FaultyServer()
    async with serving(server), subscriptions_to(server) as subscriptions:
        landed = subscriptions.signature(Signature.default())
        assert await next_of(landed) == Missed("subscribed")
        await server.notify("signatureNotification", 0, server.of({"err": None}, slot=5))
        assert [one async for one in landed] == [Update(5, {"err": None})]


async def test_a_subscription_that_is_closed_is_ended_at_the_server():
    server = FaultyServer()
    async with serving(server), subscriptions_to(server) as subscriptions:
        slots = subscriptions.slots()
        assert await next_of(slots) == Missed("subscribed")
        server.subscribed.clear()
        slots.close()
        async with asyncio.timeout(WITHIN_S):
            await server.subscribed.wait()
        assert server.calls["slotUnsubscribe"] == 1
        with pytest.raises(Ended):
            await slots.next()


async def test_a_slow_reader_gets_one_missed_instead_of_a_long_queue():
    notices = Notices(limit=3)
    notices.put(Update(1, 1))
    assert await notices.next() == Update(1, 1)
    for slot in range(2, 12):
        notices.put(Update(slot, slot))
    assert len(notices) <= 4
    assert await notices.next() == Missed("the reader is too slow", since_slot=1)


async def test_notices_of_missing_updates_become_one():
    notices = Notices()
    for _ in range(5):
        notices.missed("subscribed")
    assert len(notices) == 1
