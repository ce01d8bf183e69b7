"""Funds are reserved: in any order of bids, ends and outages nobody promises what they don't have."""

import asyncio
import random
from typing import Any

import pytest
from auction_examples import ANN, BOB, CID, SELLER
from auction_requests import close_request
from virtual_time import virtual

from actors.hosting.commit.reservations import RELEASE_AFTER_S
from actors.stream.messages import Accepted, Refused, StateAnswer
from domain.auction.formats.english import ENGLISH
from domain.auction.state import Status
from domain.ledger.ids import held_for_auction
from domain.ledger.rules import Reserve, balance_check
from domain.money import usd
from tests.memory.holds import MemoryHolds
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, FIRST, Client, World, bid, buy, creation

SECOND = AUCTIONS[1]


async def settle_down(client: Client) -> None:
    """Time and maintenance for the releases between batches."""
    for _ in range(3):
        await asyncio.sleep(1)
        client.host.maintain()
    await asyncio.sleep(1)


@virtual
async def test_a_leader_holds_their_maximum_and_is_let_go_of_when_outbid():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(100)})
    async with world.running(holds=holds) as client:
        await client.create()
        await client.ask(bid(ANN, 40))
        assert holds.held == {(FIRST, ANN): usd(40)}
        await client.ask(bid(ANN, 60))
        assert holds.held == {(FIRST, ANN): usd(60)}
        await client.ask(bid(BOB, 50))
        await settle_down(client)
        assert holds.held == {(FIRST, ANN): usd(60)}
        await client.ask(bid(BOB, 80))
        await settle_down(client)
        assert holds.held == {(FIRST, BOB): usd(80)}


@virtual
async def test_who_is_outbid_and_bids_again_at_once_is_raised_without_a_release_between():
    world, holds = World(), MemoryHolds({ANN: usd(1_000), BOB: usd(1_000)})
    async with world.running(holds=holds) as client:
        await client.create()
        for dollars in range(10, 50, 10):
            await client.ask(bid(ANN, dollars))
            await client.ask(bid(BOB, dollars + 5))
        assert all(order.at_least > 0 for call in holds.calls for order in call)
        assert holds.held == {(FIRST, ANN): usd(40), (FIRST, BOB): usd(45)}
        await asyncio.sleep(2 * RELEASE_AFTER_S)
        assert holds.held == {(FIRST, BOB): usd(45)}


@virtual
async def test_a_release_that_waits_keeps_nobody_from_bidding_elsewhere():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(1_000)})
    async with world.running(holds=holds) as client:
        await client.create()
        await client.create(SECOND)
        await client.ask(bid(ANN, 100))
        await client.ask(bid(BOB, 110))
        assert isinstance(await client.ask(bid(ANN, 100, auction=SECOND)), Accepted)
        assert holds.held == {(FIRST, BOB): usd(110), (SECOND, ANN): usd(100)}


@virtual
async def test_what_is_promised_in_one_auction_can_not_be_promised_in_another():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(100)})
    async with world.running(holds=holds) as client:
        await client.create()
        await client.create(SECOND)
        await client.ask(bid(ANN, 70))
        refused = await client.ask(bid(ANN, 31, auction=SECOND))
        assert isinstance(refused, Refused)
        assert (refused.code, refused.details["available"], refused.details["required"]) == (
            "insufficient_funds",
            usd(30),
            usd(31),
        )
        assert (await client.state(SECOND)).state.bids == 0
        await client.ask(bid(BOB, 90))
        assert isinstance(await client.ask(bid(ANN, 100, auction=SECOND)), Accepted)


@virtual
async def test_in_one_batch_those_without_funds_are_refused_and_whoever_leads_is_held():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(5), CID: usd(100)})
    async with world.running(holds=holds) as client:
        await client.create()
        numbers = [client.send(bid(who, dollars)) for who, dollars in ((ANN, 10), (BOB, 90), (CID, 30), (ANN, 20))]
        await client.settled()
        answers = [client.answer(n) for n in numbers]
        assert [type(answer).__name__ for answer in answers] == ["Accepted", "Refused", "Accepted", "Accepted"]
        assert (answers[1].code, answers[1].details["available"], answers[1].details["required"]) == (
            "insufficient_funds",
            usd(5),
            usd(90),
        )
        await settle_down(client)
        assert holds.held == {(FIRST, CID): usd(30)}


@virtual
async def test_a_batch_that_all_can_pay_writes_holds_for_its_leader_alone():
    world, holds = World(), MemoryHolds(dict.fromkeys((ANN, BOB, CID), usd(1_000)))
    async with world.running(holds=holds) as client:
        await client.create()
        before = len(holds.calls)
        for number in range(12):
            client.send(bid((ANN, BOB, CID)[number % 3], 10 + number * 5))
        await client.settled()
        assert len(holds.calls) - before == 1
        assert holds.held == {(FIRST, CID): usd(65)}


@virtual
async def test_each_bidder_of_a_batch_is_asked_once_for_the_most_that_they_offer():
    world, holds = World(), MemoryHolds(dict.fromkeys((ANN, BOB), usd(1_000)))
    async with world.running(holds=holds) as client:
        await client.create()
        for number in range(10):
            client.send(bid((ANN, BOB)[number % 2], 10 + number * 5))
        await client.settled()
        reference = held_for_auction(FIRST)
        assert holds.calls == [[balance_check(b"", ANN, usd(50)), Reserve(reference, BOB, usd(55))]]


@virtual
async def test_of_several_bids_of_one_batch_those_are_accepted_that_their_bidder_can_pay():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(50)})
    async with world.running(holds=holds) as client:
        await client.create()
        numbers = [client.send(bid(who, dollars)) for who, dollars in ((BOB, 40), (ANN, 45), (BOB, 60), (ANN, 80))]
        await client.settled()
        answers = [client.answer(n) for n in numbers]
        assert [type(answer).__name__ for answer in answers] == ["Accepted", "Accepted", "Refused", "Accepted"]
        assert (answers[2].details["available"], answers[2].details["required"]) == (usd(50), usd(60))
        await settle_down(client)
        assert holds.held == {(FIRST, ANN): usd(80)}


@virtual
async def test_one_balance_is_asked_for_in_many_auctions_at_once_and_held_in_one():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(1_000)})
    async with world.running(holds=holds) as client:
        for auction in AUCTIONS[:3]:
            await client.create(auction)
        numbers = [client.send(bid(ANN, 100, auction=auction)) for auction in AUCTIONS[:3]]
        numbers += [client.send(bid(BOB, 200, auction=auction)) for auction in AUCTIONS[:2]]
        await client.settled()
        assert [type(client.answer(n)).__name__ for n in numbers] == ["Accepted"] * 5
        await settle_down(client)
        assert holds.held == {(AUCTIONS[0], BOB): usd(200), (AUCTIONS[1], BOB): usd(200), (AUCTIONS[2], ANN): usd(100)}


@virtual
async def test_each_order_is_decided_once_and_only_what_follows_one_that_falls_is_decided_again(
    monkeypatch: pytest.MonkeyPatch,
):
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(50)})
    decided, decide = list[Any](), ENGLISH.decide

    def noted(*arguments: Any) -> Any:
        decided.append(arguments[1])
        return decide(*arguments)

    async with world.running(holds=holds) as client:
        await client.create()
        monkeypatch.setattr(ENGLISH, "decide", noted)
        numbers = [client.send(bid(who, dollars)) for who, dollars in ((ANN, 10), (BOB, 20), (ANN, 5), (ANN, 30))]
        await client.settled()
        assert [(order.bidder, order.amount) for order in decided] == [
            (ANN, usd(10)), (BOB, usd(20)), (ANN, usd(5)), (ANN, usd(30))
        ]  # fmt: skip
        assert [getattr(client.answer(n), "code", "accepted") for n in numbers] == [
            "accepted", "accepted", "bid_too_low", "accepted"
        ]  # fmt: skip
        decided.clear()
        # Bob's is refused, so those after it are decided on another state.
        numbers = [client.send(bid(who, dollars)) for who, dollars in ((ANN, 35), (BOB, 60), (ANN, 50))]
        await client.settled()
        assert [(order.bidder, order.amount) for order in decided] == [
            (ANN, usd(35)), (BOB, usd(60)), (ANN, usd(50)), (ANN, usd(50))
        ]  # fmt: skip
        assert [getattr(client.answer(n), "code", "accepted") for n in numbers] == [
            "accepted", "insufficient_funds", "accepted"
        ]  # fmt: skip
    replayed = world.replayed(FIRST)
    assert (replayed.leader, replayed.leader_maximum, replayed.bids) == (ANN, usd(50), 5)


@virtual
async def test_a_flood_of_bids_that_their_author_can_not_pay_falls_at_once_and_harms_nobody_else():
    world, holds = World(), MemoryHolds({ANN: usd(1_000), BOB: usd(25)})
    async with world.running(holds=holds) as client:
        await client.create()
        before = len(holds.calls)
        numbers = [client.send(bid(BOB, dollars)) for dollars in range(10, 70, 10)]
        numbers.append(client.send(bid(ANN, 70)))
        await client.settled()
        answers = [client.answer(n) for n in numbers]
        assert [getattr(answer, "code", "accepted") for answer in answers] == [
            "accepted", "accepted", *["insufficient_funds"] * 4, "accepted"
        ]  # fmt: skip
        assert [(a.details["available"], a.details["required"]) for a in answers[2:6]] == [
            (usd(25), usd(n)) for n in (30, 40, 50, 60)
        ]
        # With the append, which can't; then to know who is short; then for what is left.
        assert len(holds.calls) - before == 3


@virtual
async def test_where_the_rounds_end_those_left_are_unavailable_and_may_try_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("actors.hosting.commit.reservations.ROUNDS_MAX", 1)
    world, holds = World(), MemoryHolds({ANN: usd(1_000), BOB: usd(25)})
    async with world.running(holds=holds) as client:
        await client.create()
        numbers = [client.send(bid(BOB, 30)), client.send(bid(ANN, 40))]
        await client.settled()
        assert [client.answer(n).code for n in numbers] == ["insufficient_funds", "unavailable"]
        await settle_down(client)
        assert holds.held == {}
        assert isinstance(await client.ask(bid(ANN, 40)), Accepted)


@virtual
async def test_a_hopeless_bid_needs_no_funds_and_hears_why():
    world, holds = World(), MemoryHolds({ANN: usd(100)})
    async with world.running(holds=holds) as client:
        await client.create()
        await client.ask(bid(ANN, 50))
        await client.ask(bid(ANN, 60))
        assert await client.code(bid(BOB, 1)) == "bid_too_low"
        assert await client.code(bid(ANN, 55)) == "already_leading"
        assert await client.code(bid(SELLER, 90)) == "own_auction"
        assert holds.held == {(FIRST, ANN): usd(60)}


@virtual
async def test_a_retry_is_answered_though_its_funds_are_gone():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(200)})
    async with world.running(holds=holds) as client:
        await client.create()
        await client.create(SECOND)
        first = await client.ask(bid(ANN, 90))
        await client.ask(bid(BOB, 150))
        await client.ask(bid(ANN, 95, auction=SECOND))
        again = await client.ask(bid(ANN, 90))
        assert isinstance(first, Accepted)
        assert isinstance(again, Accepted)
        assert (again.seq, again.duplicate) == (first.seq, True)


@virtual
async def test_while_the_ledger_is_away_bids_are_unavailable_and_nothing_else_is():
    world, holds = World(), MemoryHolds({ANN: usd(100)})
    async with world.running(holds=holds) as client:
        await client.create()
        holds.weather.down = True
        assert await client.code(bid(ANN, 10)) == "unavailable"
        assert (await client.state()).state.bids == 0
        holds.weather.down = False
        assert isinstance(await client.ask(bid(ANN, 10)), Accepted)


@virtual
async def test_an_unsold_end_lets_go_and_a_sold_one_keeps_the_hold_for_its_settlement():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(100)})
    async with world.running(holds=holds) as client:
        await client.create(reserve_price=usd(90))
        await client.create(SECOND)
        await client.ask(bid(ANN, 40))
        await client.ask(bid(BOB, 40, auction=SECOND))
        await client.ask(close_request(FIRST, SELLER))
        await client.ask(close_request(SECOND, SELLER))
        await settle_down(client)
        assert holds.held == {(SECOND, BOB): usd(40)}


@virtual
async def test_buying_at_once_holds_the_price():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(49)})
    async with world.running(holds=holds) as client:
        await client.create(buy_now_price=usd(50))
        assert await client.code(buy(BOB)) == "insufficient_funds"
        assert isinstance(await client.ask(buy(ANN)), Accepted)
        assert holds.held == {(FIRST, ANN): usd(50)}


@pytest.mark.parametrize("fate", ["lost", "landed"])
@virtual
async def test_after_an_append_whose_outcome_is_unknown_holds_follow_the_log(fate: str):
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(100)})
    async with world.running(holds=holds) as client:
        await client.create()
        await client.ask(bid(ANN, 10))
        world.weather.writes.append(fate)
        assert await client.code(bid(BOB, 60)) == "unavailable"
        await client.state()
        await settle_down(client)
        leader, maximum = (BOB, 60) if fate == "landed" else (ANN, 10)
        assert holds.held == {(FIRST, leader): usd(maximum)}


@virtual
async def test_holds_that_a_dead_host_left_behind_are_let_go_of_when_another_has_loaded_the_auction():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(100)})
    async with world.running(holds=holds) as client:
        await client.create()
        await client.ask(bid(ANN, 40))
        # The outbid leader is still held, and so is a bid that never came into the log: bob's other bid can't be
        # paid, so his funds are reserved before the append.
        world.weather.writes.extend(["fine", "lost"])
        numbers = [client.send(bid(BOB, 101)), client.send(bid(BOB, 80))]
        await client.settled()
        assert [client.answer(n).code for n in numbers] == ["unavailable", "unavailable"]
    assert (FIRST, BOB) in holds.held
    async with world.running(holds=holds) as client:
        await client.state()
        await settle_down(client)
        assert holds.held == {(FIRST, ANN): usd(40)}


@virtual
async def test_the_leader_of_an_unsold_auction_is_let_go_of_though_the_host_died_at_its_end():
    world, holds = World(), MemoryHolds({ANN: usd(100)})
    async with world.running(holds=holds) as client:
        await client.create(reserve_price=usd(90))
        await client.ask(bid(ANN, 40))
        holds.weather.down = True
        await client.ask(close_request(FIRST, SELLER))
    assert holds.held == {(FIRST, ANN): usd(40)}
    holds.weather.down = False
    async with world.running(holds=holds) as client:
        await client.state()
        await settle_down(client)
        assert holds.held == {}


@virtual
async def test_a_host_that_wakes_late_lets_go_of_nothing_that_has_grown_elsewhere():
    world, holds = World(), MemoryHolds({ANN: usd(500), BOB: usd(500)})
    async with world.running(holds=holds) as old:
        await old.create()
        await old.ask(bid(ANN, 40))
        numbers = [old.send(bid(BOB, 50))]
        await old.settled()
        assert isinstance(old.answer(numbers[0]), Accepted)
        late = dict(old.host._reservations._releases)
        async with world.running(holds=holds) as new:
            await new.ask(bid(ANN, 90))
            old.host._reservations._releases.update(late)
            await old.host._reservations.catch_up()
            await settle_down(new)
            assert holds.held == {(FIRST, ANN): usd(90)}


@virtual
async def test_a_host_that_nobody_vouches_for_compares_nothing_with_its_old_state():
    world, holds = World(), MemoryHolds({ANN: usd(500), BOB: usd(500)})
    async with world.running(holds=holds) as old:
        await old.create()
        await old.ask(bid(ANN, 40))
        await settle_down(old)
        old.host.lease.confirm(world.clock.steady_s())
        async with world.running(holds=holds) as new:
            await new.ask(bid(BOB, 90))
            await asyncio.sleep(3)
            old.host._reservations.check(old.host.entities[FIRST])
            await settle_down(old)
            assert holds.held == {(FIRST, BOB): usd(90)}
            # With a valid lease it does so: the test would see it.
            old.host.lease.confirm(world.clock.steady_s())
            old.host.maintain()
            await asyncio.sleep(0.1)
            assert (FIRST, BOB) not in holds.held


@virtual
async def test_a_bid_at_a_host_that_is_behind_does_not_cost_its_bidder_what_is_held_elsewhere():
    world, holds = World(), MemoryHolds({ANN: usd(500), BOB: usd(500)})
    async with world.running(holds=holds) as old:
        await old.create()
        await old.ask(bid(ANN, 40))
        async with world.running(holds=holds) as new:
            await new.ask(bid(BOB, 90))
            await settle_down(new)
            number = old.send(bid(BOB, 20))
            await old.settled()
            assert old.answer(number).code == "already_leading"
            assert holds.held[FIRST, BOB] == usd(90)


@virtual
async def test_what_is_only_being_listed_can_be_bought_and_is_reserved():
    world, holds = World(), MemoryHolds({ANN: usd(100)})
    async with world.running(holds=holds) as client:
        listing, buying = client.send(creation(FIRST, buy_now_price=usd(50))), client.send(buy(ANN))
        await client.settled()
        assert isinstance(client.answer(listing), StateAnswer)
        assert client.answer(buying).result.outcome == "won"
        assert holds.held == {(FIRST, ANN): usd(50)}


@pytest.mark.parametrize("seed", range(25))
@virtual
async def test_whatever_happens_nobody_promises_more_than_they_have_and_every_leader_is_held(seed: int):
    dice = random.Random(seed)
    auctions, people = AUCTIONS[:5], range(100, 108)
    world, funds = World(), {person: usd(dice.randint(20, 300)) for person in range(100, 108)}
    holds = MemoryHolds(funds)
    for _ in range(4):
        async with world.running(holds=holds) as client:
            for auction in auctions:
                await client.create(auction, reserve_price=usd(50) if dice.random() < 0.3 else None)
            for _ in range(12):
                for _ in range(dice.randint(1, 25)):
                    client.send(
                        bid(dice.choice(people), dice.randint(1, 200), f"{dice.random()}", dice.choice(auctions))
                    )
                if dice.random() < 0.2:
                    client.send(close_request(dice.choice(auctions), SELLER))
                if dice.random() < 0.3:
                    world.weather.writes.append(dice.choice(["lost", "landed"]))
                if dice.random() < 0.2:
                    holds.weather.down = True
                await client.settled()
                holds.weather.down = False
                assert all(account.available >= 0 for account in holds.books.accounts.values())
            if dice.random() < 0.5:
                continue  # killed in the middle of it
            for auction in auctions:
                await client.state(auction)
            await settle_down(client)
            expected = {}
            for auction in auctions:
                state = world.replayed(auction)
                if state.leader is not None and (state.status is Status.OPEN or state.winner is not None):
                    expected[auction, state.leader] = state.leader_maximum
            assert holds.held == expected
