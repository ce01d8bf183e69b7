"""Slots and auctions go from one living host to another: nothing is lost, decided twice, or answered wrongly."""

import asyncio
from typing import Any

import pytest
from auction_examples import ANN, BOB, CID
from virtual_time import EPOCH_MS, until, virtual

from actors.hosting.commit.lease import LEASE_S
from actors.hosting.limits import HostLimits
from actors.hosting.load_report import EntityRate
from actors.hosting.ownership.ownership import Ownership
from actors.hosting.ownership.releases import RETURN_AFTER_S, Releases, Returned
from actors.stream.messages import Accepted, Refused, StateAnswer
from domain.auction.state import Status
from persistence.placement.directory import Owned, slot_of
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, FIRST, HOUR_MS, SLOTS, World, bid, slot

HERE = frozenset({slot()})
NEIGHBOUR = next(a for a in AUCTIONS if slot_of(a, SLOTS) == slot() and a != FIRST)
ELSEWHERE = next(a for a in AUCTIONS if slot_of(a, SLOTS) != slot())


def outcome(answer: object) -> str:
    return (
        answer.result.outcome
        if isinstance(answer, Accepted)
        else answer.code
        if isinstance(answer, Refused)
        else "state"
    )


@virtual
async def test_a_slot_goes_on_where_it_was_with_the_next_host():
    world = World()
    async with world.running() as old, world.running() as new:
        new.host.ownership.clear()
        await old.create()
        await old.ask(bid(ANN, 10))
        await old.host.hand_off(HERE, ())
        assert old.host.entities == {}
        assert world.tables.snapshots[FIRST].seq == len(world.tables.events[FIRST])
        assert await old.code(bid(BOB, 20)) == "moved"
        new.host.acquire_slots(HERE, ())
        assert outcome(await new.ask(bid(BOB, 20))) == "leading"
        assert outcome(await new.ask(bid(ANN, 10))) == "leading"  # a retry: the answer of then
        assert (await new.state()).state.bids == 2
    assert world.replayed().leader == BOB


@virtual
async def test_what_waits_when_a_slot_is_released_is_decided_or_moved_and_never_both():
    world = World()
    async with world.running(limits=HostLimits(batch_max=2)) as old:
        await old.create()
        await old.create(ELSEWHERE)
        numbers = [old.send(bid(ANN, 10 + n, f"k{n}")) for n in range(20)]
        other = old.send(bid(BOB, 10, auction=ELSEWHERE))
        await asyncio.sleep(0)
        await old.host.hand_off(HERE, ())
        await old.settled()
        said = [outcome(old.answer(number)) for number in numbers]
        assert outcome(old.answer(other)) == "leading"
        decided = said.index("moved")
        assert 0 < decided < 20
        assert said == ["leading"] * decided + ["moved"] * (20 - decided)
    assert world.replayed().bids == decided


@virtual
async def test_what_is_acquired_while_keys_of_a_batch_are_looked_up_does_not_spoil_it(
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setattr("actors.hosting.entity.entity.RECENT_KEYS_MAX", 2)
    world = World()
    async with world.running() as client:
        await client.create()
        await client.create(ELSEWHERE)
        for dollars in range(10, 20):
            await client.ask(bid(ANN, dollars))
        find_keys, handed_off = client.host._log.find_keys, []

        async def slow(wanted: Any) -> Any:
            handed_off.append(asyncio.create_task(client.host.hand_off(HERE, ())))
            await asyncio.sleep(0)
            client.host.acquire_slots((), ())
            return await find_keys(wanted)

        monkeypatch.setattr(client.host._log, "find_keys", slow)
        numbers = [client.send(bid(ANN, 10)), client.send(bid(BOB, 10, auction=ELSEWHERE))]
        await client.settled()
        retried, other = map(client.answer, numbers)
        assert isinstance(retried, Accepted)
        assert retried.duplicate
        assert outcome(other) == "leading"
        await asyncio.gather(*handed_off)


@virtual
async def test_an_auction_that_is_being_loaded_when_its_slot_goes_is_not_kept():
    world = World()
    async with world.running() as first:
        await first.create()
    async with world.running() as old:
        number = old.send(bid(ANN, 10))
        await until(lambda: old.host._loader.orders_waiting, step_s=0)
        await old.host.hand_off(HERE, ())
        await old.settled()
        assert outcome(old.answer(number)) == "moved"
        assert old.host.entities == {}


@virtual
async def test_time_passes_only_where_the_auction_is():
    world = World()
    async with world.running() as old, world.running() as new:
        new.host.ownership.clear()
        await old.create()
        await old.host.hand_off(HERE, ())
        new.host.acquire_slots(HERE, ())
        new.host.timers.set(FIRST, EPOCH_MS + HOUR_MS)
        await asyncio.sleep(HOUR_MS / 1000 + 1)
        assert old.host.meter.conflicts == new.host.meter.conflicts == 0
    assert world.replayed().status is Status.CLOSED


@virtual
async def test_an_auction_gets_a_host_of_its_own_and_its_neighbours_stay():
    world = World()
    async with world.running() as shared, world.running() as own:
        own.host.ownership.clear()
        await shared.create()
        await shared.create(NEIGHBOUR)
        assert (await shared.state()).state.placement == "shared"
        await shared.host.hand_off((), (FIRST,))
        own.host.acquire_dedicated((FIRST,))
        assert (await own.state()).state.placement == "dedicated"
        assert await shared.code(bid(ANN, 10)) == "moved"
        assert outcome(await shared.ask(bid(ANN, 10, auction=NEIGHBOUR))) == "leading"
        assert await own.code(bid(ANN, 10, auction=NEIGHBOUR)) == "moved"
        # And back again.
        await own.host.hand_off((), (FIRST,))
        shared.host.reacquire((FIRST,))
        answer = await shared.state()
        assert isinstance(answer, StateAnswer)
        assert answer.state.placement == "shared"


@virtual
async def test_a_host_that_took_a_slot_for_its_own_while_another_keeps_it_is_stopped_by_the_log():
    world = World()
    async with world.running() as one, world.running() as other:
        await one.create()
        await other.state()
        for dollars in range(10, 30, 2):
            assert outcome(await one.ask(bid(ANN, dollars))) == "leading"
            assert outcome(await other.ask(bid(BOB, dollars + 1))) == "leading"
        assert one.host.meter.conflicts + other.host.meter.conflicts >= 10
    assert world.replayed().bids == 20


@virtual
async def test_a_host_that_was_not_confirmed_for_long_refuses_nothing_that_the_log_does_not_know():
    world = World()
    async with world.running() as stopped, world.running() as new:
        await stopped.create()
        await stopped.ask(bid(ANN, 10))
        stopped.host.lease.confirm(stopped.host.clock.steady_s())
        assert await stopped.code(bid(ANN, 9, "lower")) == "already_leading"
        await new.ask(bid(BOB, 50))
        await asyncio.sleep(LEASE_S + 0.1)
        # ann does not lead any more, and this host does not know.
        assert await stopped.code(bid(ANN, 9, "again")) == "unavailable"
        # What the log fences is decided right whoever asks.
        assert outcome(await stopped.ask(bid(CID, 60))) == "leading"
        stopped.host.lease.confirm(stopped.host.clock.steady_s())
        assert await stopped.code(bid(ANN, 9, "again")) == "bid_too_low"


@virtual
async def test_a_batch_that_collides_says_no_refusal_of_others_either_when_not_confirmed():
    world = World()
    async with world.running() as stopped, world.running() as new:
        for auction in (FIRST, ELSEWHERE):
            await stopped.create(auction)
            await stopped.ask(bid(ANN, 10, auction=auction))
        stopped.host.lease.confirm(stopped.host.clock.steady_s())
        for auction in (FIRST, ELSEWHERE):
            await new.ask(bid(BOB, 50, auction=auction))
        await asyncio.sleep(LEASE_S + 0.1)
        # One batch: a bid that collides, and a refusal in another auction where ann leads no more.
        collides = stopped.send(bid(CID, 60))
        refused = stopped.send(bid(ANN, 9, "again", auction=ELSEWHERE))
        await stopped.settled()
        assert outcome(stopped.answer(refused)) == "unavailable"
        assert outcome(stopped.answer(collides)) == "leading"
        assert stopped.host.meter.conflicts == 1


@virtual
async def test_slots_that_were_taken_away_are_forgotten_with_all_that_is_in_memory():
    world = World()
    async with world.running() as old, world.running() as new:
        await old.create()
        old.host.lose(HERE, ())
        assert await old.code(bid(ANN, 10)) == "moved"
        await new.ask(bid(BOB, 50))
        old.host.acquire_slots(HERE, ())
        assert (await old.state()).state.leader == (await new.state()).state.leader == "bob"
        assert old.host.meter.conflicts == 0


@virtual
async def test_a_host_says_what_is_hot_and_who_wishes_for_a_host_of_its_own():
    world = World()
    async with world.running() as client:
        await client.create()
        await client.create(ELSEWHERE, placement="dedicated")
        await client.create(NEIGHBOUR, placement="shared")
        client.host.load_report()
        for second in range(20):
            for n in range(10):
                await client.ask(bid(ANN, 1_000 * second + 20 * n + 10))
            await client.ask(bid(BOB, 1_000 * second + 10, auction=NEIGHBOUR))
            await asyncio.sleep(1)
            report = client.host.load_report()
        assert report.hottest == [EntityRate(FIRST, 10)]  # the neighbour's seller wants no host of its own
        assert report.dedicated_wanted == [ELSEWHERE]
        assert 10 < report.orders_rate <= 11
        assert (report.entities, report.inbox, report.inbox_max) == (3, 0, 20_000)
        assert report.commits > 100
        client.host.acquire_dedicated((ELSEWHERE,))
        await asyncio.sleep(HOUR_MS / 1000)
        assert client.host.load_report().ended == [ELSEWHERE]


@virtual
async def test_a_full_inbox_refuses_and_counts_it():
    world = World()
    async with world.running(limits=HostLimits(inbox_max=5)) as client:
        await client.create()
        numbers = [client.send(bid(ANN, 10 + n, f"k{n}")) for n in range(9)]
        await client.settled()
        said = [outcome(client.answer(number)) for number in numbers]
        assert said.count("overloaded") == client.host.load_report().refused_overloaded == 4


def test_places_with_and_without_hosts_of_their_own():
    ownership = Ownership(SLOTS)
    ownership.add(HERE, [NEIGHBOUR])
    assert [ownership.owns(a) for a in (FIRST, NEIGHBOUR, ELSEWHERE)] == [True, False, False]
    ownership.hand_off([FIRST])
    ownership.dedicated |= {ELSEWHERE}
    assert [ownership.owns(a) for a in (FIRST, NEIGHBOUR, ELSEWHERE)] == [False, False, True]
    ownership.reacquire([FIRST, NEIGHBOUR])
    ownership.hand_off([ELSEWHERE])
    assert [ownership.owns(a) for a in (FIRST, NEIGHBOUR, ELSEWHERE)] == [True, True, False]
    ownership.add((), [NEIGHBOUR])
    ownership.remove(HERE)
    assert (ownership.slots, ownership.excluded) == (frozenset(), frozenset())


def test_what_nobody_took_comes_back_and_what_somebody_took_does_not():
    now = 100.0
    releases, ownership = Releases(lambda: now), Ownership(SLOTS)
    other = slot_of(ELSEWHERE, SLOTS)
    releases.add([slot(), other], [FIRST, ELSEWHERE])
    in_vain = Owned(slots=HERE, entities=frozenset({ELSEWHERE}))
    assert releases.returned(in_vain, ownership, now) == Returned()
    now += RETURN_AFTER_S
    assert releases.returned(in_vain, ownership, now) == Returned(HERE, frozenset({ELSEWHERE}), frozenset({FIRST}))
    assert releases.returned(in_vain, ownership, now) == Returned()
    releases.add([slot()], [FIRST])
    now += RETURN_AFTER_S
    taken = Owned(slots=HERE, excluded=frozenset({FIRST}))
    assert releases.returned(taken, ownership, now) == Returned(slots=HERE)
