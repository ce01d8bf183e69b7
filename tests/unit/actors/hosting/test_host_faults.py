"""What a host does when stores fail, other hosts write, or its own code is wrong."""

import asyncio
from typing import Any

import pytest
from auction_examples import ANN, BOB, CID
from auction_requests import bid_request, close_request, decode_event, ordered, state_in, state_request
from structlog.testing import capture_logs
from virtual_time import EPOCH_MS, turns, until, virtual

from actors.hosting.host import ATTEMPTS_MAX
from actors.hosting.limits import HostLimits
from actors.stream.messages import Accepted, Command, Refused
from domain.auction.formats.english import ENGLISH
from domain.auction.rules import AUCTIONS as auction_rules
from domain.auction.state import Status
from domain.money import usd
from persistence.postgres.errors import StoreUnavailable
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, FIRST, HOUR_MS, World, bid, buy, creation


@virtual
async def test_a_bid_whose_append_failed_is_unavailable_and_may_be_sent_again():
    world = World()
    async with world.running() as client:
        await client.create()
        world.weather.writes.append("lost")
        assert await client.code(bid(ANN, 10, "k")) == "unavailable"
        assert len(world.tables.events[FIRST]) == 2
        again = await client.ask(bid(ANN, 10, "k"))
        assert (again.seq, again.duplicate) == (3, False)
    assert world.replayed().bids == 1


@virtual
async def test_a_bid_whose_append_landed_though_it_failed_is_known_when_sent_again():
    world = World()
    async with world.running() as client:
        await client.create()
        world.weather.writes.append("landed")
        assert await client.code(bid(ANN, 10, "k")) == "unavailable"
        assert len(world.tables.events[FIRST]) == 3
        again = await client.ask(bid(ANN, 10, "k"))
        assert (again.seq, again.duplicate) == (3, True)
        assert await client.code(bid(ANN, 20, "k")) == "key_reused"
    assert world.replayed().bids == 1


@virtual
async def test_nobody_hears_of_what_may_not_have_landed():
    world = World()
    async with world.running() as client:
        await client.create()
        published = len(world.published.updates)
        world.weather.writes.append("lost")
        await client.ask(bid(ANN, 10))
        assert len(world.published.updates) == published
        # Not by the reminder either: it says where the log is.
        client.host.maintain()
        await client.state()
        client.host.maintain()
        await asyncio.sleep(1)
        assert {(n.seq, state_in(n).bids) for n in world.published.updates} == {(2, 0)}


@virtual
async def test_a_failed_append_takes_no_other_auctions_refusals_with_it():
    world = World()
    async with world.running() as client:
        for auction in AUCTIONS[:2]:
            await client.create(auction)
        world.weather.writes.append("lost")
        accepted, refused = client.send(bid(ANN, 10)), client.send(buy(BOB, auction=AUCTIONS[1]))
        await client.settled()
        assert client.answer(accepted).code == "unavailable"
        assert client.answer(refused).code == "buy_now_gone"


@virtual
async def test_what_was_refused_on_staged_state_is_not_told_when_that_state_did_not_land():
    world = World()
    async with world.running() as client:
        await client.create()
        world.weather.writes.append("lost")
        numbers = [client.send(bid(ANN, 90)), client.send(bid(BOB, 1)), client.send(state_request(FIRST))]
        await client.settled()
        assert [client.answer(n).code for n in numbers] == ["unavailable"] * 3
        assert isinstance(await client.ask(bid(BOB, 1)), Accepted)


@virtual
async def test_two_hosts_on_one_log_answer_rightly_and_in_one_order():
    world = World()
    async with world.running() as one, world.running() as other:
        await one.create()
        numbers: list[tuple[Any, int, Command]] = []
        for step in range(60):
            client = (one, other)[step % 2]
            request = bid((ANN, BOB, CID)[step % 3], 10 + step * 7, f"k{step}")
            numbers.append((client, client.send(request), request))
            await turns(step % 5)
        await one.settled()
        await other.settled()
        rows = {row.seq: row for row in world.tables.events[FIRST]}
        acks = [(c.answer(n), request) for c, n, request in numbers if isinstance(c.answer(n), Accepted)]
        assert len(acks) == len({answer.seq for answer, _ in acks}) == world.replayed().bids
        for answer, request in acks:
            event = decode_event(rows[answer.seq].body)
            assert (event.bidder, event.key, event.maximum) == (request.key[0], request.key[1], ordered(request).amount)
            assert (event.price, event.minimum, event.ends_at) == (
                answer.result.price,
                answer.result.minimum,
                answer.result.ends_at,
            )
        # Whatever was not acknowledged was refused by a rule, or gave up after so many conflicts: nothing in between.
        codes = {c.answer(n).code for c, n, _ in numbers if isinstance(c.answer(n), Refused)}
        assert codes <= {"bid_too_low", "unavailable", "already_leading"}


@virtual
async def test_a_host_that_was_overtaken_steps_aside_and_decides_on_what_the_log_has():
    world = World()
    async with world.running() as old, world.running() as new:
        await old.create()
        await old.ask(bid(ANN, 10))
        await new.ask(bid(BOB, 50))
        # The old one believes that Ann leads at 10: it must not take 20 for the lead.
        answer = await old.ask(bid(CID, 20, "k"))
        assert (answer.result.outcome, answer.seq, answer.result.price) == ("outbid", 5, usd(20, 50))
        assert (await old.ask(bid(CID, 20, "k"))).duplicate is True


@virtual
async def test_a_key_that_another_host_wrote_is_found():
    world = World()
    async with world.running() as old, world.running() as new:
        await old.create()
        await old.ask(bid(ANN, 10))
        first = await new.ask(bid(BOB, 50, "k"))
        again = await old.ask(bid(BOB, 50, "k"))
        assert (again.seq, again.duplicate) == (first.seq, True)
        assert world.replayed().bids == 2


@virtual
async def test_an_auction_that_another_host_closed_is_closed():
    world = World()
    async with world.running() as old, world.running() as new:
        await old.create()
        await new.ask(close_request(FIRST, 99))
        assert await old.code(bid(ANN, 10)) == "auction_closed"
    assert len(world.tables.events[FIRST]) == 3


@virtual
async def test_hosts_that_list_the_same_auction_at_once_list_it_once():
    world = World()
    async with world.running() as one, world.running() as other:
        numbers = [(client, client.send(creation())) for client in (one, other)]
        await one.settled()
        await other.settled()
        assert sorted(client.answer(n).duplicate for client, n in numbers) == [False, True]
    assert len(world.tables.events[FIRST]) == 2


@virtual
async def test_who_always_comes_second_gives_up_with_unavailable():
    world = World()
    async with world.running() as client:
        await client.create()
        log = client.host._log
        attempts = []

        async def rival() -> None:
            """Another writer is always a moment earlier."""
            attempts.append(1)
            async with world.running() as other:
                await other.ask(bid(BOB, 100 * len(attempts)))

        append = log.append

        async def rivalled(*args: Any) -> None:
            await rival()
            await append(*args)

        log.append = rivalled  # type: ignore[method-assign]
        assert await client.code(bid(ANN, 90_000, "k")) == "unavailable"
        assert len(attempts) == ATTEMPTS_MAX + 1
        log.append = append  # type: ignore[method-assign]
        assert (await client.ask(bid(ANN, 90_000, "k"))).duplicate is False


@virtual
async def test_a_key_reused_long_ago_harms_nobody_else_in_the_batch():
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actors.hosting.entity.entity.RECENT_KEYS_MAX", 2)
        async with world.running() as client:
            for auction in AUCTIONS[:2]:
                await client.create(auction)
            for dollars in range(10, 20):
                await client.ask(bid(ANN, dollars))
            numbers = [
                client.send(bid(BOB, 100)),
                client.send(bid(ANN, 200, f"{ANN}-10")),
                client.send(bid(CID, 30, auction=AUCTIONS[1])),
            ]
            await client.settled()
            assert isinstance(client.answer(numbers[0]), Accepted)
            assert client.answer(numbers[1]).code == "key_reused"
            assert isinstance(client.answer(numbers[2]), Accepted)
    assert (world.replayed().bids, world.replayed(AUCTIONS[1]).bids) == (11, 1)


@virtual
async def test_when_doubts_can_not_be_resolved_the_answer_is_unavailable():
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actors.hosting.entity.entity.RECENT_KEYS_MAX", 2)
        async with world.running() as client:
            await client.create()
            for dollars in range(10, 20):
                await client.ask(bid(ANN, dollars))
            world.weather.down = True
            # Perhaps a retry of the first bid, which memory has forgotten: nobody can say.
            assert await client.code(bid(ANN, 10)) == "unavailable"
            assert (await client.ask(bid(ANN, 19))).duplicate is True
            world.weather.down = False
            assert (await client.ask(bid(ANN, 10))).duplicate is True


@virtual
async def test_an_auction_that_can_not_be_loaded_now_is_unavailable_and_later_is_there():
    world = World()
    async with world.running() as client:
        await client.create()
    async with world.running() as client:
        world.weather.down = True
        assert await client.code(state_request(FIRST)) == "unavailable"
        assert await client.code(bid(ANN, 10)) == "unavailable"
        world.weather.down = False
        assert isinstance(await client.ask(bid(ANN, 10)), Accepted)


@virtual
async def test_a_close_that_could_not_be_written_is_tried_until_it_can():
    world = World()
    async with world.running() as client:
        await client.create()
        await client.ask(bid(ANN, 10))
        await asyncio.sleep(HOUR_MS / 1000 - 1)
        world.weather.writes.extend(["lost"] * 5)
        await until(lambda: not world.weather.writes, within_s=60)
        await asyncio.sleep(30)
    assert world.replayed().status is Status.CLOSED
    assert world.replayed().winner == ANN


@virtual
async def test_an_auction_due_while_the_database_is_away_is_closed_afterwards_without_anyone_asking():
    world = World()
    async with world.running(limits=HostLimits(passivate_after_ms=1_000)) as client:
        await client.create()
        await asyncio.sleep(60)
        client.host.maintain()
        await until(lambda: not client.host.entities)
        await asyncio.sleep(HOUR_MS / 1000 - 61)
        world.weather.down = True
        await asyncio.sleep(20)
        world.weather.down = False
        await asyncio.sleep(60)
    assert world.replayed().status is Status.CLOSED


@virtual
async def test_a_fault_in_one_order_harms_nobody_else_in_its_batch():
    world = World()
    decide = ENGLISH.decide

    def faulty(auction: Any, command: Any, now_ms: int) -> Any:
        if getattr(command, "name", "") == "bad":
            raise ZeroDivisionError("a bug")
        return decide(auction, command, now_ms)

    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        patch.setattr(ENGLISH, "decide", faulty)
        async with world.running() as client:
            for auction in AUCTIONS[:2]:
                await client.create(auction)
            numbers = [
                client.send(bid(ANN, 10)),
                client.send(bid_request(FIRST, BOB, "bad", usd(20), "k")),
                client.send(bid(CID, 30)),
                client.send(bid(CID, 30, auction=AUCTIONS[1])),
            ]
            await client.settled()
            answers = [client.answer(n) for n in numbers]
    assert [getattr(answer, "code", "accepted") for answer in answers] == [
        "accepted", "unavailable", "accepted", "accepted",
    ]  # fmt: skip
    assert (world.replayed().bids, world.replayed(AUCTIONS[1]).bids) == (2, 1)
    assert [entry["event"] for entry in logs] == ["order_failed"]


@virtual
async def test_a_listing_that_fails_leaves_no_empty_auction_behind():
    world = World()

    def faulty(*_: Any) -> Any:
        raise ZeroDivisionError("a bug")

    async with world.running() as client:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(auction_rules, "open", faulty)
            assert await client.code(creation()) == "unavailable"
        assert client.host.entities == {}
        assert await client.code(bid(ANN, 10)) == "not_found"
        assert (await client.create()).duplicate is False


@virtual
async def test_a_fault_of_the_store_that_nobody_foresaw_answers_everyone_once_and_the_host_goes_on():
    world = World()
    async with world.running() as client:
        for auction in AUCTIONS[:3]:
            await client.create(auction)
        with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
            patch.setattr(client.host._log, "append", _failing)
            numbers = [client.send(bid(ANN, 10, auction=auction)) for auction in AUCTIONS[:3]]
            await client.settled()
        assert [client.answer(n).code for n in numbers] == ["unavailable"] * 3
        assert [entry["event"] for entry in logs] == ["batch_failed"]
        assert isinstance(await client.ask(bid(ANN, 10)), Accepted)
    assert world.replayed().bids == 1


async def _failing(*_: Any) -> Any:
    raise LookupError("nobody foresaw this")


@virtual
async def test_a_fault_before_anything_is_staged_answers_everyone_once():
    world = World()
    async with world.running() as one, world.running() as other:
        await one.create()
        await other.ask(bid(BOB, 50))
        with pytest.MonkeyPatch.context() as patch, capture_logs():
            # Only orders that met a conflict look keys up first.
            patch.setattr(one.host._log, "find_keys", _failing)
            numbers = [one.send(bid(ANN, 60 + i)) for i in range(3)]
            async with asyncio.timeout(60):
                await one.settled()
        assert [one.answer(n).code for n in numbers] == ["unavailable"] * 3
        assert isinstance(await one.ask(bid(ANN, 90)), Accepted)


@virtual
async def test_an_unforeseen_fault_while_loading_answers_everyone_who_waited():
    world = World()
    async with world.running() as client:
        await client.create()
        await client.ask(bid(ANN, 10))
    async with world.running() as client:
        with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
            patch.setattr(client.host._log, "tails", _failing)
            numbers = [client.send(request) for request in (bid(BOB, 20), state_request(FIRST), creation())]
            async with asyncio.timeout(60):
                await client.settled()
        assert [client.answer(n).code for n in numbers][:2] == ["unavailable"] * 2
        assert "activation_failed" in [entry["event"] for entry in logs]
        assert isinstance(await client.ask(bid(BOB, 20)), Accepted)
        # And time still closes it: the alarm was not lost with the fault.
        await asyncio.sleep(HOUR_MS / 1000 + 10)
    assert world.replayed().status is Status.CLOSED


@virtual
async def test_a_fault_in_the_news_after_a_commit_answers_nobody_twice():
    world = World()
    async with world.running() as client:
        await client.create()
        with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
            patch.setattr(client.host.updates, "add", _faulty)
            numbers = [client.send(bid(ANN, 10 + i)) for i in range(3)]
            await client.settled()
            await asyncio.sleep(1)
        assert [len(client.answers[n]) for n in numbers] == [1, 1, 1]
        assert [entry["event"] for entry in logs] == ["batch_failed"]
        assert (await client.ask(bid(ANN, 10))).duplicate is True
        assert isinstance(await client.ask(bid(ANN, 20)), Accepted)
        await asyncio.sleep(HOUR_MS / 1000 + 10)
    assert world.replayed().status is Status.CLOSED


def _faulty(*_: Any) -> None:
    raise LookupError("nobody foresaw this")


@virtual
async def test_listing_while_the_auction_is_being_looked_for_lists_it():
    world = World()
    async with world.running() as client:
        loaded = asyncio.Event()
        world.weather.pause = loaded.wait
        looking = client.send(state_request(FIRST))
        await asyncio.sleep(0.01)
        listing = client.send(creation())
        await asyncio.sleep(0.01)
        loaded.set()
        await client.settled()
        assert client.answer(looking).code == "not_found"
        assert client.answer(listing).duplicate is False
        await asyncio.sleep(HOUR_MS / 1000 + 10)
    assert world.replayed().status is Status.CLOSED


@virtual
async def test_a_store_that_fails_while_an_auction_is_listed_does_not_cost_it_its_alarm():
    world = World()
    async with world.running() as client:
        loaded = asyncio.Event()
        log, tails = client.host._log, client.host._log.tails

        async def late_failure(*_: Any) -> Any:
            await loaded.wait()
            raise StoreUnavailable("it failed late")

        log.tails = late_failure  # type: ignore[method-assign]
        looking = client.send(state_request(FIRST))
        await asyncio.sleep(0.01)
        await client.create()
        loaded.set()
        await client.settled()
        log.tails = tails  # type: ignore[method-assign]
        assert client.answer(looking).code == "unavailable"
        await asyncio.sleep(HOUR_MS / 1000 + 10)
    assert world.replayed().status is Status.CLOSED
    assert world.tables.events[FIRST][-1].at - (EPOCH_MS + HOUR_MS) <= 50
