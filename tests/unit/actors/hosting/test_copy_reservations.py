"""Copies are reserved as funds are: nobody promises a copy twice, whatever is lost or killed."""

import asyncio
import random
from typing import Any

import msgspec
from virtual_time import EPOCH_MS, until, virtual

from actors.hosting.host import CHECK_HOLDS_EVERY_MS
from actors.stream.messages import Accepted, Command, GetState, Open, Refused, command
from domain.kinds import kind_of
from domain.log.codec import encode
from domain.money import usd
from domain.trade.commands import Accept, Confirm, Counter, Decline, Execute
from domain.trade.rules import TradeRules
from domain.trade.state import ENDED, HOLDING, Status, Trade
from domain.trade.terms import Leg, Party, Terms, terms_hash
from tests.memory.copy_locks import MemoryCopyLocks
from tests.memory.holds import MemoryHolds
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, HOUR_MS, World, bid
from tests.unit.actors.hosting.test_kinds import verdict

ANN, BOB, CID = 1, 2, 3
OWNERS = {10: ANN, 11: ANN, 20: BOB, 21: BOB, 30: CID}
FIRST, SECOND, THIRD = AUCTIONS[:3]
RULES = TradeRules()


def opening(trade: int, *legs: Leg) -> Open:
    users = sorted({user for leg in legs for user in (leg.giver, leg.receiver)})
    parties = tuple(Party(user, f"user{user}") for user in users)
    terms = Terms(trade, legs[0].giver, parties, legs, EPOCH_MS + HOUR_MS)
    return Open(trade, "trade", msgspec.Raw(encode(terms)))


def swap(trade: int, giver: int, copy: int, other: int, back: int, money: int = 0) -> Open:
    return opening(trade, Leg(giver, other, (copy,), money), Leg(other, giver, (back,)))


def accept(trade: int, user: int, *legs: Leg, key: str = "a") -> Command:
    return command(trade, "trade", Accept(user, key, terms_hash(trade, 1, legs)), (user, key))


def accept_swap(trade: int, giver: int, copy: int, other: int, back: int, money: int = 0, key: str = "a") -> Command:
    return accept(trade, other, Leg(giver, other, (copy,), money), Leg(other, giver, (back,)), key=key)


def decline(trade: int, user: int, key: str = "d") -> Command:
    return command(trade, "trade", Decline(user, key), (user, key))


def state_of(world: World, trade: int) -> Trade:
    """By the log, which has to be right."""
    result = verdict(world.tables, trade, "trade")
    assert result.findings == ()
    state: Trade = result.state
    return state


@virtual
async def test_the_last_acceptance_locks_the_copies_of_all_and_a_decline_frees_them():
    world, holds, locks = World(), MemoryHolds({ANN: usd(10)}), MemoryCopyLocks(OWNERS)
    async with world.running(holds=holds, copy_locks=locks) as client:
        client.send_raw(swap(FIRST, ANN, 10, BOB, 20, usd(4)))
        assert locks.locks == {}
        assert isinstance(await client.ask(accept_swap(FIRST, ANN, 10, BOB, 20, usd(4))), Accepted)
        assert locks.locks == {10: FIRST, 20: FIRST}
        assert holds.held == {(FIRST, ANN): usd(4)}
        await client.ask(decline(FIRST, BOB))
        await until(lambda: not locks.locks and not holds.held)
    assert state_of(world, FIRST).status is Status.DECLINED


@virtual
async def test_a_copy_that_is_locked_elsewhere_refuses_the_acceptance_and_nothing_stays_reserved():
    world, holds, locks = World(), MemoryHolds({BOB: usd(10)}), MemoryCopyLocks(OWNERS)
    async with world.running(holds=holds, copy_locks=locks) as client:
        client.send_raw(swap(FIRST, ANN, 10, BOB, 20))
        client.send_raw(swap(SECOND, BOB, 21, ANN, 10, usd(5)))
        await client.ask(accept_swap(FIRST, ANN, 10, BOB, 20))
        refused = await client.ask(accept_swap(SECOND, BOB, 21, ANN, 10, usd(5)))
        assert isinstance(refused, Refused)
        assert (refused.code, list(refused.details)) == ("copy_not_free", ["copy"])
        await until(lambda: locks.locks == {10: FIRST, 20: FIRST})
        assert holds.held == {}
        await client.ask(decline(FIRST, ANN))
        await until(lambda: not locks.locks)
        assert isinstance(await client.ask(accept_swap(SECOND, BOB, 21, ANN, 10, usd(5), key="again")), Accepted)
        assert holds.held == {(SECOND, BOB): usd(5)}


@virtual
async def test_of_two_acceptances_in_one_batch_that_need_the_same_copy_one_is_refused():
    world, locks = World(), MemoryCopyLocks(OWNERS)
    async with world.running(copy_locks=locks) as client:
        client.send_raw(swap(FIRST, ANN, 10, BOB, 20))
        client.send_raw(swap(SECOND, CID, 30, ANN, 10))
        await client.settled()
        numbers = [
            client.send(accept_swap(FIRST, ANN, 10, BOB, 20)), client.send(accept_swap(SECOND, CID, 30, ANN, 10))
        ]  # fmt: skip
        await client.settled()
        assert [type(client.answer(number)).__name__ for number in numbers] == ["Accepted", "Refused"]
        await until(lambda: locks.locks == {10: FIRST, 20: FIRST})


@virtual
async def test_who_can_not_pay_is_named_to_themself_alone():
    world, holds, locks = World(), MemoryHolds({}), MemoryCopyLocks(OWNERS)
    async with world.running(holds=holds, copy_locks=locks) as client:
        client.send_raw(swap(FIRST, ANN, 10, BOB, 20, usd(4)))
        refused = await client.ask(accept_swap(FIRST, ANN, 10, BOB, 20, usd(4)))
        assert isinstance(refused, Refused)
        assert (refused.code, dict(refused.details)) == ("party_not_able", {})
        await until(lambda: not locks.locks)
        paying = (Leg(ANN, BOB, (10,)), Leg(BOB, ANN, (20,), usd(3)))
        client.send_raw(opening(SECOND, *paying))
        refused = await client.ask(accept(SECOND, BOB, *paying))
        assert isinstance(refused, Refused)
        assert (refused.code, dict(refused.details)) == ("insufficient_funds", {"available": 0, "required": usd(3)})


@virtual
async def test_an_agreement_that_follows_one_which_nobody_can_pay_for_has_its_own_copies():
    world, holds, locks = World(), MemoryHolds({CID: usd(10)}), MemoryCopyLocks(OWNERS)
    first = (Leg(ANN, BOB, (10,), usd(4)), Leg(BOB, ANN, (20,)))
    second = (Leg(ANN, BOB, (11,)), Leg(BOB, ANN, (21,)))
    async with world.running(holds=holds, copy_locks=locks) as client:
        client.send_raw(opening(FIRST, *first))
        await client.create(SECOND)
        counter = command(FIRST, "trade", Counter(ANN, "c", 1, second), (ANN, "c"))
        once_more = command(FIRST, "trade", Accept(BOB, "b", terms_hash(FIRST, 2, second)), (BOB, "b"))
        batch = [accept(FIRST, BOB, *first), counter, once_more, bid(CID, 2, auction=SECOND)]
        numbers = [client.send_raw(one) for one in batch]
        await client.settled()
        refused, *others = (client.answer(number) for number in numbers)
        assert isinstance(refused, Refused)
        assert refused.code == "party_not_able"
        assert [type(answer) for answer in others] == [Accepted, Accepted, Accepted]
        await until(lambda: locks.locks == {11: FIRST, 21: FIRST})
    assert state_of(world, FIRST).status is Status.AGREED


@virtual
async def test_when_the_database_is_away_the_acceptance_is_unavailable_and_chat_goes_on():
    world, locks = World(), MemoryCopyLocks(OWNERS)
    async with world.running(copy_locks=locks) as client:
        client.send_raw(swap(FIRST, ANN, 10, BOB, 20))
        await client.settled()
        locks.weather.down = True
        assert await client.code(accept_swap(FIRST, ANN, 10, BOB, 20)) == "unavailable"
        locks.weather.down = False
        assert isinstance(await client.ask(accept_swap(FIRST, ANN, 10, BOB, 20)), Accepted)


@virtual
async def test_locks_of_a_lost_batch_are_found_when_the_trade_is_loaded_again():
    world, locks = World(), MemoryCopyLocks(OWNERS)
    async with world.running(copy_locks=locks) as client:
        client.send_raw(swap(FIRST, ANN, 10, BOB, 20))
        await client.settled()
        world.weather.writes.append("lost")
        assert await client.code(accept_swap(FIRST, ANN, 10, BOB, 20)) == "unavailable"
        await until(lambda: not locks.locks)
        world.weather.writes.append("landed")
        assert await client.code(accept_swap(FIRST, ANN, 10, BOB, 20)) == "unavailable"
        answer = await client.ask(accept_swap(FIRST, ANN, 10, BOB, 20))
        assert isinstance(answer, Accepted)
        assert answer.duplicate
        assert locks.locks == {10: FIRST, 20: FIRST}


@virtual
async def test_a_confirmed_trade_whose_copies_a_worker_has_moved_is_left_alone():
    world, locks = World(), MemoryCopyLocks(OWNERS)
    async with world.running(copy_locks=locks) as client:
        client.send_raw(swap(FIRST, ANN, 10, BOB, 20))
        answer = await client.ask(accept_swap(FIRST, ANN, 10, BOB, 20))
        hash_ = answer.result[1] if isinstance(answer.result, list) else answer.result.hash  # type: ignore[union-attr]
        for user in (ANN, BOB):
            await client.ask(command(FIRST, "trade", Confirm(user, "c", hash_), (user, "c")))
        # The worker's transaction; then the host dies before it hears of it.
        locks.owners |= {10: BOB, 20: ANN}
        locks.locks.clear()
    locks.calls.clear()
    async with world.running(copy_locks=locks) as client:
        client.send_raw(GetState(FIRST, "trade"))
        await client.settled()
        await asyncio.sleep(2)
        assert locks.calls == []
        client.send_raw(command(FIRST, "trade", Execute(0, 0, 0, EPOCH_MS + HOUR_MS)))
        await client.settled()
        await asyncio.sleep(2)
        assert locks.locks == {}
    assert state_of(world, FIRST).status is Status.EXECUTED


async def _play(seed: int) -> None:
    """Trades over the same copies in any order, with losses and kills; then what is locked is what the states say."""
    chance, world = random.Random(seed), World()
    holds, locks = MemoryHolds(dict.fromkeys((ANN, BOB, CID), usd(20))), MemoryCopyLocks(OWNERS)
    trades = [
        (FIRST, ANN, 10, BOB, 20, usd(5)), (SECOND, BOB, 20, CID, 30, usd(15)), (THIRD, CID, 30, ANN, 10, 0),
        (AUCTIONS[3], ANN, 10, CID, 30, usd(18)), (AUCTIONS[4], ANN, 11, BOB, 21, usd(1)),
    ]  # fmt: skip
    for life in range(3):
        async with world.running(holds=holds, copy_locks=locks) as client:
            for step in range(25):
                trade = chance.choice(trades)
                if chance.random() < 0.15:
                    world.weather.writes.append(chance.choice(["lost", "landed"]))
                key = f"{life}-{step}"
                one: Any = chance.choice(
                    [swap(*trade), accept_swap(*trade, key=key), decline(trade[0], chance.choice([ANN, BOB, CID]), key)]
                )
                client.send_raw(one)
                if chance.random() < 0.5:
                    await client.settled()
            if life < 2 and chance.random() < 0.7:
                continue
            await client.settled()
    world.weather.writes.clear()
    async with world.running(holds=holds, copy_locks=locks) as client:
        for trade in trades:
            client.send_raw(swap(*trade))
        await client.settled()
        # The periodic check finds what was locked for a trade that was lost with its first batch.
        await asyncio.sleep(CHECK_HOLDS_EVERY_MS / 1000)
        client.host.maintain()
        await asyncio.sleep(1)
    states = {trade[0]: state_of(world, trade[0]) for trade in trades}
    holding = {trade: state for trade, state in states.items() if state.status in HOLDING}
    assert locks.locks == {
        copy: trade for trade, state in holding.items() for one in RULES.reserved(state).values() for copy in one.copies
    }
    assert holds.held == {
        (trade, user): one.amount for trade, state in holding.items()
        for user, one in RULES.reserved(state).items() if one.amount
    }  # fmt: skip
    assert all(state.status in ENDED | HOLDING | {Status.OPEN} for state in states.values())


def test_in_any_order_of_trades_losses_and_kills_locks_and_holds_equal_the_states():
    for seed in range(60):
        virtual(_play)(seed)


def test_only_kinds_that_reserve_copies_cost_anything():
    assert not kind_of("auction").rules.reserves_copies
    assert kind_of("trade").rules.reserves_copies
