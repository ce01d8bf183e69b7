"""What a host does when all goes well: order, answers, retries, bounds, time."""

import asyncio

import msgspec
import pytest
from auction_examples import ANN, BOB, CID, SELLER
from auction_requests import accepted, cancel_request, close_request, public, refused, state_request
from structlog.testing import capture_logs
from virtual_time import EPOCH_MS, until, virtual

from actors.hosting.inbox import BATCH_SOFT_MAX
from actors.hosting.limits import HostLimits
from actors.stream.messages import Accepted, StateAnswer
from domain.auction.state import Status
from domain.auction.terms import SoftClose
from domain.money import usd
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, FIRST, HOUR_MS, World, bid, buy, creation, slot

SECONDS_5 = SoftClose(window_ms=5_000, extension_ms=5_000)


@virtual
async def test_an_auction_is_listed_bid_on_and_closed_on_time():
    world = World()
    async with world.running() as client:
        assert isinstance(await client.create(), StateAnswer)
        assert await client.ask(bid(ANN, 10)) == accepted(
            1, 3, world.clock.now_ms(), "leading", usd(1), usd(1, 25), EPOCH_MS + HOUR_MS
        )
        await asyncio.sleep(HOUR_MS / 1000 - 1)
        assert (await client.state()).state.status == "open"
        await asyncio.sleep(1)
        await until(lambda: world.replayed().status is Status.CLOSED)
        assert world.tables.events[FIRST][-1].at - (EPOCH_MS + HOUR_MS) <= 50
        assert (await client.state()).state.winner == "ann"


@virtual
async def test_a_scheduled_auction_opens_and_closes_without_anyone_asking():
    world = World()
    async with world.running() as client:
        await client.create(starts_at=EPOCH_MS + 60_000, ends_at=EPOCH_MS + 120_000)
        assert await client.code(bid(ANN, 10)) == "auction_not_open"
        await asyncio.sleep(200)
    assert [row.at - EPOCH_MS for row in world.tables.events[FIRST]][1:] == [60_000, 120_000]
    assert world.replayed().status is Status.CLOSED


@virtual
async def test_an_ack_comes_only_after_the_append():
    world = World()
    async with world.running() as client:
        await client.create()
        written = asyncio.Event()
        world.weather.pause = written.wait
        number = client.send(bid(ANN, 10))
        await asyncio.sleep(1)
        assert client.answers[number] == []
        assert len(world.tables.events[FIRST]) == 2
        written.set()
        await client.settled()
        assert isinstance(client.answer(number), Accepted)
        assert len(world.tables.events[FIRST]) == 3


@virtual
async def test_what_comes_during_a_commit_goes_with_the_next_one_across_auctions():
    world = World()
    async with world.running() as client:
        for auction in AUCTIONS[:3]:
            await client.create(auction)
        appends = client.host._log.appends
        for dollars in range(10, 20):
            for auction in AUCTIONS[:3]:
                client.send(bid(ANN, dollars, auction=auction))
        await client.settled()
        assert client.host._log.appends == appends + 1
        assert all(world.replayed(auction).bids == 10 for auction in AUCTIONS[:3])


@virtual
async def test_a_long_queue_goes_in_large_batches_a_short_one_in_small():
    world = World()
    async with world.running() as client:
        await client.create()
        before = client.host._log.appends
        for dollars in range(10, 10 + 4 * BATCH_SOFT_MAX):
            client.send(bid(ANN, dollars))
        await client.settled()
        # Half of what waits, but not less than the soft bound: 1/2, 1/4, 1/4.
        assert client.host._log.appends == before + 3


@virtual
async def test_within_an_auction_orders_are_decided_as_they_came():
    world = World()
    async with world.running() as client:
        await client.create()
        numbers = [client.send(bid(bidder, 10 + 10 * i)) for i, bidder in enumerate([ANN, BOB, CID] * 20)]
        await client.settled()
    answers = [client.answer(number) for number in numbers]
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert [answer.seq for answer in answers] == list(range(3, 63))


@virtual
async def test_the_same_key_gives_the_same_answer_once():
    world = World()
    async with world.running() as client:
        await client.create()
        first = await client.ask(bid(ANN, 10, "k"))
        await client.ask(bid(BOB, 20))
        again = await client.ask(bid(ANN, 10, "k"))
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert again == accepted(first.epoch, first.seq, first.at, *msgspec.structs.astuple(first.result), True)
    assert world.replayed().bids == 2


@virtual
async def test_the_same_key_twice_in_one_batch_counts_once():
    world = World()
    async with world.running() as client:
        await client.create()
        numbers = [client.send(bid(ANN, 10, "k")) for _ in range(3)]
        await client.settled()
    assert [client.answer(n).duplicate for n in numbers] == [False, True, True]
    assert len({client.answer(n).seq for n in numbers}) == 1
    assert world.replayed().bids == 1


@virtual
async def test_two_bidders_may_use_the_same_key():
    world = World()
    async with world.running() as client:
        await client.create()
        await client.ask(bid(ANN, 10, "k"))
        assert (await client.ask(bid(BOB, 20, "k"))).duplicate is False


@virtual
async def test_a_key_used_again_with_other_content_is_refused():
    world = World()
    async with world.running() as client:
        await client.create(buy_now_price=usd(500), reserve_price=usd(400))
        await client.ask(bid(ANN, 10, "k"))
        assert await client.code(bid(ANN, 11, "k")) == "key_reused"
        assert await client.code(buy(ANN, "k")) == "key_reused"
        assert isinstance(await client.ask(buy(ANN, "b")), Accepted)
        assert await client.code(bid(ANN, 10, "b")) == "key_reused"
        assert (await client.ask(buy(ANN, "b"))).duplicate is True
    assert world.replayed().bids == 2


@virtual
async def test_keys_that_memory_has_forgotten_are_found_in_the_log():
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actors.hosting.entity.entity.RECENT_KEYS_MAX", 4)
        async with world.running() as client:
            await client.create()
            answers = {dollars: await client.ask(bid(ANN + dollars % 2, dollars)) for dollars in range(10, 40, 2)}
            assert len(client.host.entities[FIRST]._recent) == 4
            for dollars, first in answers.items():
                again = await client.ask(bid(ANN + dollars % 2, dollars))
                assert (again.seq, again.duplicate, again.result) == (first.seq, True, first.result)
            # Other content under a forgotten key: higher, so that the rules alone would accept it.
            assert await client.code(bid(ANN, 900, f"{ANN}-10")) == "key_reused"
            assert await client.code(buy(ANN, f"{ANN}-10")) == "key_reused"
            assert await client.code(bid(ANN, 2, "never used")) == "already_leading"
    assert world.replayed().bids == len(answers)


@virtual
async def test_a_retry_after_the_close_gives_the_first_answer():
    world = World()
    async with world.running() as client:
        await client.create()
        first = await client.ask(bid(ANN, 10, "k"))
        await client.ask(close_request(FIRST, 99))
        again = await client.ask(bid(ANN, 10, "k"))
        assert (again.seq, again.duplicate) == (first.seq, True)
        assert await client.code(bid(ANN, 12, "l")) == "auction_closed"


@virtual
async def test_refusals_say_what_they_were_decided_on_and_write_nothing():
    world = World()
    async with world.running() as client:
        await client.create()
        await client.ask(bid(ANN, 10))
        await asyncio.sleep(1)
        rows = list(world.tables.events[FIRST])
        now = world.clock.now_ms()
        assert await client.ask(bid(BOB, 1)) == refused("bid_too_low", now, usd(1), usd(1, 25))
        assert await client.code(bid(SELLER, 50)) == "own_auction"
        assert await client.code(buy(BOB)) == "buy_now_gone"
        assert await client.code(cancel_request(FIRST, SELLER)) == "has_bids"
        assert await client.code(cancel_request(FIRST, BOB)) == "forbidden"
    assert world.tables.events[FIRST] == rows


@virtual
async def test_an_auction_that_is_not_there_is_not_found():
    world = World()
    async with world.running() as client:
        for request in (
            bid(ANN, 10),
            buy(ANN),
            state_request(FIRST),
            cancel_request(FIRST, SELLER),
            close_request(FIRST, 99),
        ):
            assert await client.code(request) == "not_found"
        assert client.host.entities == {}


@virtual
async def test_listing_again_gives_the_state_and_other_terms_are_refused():
    world = World()
    async with world.running() as client:
        first = await client.create()
        again = await client.create()
        assert (again.seq, again.duplicate) == (first.seq, True)
        assert await client.code(creation(title="Blastoise")) == "key_reused"
    assert len(world.tables.events[FIRST]) == 2


@virtual
async def test_listing_again_after_the_auction_left_memory_gives_its_state():
    world = World()
    async with world.running() as client:
        await client.create()
        await client.ask(bid(ANN, 10))
    async with world.running() as client:
        again = await client.create()
        assert (again.seq, again.duplicate, again.state.bids) == (3, True, 1)
    assert world.replayed().bids == 1


@virtual
async def test_ending_an_auction_twice_gives_its_state():
    world = World()
    async with world.running() as client:
        for auction, order in (
            (AUCTIONS[0], cancel_request(AUCTIONS[0], SELLER)),
            (AUCTIONS[1], close_request(AUCTIONS[1], 9)),
        ):
            await client.create(auction)
            first, again = await client.ask(order), await client.ask(order)
            assert (again.seq, again.duplicate, again.state.status) == (first.seq, True, first.state.status)
        assert await client.code(close_request(AUCTIONS[0], 9)) == "auction_closed"
        assert await client.code(cancel_request(AUCTIONS[1], SELLER)) == "auction_closed"
        assert (await client.create(AUCTIONS[2])).state.status == "open"
        # An operator may withdraw what is another's.
        assert (await client.ask(cancel_request(AUCTIONS[2], 99, by_operator=True))).state.status == "cancelled"


@virtual
async def test_a_slot_that_this_host_does_not_keep_has_moved():
    world = World()
    async with world.running() as client:
        client.host.ownership.slots = frozenset(range(8)) - {slot()}
        assert client.answer(client.send(bid(ANN, 10))) == refused(
            "moved", world.clock.now_ms(), retry_after_ms=500
        )  # fmt: skip


@virtual
async def test_a_full_mailbox_and_a_full_inbox_answer_overloaded_at_once():
    world = World()
    host = world.host(HostLimits(inbox_max=6, mailbox_max=4))
    async with world.running(host) as client:
        for auction in AUCTIONS[:3]:
            await client.create(auction)
        to_one = [client.send(bid(ANN, 10 + i)) for i in range(6)]
        to_other = [client.send(bid(ANN, 10 + i, auction=AUCTIONS[1])) for i in range(4)]
        at_once = [n for n in (*to_one, *to_other) if client.answers[n]]
        assert at_once == [*to_one[4:], *to_other[2:]]
        assert {client.answer(n).code for n in at_once} == {"overloaded"}
        await client.settled()
        assert world.replayed().bids == 4
        # Later there is room again.
        assert isinstance(await client.ask(bid(ANN, 90)), Accepted)


@virtual
async def test_orders_that_wait_for_auctions_to_be_loaded_are_bounded_too():
    world = World()
    async with world.running(limits=HostLimits(inbox_max=5, mailbox_max=3)) as client:
        loaded = asyncio.Event()
        world.weather.pause = loaded.wait
        numbers = []
        for auction in AUCTIONS[:10]:
            numbers.append(client.send(state_request(auction)))
            await asyncio.sleep(0.01)
        codes = [client.answer(n).code for n in numbers if client.answers[n]]
        assert codes == ["overloaded"] * 5
        loaded.set()
        await client.settled()
        assert [client.answer(n).code for n in numbers] == ["not_found"] * 5 + ["overloaded"] * 5


@virtual
async def test_a_bid_in_the_window_moves_the_alarm():
    world = World()
    async with world.running() as client:
        await client.create(soft_close=SECONDS_5)
        await asyncio.sleep(HOUR_MS / 1000 - 1)
        await client.ask(bid(ANN, 10))
        await asyncio.sleep(4)
        assert (await client.state()).state.status == "open"
        await asyncio.sleep(2)
        assert (await client.state()).state.status == "closed"
    assert world.tables.events[FIRST][-1].at >= world.replayed().ends_at > EPOCH_MS + HOUR_MS


@virtual
async def test_a_bid_at_the_end_finds_the_auction_closed_though_no_alarm_rang():
    world = World()
    async with world.running() as client:
        await client.create()
        client.host.timers.stop()
        await asyncio.sleep(HOUR_MS / 1000)
        assert await client.code(bid(ANN, 10)) == "auction_closed"
    assert world.replayed().status is Status.CLOSED


@virtual
async def test_an_alarm_that_rings_too_early_is_set_again():
    world = World()
    async with world.running() as client:
        await client.create()
        client.host.timers.set(FIRST, EPOCH_MS + 10)
        await asyncio.sleep(HOUR_MS / 1000 + 1)
    assert world.replayed().status is Status.CLOSED


@virtual
async def test_an_outage_over_the_end_gives_its_length_back():
    world = World()
    async with world.running() as client:
        await client.create()
        await asyncio.sleep(HOUR_MS / 1000 - 10)
        world.weather.down = True
        await asyncio.sleep(60)
        assert await client.code(bid(ANN, 10)) == "unavailable"
        world.weather.down = False
        await asyncio.sleep(1)
        assert (await client.state()).state.status == "open"
        assert isinstance(await client.ask(bid(ANN, 10)), Accepted)
        moved = world.replayed().ends_at - (EPOCH_MS + HOUR_MS)
        assert 60_000 <= moved <= 62_000
        await asyncio.sleep(70)
    assert world.replayed().status is Status.CLOSED
    assert world.replayed().winner == ANN


@virtual
async def test_the_time_before_a_host_took_the_slot_is_an_outage():
    world = World()
    async with world.running() as client:
        await client.create()
        await asyncio.sleep(HOUR_MS / 1000 - 10)
    await asyncio.sleep(100)
    host = world.host()
    host.outages.slot_acquired(slot(), EPOCH_MS + HOUR_MS - 10_000, world.clock.now_ms())
    async with world.running(host) as client:
        assert (await client.state()).state.ends_at == EPOCH_MS + HOUR_MS + 100_000


@virtual
async def test_what_nobody_uses_leaves_memory_and_comes_back_as_it_was():
    world = World()
    async with world.running(limits=HostLimits(passivate_after_ms=60_000)) as client:
        await client.create()
        for dollars in range(10, 30):
            await client.ask(bid(ANN + dollars % 2, dollars))
        before = client.host.entities[FIRST]
        state, seq, digest = before.state, before.seq, before.hash
        await asyncio.sleep(61)
        client.host.maintain()
        await until(lambda: not client.host.entities)
        await client.host.records.flush()
        assert world.tables.snapshots[FIRST].seq == seq
        await client.state()
        after = client.host.entities[FIRST]
        assert after is not before
        assert (after.state, after.seq, after.hash) == (state, seq, digest)
        # A retry of long ago is still known, and time still closes it.
        assert (await client.ask(bid(ANN, 10))).duplicate is True
        await asyncio.sleep(HOUR_MS / 1000)
    assert world.replayed().status is Status.CLOSED


@virtual
async def test_an_auction_out_of_memory_closes_on_time():
    world = World()
    async with world.running(limits=HostLimits(passivate_after_ms=1_000)) as client:
        await client.create()
        await asyncio.sleep(10)
        client.host.maintain()
        await until(lambda: not client.host.entities)
        await asyncio.sleep(HOUR_MS / 1000)
    assert world.replayed().status is Status.CLOSED
    assert world.tables.events[FIRST][-1].at - (EPOCH_MS + HOUR_MS) <= 50


@virtual
async def test_recovery_reads_the_newest_snapshot_and_what_follows():
    world = World()
    async with world.running(limits=HostLimits(snapshot_every_events=10)) as client:
        await client.create()
        for dollars in range(10, 45):
            await client.ask(bid(ANN + dollars % 2, dollars))
        await client.host.records.flush()
    assert world.tables.snapshots[FIRST].seq == 30
    async with world.running() as client:
        answer = await client.state()
    assert (answer.epoch, answer.seq) == (1, 37)
    assert answer.state == public(world.replayed(), answer.state.server_time)


@virtual
async def test_rows_that_are_missing_make_an_auction_unavailable_and_are_logged():
    world = World()
    async with world.running() as client:
        await client.create()
        await client.create(AUCTIONS[1])
        await client.ask(bid(ANN, 10))
    del world.tables.events[FIRST][1]
    with capture_logs() as logs:
        async with world.running() as client:
            assert await client.code(bid(BOB, 20)) == "unavailable"
            assert await client.code(state_request(FIRST)) == "unavailable"
            # Others are not harmed.
            assert isinstance(await client.ask(bid(BOB, 20, auction=AUCTIONS[1])), Accepted)
    assert {(entry["event"], entry["entity"]) for entry in logs} == {("entity_unreadable", FIRST)}


@virtual
async def test_rows_that_are_damaged_make_an_auction_unavailable():
    world = World()
    async with world.running() as client:
        await client.create()
    row = world.tables.events[FIRST][1]
    world.tables.events[FIRST][1] = type(row)(FIRST, "auction", 2, 1, row.at, None, b"\xc1", row.hash)
    with capture_logs() as logs:
        async with world.running() as client:
            assert await client.code(bid(BOB, 20)) == "unavailable"
    assert [entry["event"] for entry in logs] == ["entity_unreadable"]


@virtual
async def test_news_of_a_commit_is_announced_after_it_and_again_with_the_reminder():
    world = World()
    async with world.running() as client:
        await client.create()
        await client.ask(bid(ANN, 10))
        await until(lambda: len(world.published.updates) == 2)
        assert [(n.seq, [e.type for e in n.events]) for n in world.published.updates] == [
            (2, ["listed", "opened"]),
            (3, ["bid"]),
        ]
        client.host.maintain()
        await until(lambda: len(world.published.updates) == 3)
        assert (world.published.updates[-1].seq, world.published.updates[-1].events) == (3, [])
        client.host.maintain()
        await asyncio.sleep(1)
        assert len(world.published.updates) == 3


@virtual
async def test_a_host_whose_clock_is_behind_never_writes_a_time_before_the_last():
    world = World()
    async with world.running() as client:
        await client.create()
        await asyncio.sleep(100)
        first = await client.ask(bid(ANN, 10))
    behind = type(world.clock)()
    behind.offset_ms = -50_000
    async with world.running(world.host(clock=behind)) as client:
        second = await client.ask(bid(BOB, 20))
    assert second.at == first.at
    times = [row.at for row in world.tables.events[FIRST]]
    assert times == sorted(times)
