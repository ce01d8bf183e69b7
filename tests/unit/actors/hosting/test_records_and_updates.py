"""What a host writes and says beside the log: read model, snapshots, announcements."""

import asyncio
from typing import Any

import pytest
from auction_examples import ANN, BOB
from auction_requests import state_in
from virtual_time import until, virtual

from actors.hosting.limits import HostLimits
from actors.hosting.updates import PUBLISH_EVERY_S, UPDATE_EVENTS_MAX
from persistence.postgres.errors import StoreUnavailable
from persistence.redis.announcements import updates_channel
from tests.memory.tables import listed
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, FIRST, SLOTS, World, bid, slot

NO_SUMMARY_WITH_A_COMMIT = float("inf")


def summary_of(world: World) -> Any:
    return listed(world.tables.summaries[FIRST])


def summaries_only_when_due(client: Any) -> None:
    """Put the twice-a-second refresh out of the way."""
    client.host.records._summaries_at = NO_SUMMARY_WITH_A_COMMIT


@virtual
async def test_the_read_model_follows_at_once_where_a_status_changes():
    world = World()
    async with world.running() as client:
        summaries_only_when_due(client)
        await client.create()
        assert (summary_of(world).status, summary_of(world).seq) == ("open", 2)
        await client.ask(bid(ANN, 10))
        assert world.tables.summaries[FIRST].seq == 2
        await asyncio.sleep(3_601)
        summary = summary_of(world)
        assert (summary.status, summary.seq, summary.winner, summary.due_at) == ("closed", 4, ANN, None)


@virtual
async def test_the_read_model_follows_bids_with_maintenance():
    world = World()
    async with world.running() as client:
        summaries_only_when_due(client)
        await client.create()
        await client.ask(bid(ANN, 10))
        client.host.maintain()
        await asyncio.sleep(0.01)
        await client.host.records.flush()
        assert (summary_of(world).seq, summary_of(world).leader_name) == (3, "ann")


@virtual
async def test_what_could_not_be_written_is_written_the_next_time():
    world = World()
    async with world.running(limits=HostLimits(snapshot_every_events=1)) as client:
        summaries_only_when_due(client)
        await client.create()
        await client.ask(bid(ANN, 10))
        client.host.maintain()
        await asyncio.sleep(0.01)
        world.weather.down = True
        with pytest.raises(StoreUnavailable):
            await client.host.records.flush()
        world.weather.down = False
        await client.host.records.flush()
        assert world.tables.summaries[FIRST].seq == world.tables.snapshots[FIRST].seq == 3


@virtual
async def test_a_newer_row_made_while_an_older_is_written_is_not_lost():
    world = World()
    async with world.running(limits=HostLimits(snapshot_every_events=1)) as client:
        summaries_only_when_due(client)
        await client.create()
        await client.ask(bid(ANN, 10))
        client.host.maintain()
        await asyncio.sleep(0.01)
        written = asyncio.Event()
        world.weather.pause = written.wait
        flushing = asyncio.create_task(client.host.records.flush())
        await asyncio.sleep(0.01)
        number = client.send(bid(BOB, 20))
        await asyncio.sleep(0.01)
        written.set()
        await flushing
        await client.settled()
        assert client.answer(number).seq == 4
        client.host.maintain()
        await asyncio.sleep(0.01)
        await client.host.records.flush()
        assert world.tables.summaries[FIRST].seq == world.tables.snapshots[FIRST].seq == 4


@virtual
async def test_a_dead_hosts_last_bids_reach_the_read_model_when_the_auction_is_loaded():
    world = World()
    async with world.running() as client:
        summaries_only_when_due(client)
        await client.create()
        await client.ask(bid(ANN, 10))
        await until(lambda: world.published.updates[-1].seq == 3)
    assert world.tables.summaries[FIRST].seq == 2
    async with world.running() as client:
        await client.state()
        client.host.maintain()
        await asyncio.sleep(0.01)
        await client.host.records.flush()
        assert world.tables.summaries[FIRST].seq == 3
        # Its position is published again: the last update of the host that died may be lost.
        assert (world.published.updates[-1].seq, world.published.updates[-1].events) == (3, [])


@virtual
async def test_snapshots_are_taken_every_so_many_events():
    world = World()
    async with world.running(limits=HostLimits(snapshot_every_events=10)) as client:
        await client.create()
        taken = []
        for dollars in range(10, 40):
            await client.ask(bid(ANN, dollars))
            await client.host.records.flush()
            taken.append(world.tables.snapshots[FIRST].seq if FIRST in world.tables.snapshots else None)
    assert sorted({seq for seq in taken if seq is not None}) == [10, 20, 30]


@virtual
async def test_news_of_one_commit_goes_out_as_one_message_a_channel():
    world = World()
    async with world.running() as client:
        for auction in AUCTIONS[:6]:
            await client.create(auction)
        world.published.pages.clear()
        for auction in AUCTIONS[:6]:
            client.send(bid(ANN, 10, auction=auction))
        await client.settled()
        await until(lambda: world.published.pages)
    assert sorted(channel for channel, _ in world.published.pages) == sorted(
        {updates_channel(slot(auction) % SLOTS) for auction in AUCTIONS[:6]}
    )
    assert sorted(update.entity for update in world.published.updates) == list(AUCTIONS[:6])


@virtual
async def test_commits_that_follow_each_other_at_once_are_published_together():
    world = World()
    async with world.running() as client:
        await client.create()
        await until(lambda: world.published.pages)
        await asyncio.sleep(PUBLISH_EVERY_S)
        world.published.pages.clear()
        for dollars in range(10, 15):
            await client.ask(bid(ANN, dollars))
        await until(lambda: world.published.updates[-1].seq == 7)
    assert [(n.seq, [e.seq for e in n.events], state_in(n).bids) for n in world.published.updates] == [
        (3, [3], 1), (7, [4, 5, 6, 7], 5)
    ]  # fmt: skip


@virtual
async def test_news_of_a_large_commit_has_only_the_last_events():
    world = World()
    async with world.running() as client:
        await client.create()
        world.published.pages.clear()
        for dollars in range(10, 10 + UPDATE_EVENTS_MAX + 20):
            client.send(bid(ANN, dollars))
        await until(lambda: world.published.pages)
    [update] = world.published.updates
    last = 2 + UPDATE_EVENTS_MAX + 20
    assert [event.seq for event in update.events] == list(range(last - UPDATE_EVENTS_MAX + 1, last + 1))
    assert (update.seq, state_in(update).bids) == (last, UPDATE_EVENTS_MAX + 20)
