"""A host that stops: what waits is answered, what is in memory is saved."""

import asyncio

from auction_examples import ANN
from auction_requests import state_request
from virtual_time import virtual

from actors.stream.messages import Accepted
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, FIRST, World, bid


@virtual
async def test_draining_answers_everyone_once_and_saves_what_is_in_memory():
    world = World()
    async with world.running() as client:
        await client.create()
        numbers = [client.send(bid(ANN, 10 + i)) for i in range(300)]
        # In the same turn, before the host has seen any of it.
        await client.host.drain()
        assert all(len(client.answers[n]) == 1 for n in numbers)
        assert {type(client.answer(n)) for n in numbers} == {Accepted}
        assert world.tables.snapshots[FIRST].seq == 302
        assert client.answer(client.send(bid(ANN, 900))).code == "unavailable"


@virtual
async def test_draining_answers_those_who_wait_for_an_auction_to_be_loaded():
    world = World()
    async with world.running() as client:
        await client.create()
    async with world.running() as client:
        number, other = client.send(bid(ANN, 10)), client.send(state_request(AUCTIONS[3]))
        await asyncio.sleep(0)
        await client.host.drain()
        assert isinstance(client.answer(number), Accepted)
        assert client.answer(other).code == "not_found"
    assert world.replayed().bids == 1


@virtual
async def test_draining_an_idle_host_ends_at_once():
    world = World()
    async with world.running() as client:
        await asyncio.sleep(1)
        async with asyncio.timeout(0.01):
            await client.host.drain()
            await client.host.drain()
