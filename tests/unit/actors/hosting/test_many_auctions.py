"""A host with very many auctions: what wakes together is loaded, decided and written together."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from auction_examples import ANN, BOB
from msgspec.structs import replace
from structlog.testing import capture_logs
from virtual_time import EPOCH_MS, virtual

from actors.hosting import loader as loader_module
from actors.hosting import records as records_module
from actors.hosting.entity.entity import BrokenChain, Entity
from actors.hosting.inbox import BATCH_DUE_MAX
from actors.hosting.limits import HostLimits
from actors.hosting.records import Records
from actors.stream.messages import Accepted, Refused
from domain.auction.state import Status
from persistence.log.snapshots import Snapshot
from persistence.placement.directory import slot_of
from tests.memory.event_log import MemoryEventLog
from tests.memory.snapshots import MemorySnapshots
from tests.unit.actors.hosting.hosts_in_memory import FIRST, HOUR_MS, SLOTS, Client, World, bid, creation

MANY = tuple(FIRST + 1_000 + i for i in range(10_000))
SOME = MANY[:60]


async def answers_of(client: Client, requests: Sequence[Any]) -> list[Any]:
    numbers = [client.send(request) for request in requests]
    await client.settled()
    return [client.answer(number) for number in numbers]


def entity(auction: int) -> Entity:
    return Entity(auction, "auction", slot_of(auction, SLOTS), 1)


def closings(world: World, auctions: Sequence[int]) -> list[int]:
    """How long after its end each was closed (ms)."""
    assert {world.replayed(auction).status for auction in auctions} == {Status.CLOSED}
    return [world.tables.events[auction][-1].at - (EPOCH_MS + HOUR_MS) for auction in auctions]


def nobody(_: Entity) -> None:
    """Nobody follows the summary rows."""


@virtual
async def test_ten_thousand_that_end_at_the_same_moment_are_closed_within_a_second():
    world = World()
    async with world.running() as client:
        await answers_of(client, [creation(auction) for auction in MANY])
        before = client.host._log.appends
        await asyncio.sleep(HOUR_MS / 1000 + 1)
        late_ms = closings(world, MANY)
        assert 0 <= min(late_ms) <= max(late_ms) <= 1_000
        # Each commit takes as many as it may.
        assert client.host._log.appends - before <= len(MANY) / BATCH_DUE_MAX + 5


@virtual
async def test_while_ten_thousand_end_a_bid_elsewhere_waits_for_no_more_than_the_batch_under_way():
    world = World()
    async with world.running() as client:
        await answers_of(client, [creation(auction) for auction in MANY])
        await client.create(FIRST, ends_at=EPOCH_MS + 2 * HOUR_MS)
        log = client.host._log
        before = log.appends
        sent: list[int] = []
        answered_after: list[int] = []

        async def bid_in_the_middle() -> None:
            if log.appends == before + 3 and not sent:
                sent.append(client.send(bid(ANN, 10)))
            if sent and client.answers[sent[0]] and not answered_after:
                answered_after.append(log.appends - before)
            await asyncio.sleep(0)

        world.weather.pause = bid_in_the_middle
        await asyncio.sleep(HOUR_MS / 1000 + 1)
        assert isinstance(client.answer(sent[0]), Accepted)
        assert answered_after <= [5]
        assert log.appends - before > 40


@virtual
async def test_those_a_dead_host_left_behind_are_loaded_and_closed_together_too():
    world = World()
    async with world.running() as client:
        await answers_of(client, [creation(auction) for auction in MANY])
    async with world.running() as client:
        for auction in MANY:
            client.host.timers.set(auction, EPOCH_MS + HOUR_MS)
        await asyncio.sleep(HOUR_MS / 1000 + 1)
        late_ms = closings(world, MANY)
        assert 0 <= min(late_ms) <= max(late_ms) <= 1_000


@virtual
async def test_bids_after_a_restart_load_their_auctions_page_by_page():
    world = World()
    async with world.running() as client:
        await answers_of(client, [creation(auction) for auction in SOME])
    async with world.running() as client:
        pages = []
        load_many = client.host.records._store.load_many

        async def noted(auctions: Sequence[int]) -> dict[int, Snapshot]:
            pages.append(len(auctions))
            return await load_many(auctions)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client.host.records._store, "load_many", noted)
            patch.setattr(loader_module, "LOAD_PAGE", 25)
            answers = await answers_of(client, [bid(ANN, 10, auction=auction) for auction in SOME])
        assert {type(answer) for answer in answers} == {Accepted}
        assert pages == [25, 25, 10]


@virtual
async def test_an_auction_that_can_not_be_read_costs_those_loaded_with_it_nothing():
    world = World()
    async with world.running(limits=HostLimits(snapshot_every_events=1)) as client:
        await answers_of(client, [creation(auction) for auction in SOME])
        await client.host.records.flush()
        await answers_of(client, [bid(ANN, 10, auction=auction) for auction in SOME])
    tables = world.tables
    unreadable, broken, odd = SOME[3], SOME[30], SOME[59]
    tables.snapshots[unreadable] = Snapshot(unreadable, "auction", 2, 1, EPOCH_MS, b"h" * 32, b"no state")
    tables.snapshots[broken] = Snapshot(broken, "auction", 1, 1, EPOCH_MS, b"h" * 32, tables.snapshots[broken].state)
    del tables.events[broken][1]
    del tables.snapshots[odd]
    # An event that no rule foresees there: a bid before the listing.
    tables.events[odd] = [replace(tables.events[odd][2], seq=1)]
    async with world.running() as client:
        with capture_logs() as logs:
            answers = await answers_of(client, [bid(BOB, 20, auction=auction) for auction in SOME])
    refused = {a: answer.code for a, answer in zip(SOME, answers, strict=True) if isinstance(answer, Refused)}
    assert refused == dict.fromkeys((unreadable, broken, odd), "unavailable")
    assert sorted((log["event"], log["entity"]) for log in logs) == [
        ("activation_failed", odd),
        ("entity_unreadable", unreadable),
        ("entity_unreadable", broken),
    ]


@virtual
async def test_a_long_tail_is_read_in_bounded_pages_and_holds_up_none_with_a_short_one():
    world = World()
    async with world.running() as client:
        await answers_of(client, [creation(auction) for auction in SOME[:4]])
        await answers_of(client, [bid(ANN, dollars, auction=SOME[0]) for dollars in range(10, 60)])
    event_log = MemoryEventLog(world.tables, world.weather)
    asked: list[tuple[int, int]] = []
    tails = event_log.tails

    async def noted(after: Sequence[tuple[int, int]], limit_each: int) -> Any:
        asked.append((len(after), limit_each))
        return await tails(after, limit_each)

    event_log.tails = noted  # type: ignore[method-assign]
    records = Records(event_log, MemorySnapshots(world.tables, world.weather), 1_000, nobody)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records_module, "TAIL_PAGE", 20)
        given = [found async for found in records.load([entity(auction) for auction in SOME[:4]])]
    assert [(found.id, found.seq, fault) for found, fault in given] == [
        (SOME[1], 2, None),
        (SOME[2], 2, None),
        (SOME[3], 2, None),
        (SOME[0], 52, None),
    ]
    assert asked == [(4, 5), (1, 20), (1, 20), (1, 20)]


@virtual
async def test_a_gap_in_one_tail_is_that_auctions_own():
    world = World()
    async with world.running() as client:
        await answers_of(client, [creation(auction) for auction in SOME[:3]])
    del world.tables.events[SOME[1]][0]
    stores = MemoryEventLog(world.tables, world.weather), MemorySnapshots(world.tables, world.weather)
    given = [found async for found in Records(*stores, 1_000, nobody).load([entity(a) for a in SOME[:3]])]  # type: ignore[arg-type]
    assert [type(fault) for _, fault in given] == [type(None), BrokenChain, type(None)]
