"""Sales are settled beside bids: once each, whatever fails, and no money is made or lost."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from auction_examples import ANN, BOB, SELLER
from auction_requests import cancel_request, close_request, decode_event
from virtual_time import virtual

from actors.stream.messages import Command, Refused
from actors.workers.settle import NotSold, SettleAuctions
from domain.auction.events import Settled
from domain.auction.state import Status
from domain.ids import id_text, parse_id
from domain.ledger.books import HOUSE, Books, opened
from domain.money import usd
from persistence.jobs.store import Claimed
from persistence.postgres.errors import StoreError
from persistence.sales.settlement import SETTLE, Failure
from tests.job_runs import DirectHost
from tests.memory.holds import MemoryHolds
from tests.memory.settlements import MemorySettlements
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, FIRST, Client, World, bid, creation

SECOND = AUCTIONS[1]


def with_house(holds: MemoryHolds, *others: int) -> MemoryHolds:
    """The books have accounts for the house's fees and for these, too."""
    more = {owner: opened(owner, owner, "USDC") for owner in (HOUSE, *others)}
    holds.books = Books(holds.books.accounts | more, holds.books.recorded, holds.books.holds)
    return holds


def total(holds: MemoryHolds) -> int:
    return sum(account.posted for account in holds.books.accounts.values())


async def settle_once(client: Client, settlements: MemorySettlements) -> list[int]:
    """Run the jobs of all auctions that have ended; those that have to run again."""
    job = SettleAuctions(settlements, DirectHost(client.host), client.host.clock.now_ms, nothing)
    claim = uuid.uuid4()
    jobs = [Claimed(SETTLE, id_text(auction), b"", 1, claim) for auction in settlements.ended()]
    return [parse_id(later.job.key) for later in await job.run(jobs)]


async def settle_forever(client: Client, settlements: MemorySettlements) -> None:
    while True:
        with suppress(StoreError, TimeoutError):
            await settle_once(client, settlements)
        await asyncio.sleep(0.25)


async def nothing(_: Sequence[int]) -> None:
    """No catalog to bring up to date."""


@asynccontextmanager
async def settling(client: Client, settlements: MemorySettlements) -> AsyncIterator[None]:
    """A worker that settles, stopped as a kill would."""
    task = asyncio.create_task(settle_forever(client, settlements))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def settled_events(world: World, auction: int) -> list[Settled]:
    events = [decode_event(row.body) for row in world.tables.events.get(auction, ())]
    return [event for event in events if isinstance(event, Settled)]


@virtual
async def test_a_winner_pays_and_the_log_says_so_once():
    world, holds = World(), with_house(MemoryHolds({ANN: usd(100)}), SELLER)
    settlements = MemorySettlements(world.tables, holds)
    async with world.running(holds=holds) as client, settling(client, settlements):
        await client.create()
        await client.ask(bid(ANN, 40))
        await client.ask(close_request(FIRST, SELLER))
        await asyncio.sleep(2)
        state = (await client.state()).state
        assert (state.settled, state.winner) == (True, "ann")
    assert settled_events(world, FIRST) == [Settled(ANN, usd(1), 50_000, 0)]
    assert settlements.progress == {FIRST: "done"}
    assert holds.held == {}
    assert [holds.books.accounts[owner].posted for owner in (ANN, SELLER, HOUSE)] == [usd(99), 950_000, 50_000]


@virtual
async def test_unsold_and_cancelled_auctions_are_done_without_a_word():
    world, holds = World(), with_house(MemoryHolds({ANN: usd(100)}), SELLER)
    settlements = MemorySettlements(world.tables, holds)
    async with world.running(holds=holds) as client, settling(client, settlements):
        await client.create()
        await client.create(SECOND, reserve_price=usd(50))
        await client.ask(bid(ANN, 40, auction=SECOND))
        await client.ask(close_request(SECOND, SELLER))
        await client.ask(cancel_request(FIRST, SELLER))
        await asyncio.sleep(2)
    assert settlements.progress == {FIRST: "done", SECOND: "done"}
    assert settled_events(world, FIRST) == settled_events(world, SECOND) == []


@virtual
async def test_a_fault_with_one_auction_holds_up_no_other():
    world, holds = World(), with_house(MemoryHolds({ANN: usd(100)}), SELLER)

    class Faulty(MemorySettlements):
        async def settle(self, auction: int, now_ms: int) -> Any:
            if auction == FIRST:
                raise ZeroDivisionError("a fault of ours")
            return await super().settle(auction, now_ms)

    settlements = Faulty(world.tables, holds)
    async with world.running(holds=holds) as client, settling(client, settlements):
        for auction in (FIRST, SECOND):
            await client.create(auction)
            await client.ask(bid(ANN, 20, auction=auction))
            await client.ask(close_request(auction, SELLER))
        await asyncio.sleep(2)
    assert settlements.progress == {FIRST: "failed", SECOND: "done"}
    assert [(failure.auction, failure.code) for failure in settlements.failures] == [(FIRST, "internal_error")]
    assert holds.held == {(FIRST, ANN): usd(20)}


@virtual
async def test_a_log_that_can_not_be_written_now_is_written_later():
    world, holds = World(), with_house(MemoryHolds({ANN: usd(100)}), SELLER)
    settlements = MemorySettlements(world.tables, holds)
    async with world.running(holds=holds) as client:
        await client.create()
        await client.ask(bid(ANN, 40))
        await client.ask(close_request(FIRST, SELLER))
        # Its host is another, which does not answer.
        client.host.ownership.excluded = frozenset([FIRST])
        assert await settle_once(client, settlements) == [FIRST]
        assert settlements.progress == {FIRST: "paid"}
        assert await settle_once(client, settlements) == [FIRST]
        client.host.ownership.excluded = frozenset()
        assert await settle_once(client, settlements) == []
    assert settlements.progress == {FIRST: "done"}
    assert len(settled_events(world, FIRST)) == 1


@virtual
async def test_a_host_that_has_not_read_the_end_is_asked_again():
    """As when a former owner of the auction has written its end: the present one reads that a moment later."""
    world, holds = World(), with_house(MemoryHolds({ANN: usd(100), BOB: usd(100)}), SELLER)
    settlements = MemorySettlements(world.tables, holds)
    async with world.running(holds=holds) as client:
        await client.create()
        await client.ask(bid(ANN, 40))
        async with world.running(holds=holds) as other:
            await other.ask(close_request(FIRST, SELLER))
        with pytest.raises(NotSold):
            await settle_once(client, settlements)
        assert settlements.progress == {FIRST: "paid"}
        # Its next append collides, and it reads the log.
        await client.ask(bid(BOB, 60))
        assert await settle_once(client, settlements) == []
    assert settlements.progress == {FIRST: "done"}
    assert len(settled_events(world, FIRST)) == 1


def order_for(dice: random.Random, people: range, auctions: tuple[int, ...], sent: list[Command]) -> Any:
    """A bid, a raise, a retry, an end or a cancellation."""
    auction, roll = dice.choice(auctions), dice.random()
    if roll < 0.03:
        return close_request(auction, SELLER)
    if roll < 0.05:
        return cancel_request(auction, SELLER)
    if sent and roll < 0.2:
        return dice.choice(sent)
    placed = bid(dice.choice(people), dice.randint(1, 200), f"{dice.random()}", auction)
    sent.append(placed)
    return placed


def some_weather(dice: random.Random, world: World, holds: MemoryHolds, settlements: MemorySettlements) -> None:
    """Appends, commits of settlements and the ledger may fail, with or without having worked."""
    for weather in (world.weather, settlements.weather):
        if dice.random() < 0.3:
            weather.writes.append(dice.choice(["lost", "landed"]))
    holds.weather.down = dice.random() < 0.2


async def all_ended(client: Client, auctions: tuple[int, ...]) -> None:
    for auction in auctions:
        while isinstance(answer := await client.ask(close_request(auction, SELLER)), Refused):
            if answer.code != "unavailable":
                break
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("seed", range(25))
@virtual
async def test_whatever_happens_money_is_conserved_and_every_sale_is_settled_once(seed: int):
    dice = random.Random(seed)
    auctions, people = AUCTIONS[:5], range(100, 108)
    world = World()
    holds = with_house(MemoryHolds({person: usd(dice.randint(20, 300)) for person in people}), SELLER)
    settlements = MemorySettlements(world.tables, holds)
    before, sent = total(holds), list[Command]()
    for life in range(5):
        async with world.running(holds=holds) as client, settling(client, settlements):
            for auction in auctions:
                await client.ask(creation(auction, reserve_price=usd(50) if auction % 3 == 0 else None))
            for _ in range(8):
                for _ in range(dice.randint(1, 20)):
                    client.send(order_for(dice, people, auctions, sent))
                some_weather(dice, world, holds, settlements)
                await client.settled()
                if dice.random() < 0.5:
                    await asyncio.sleep(dice.random())
                holds.weather.down = False
                assert total(holds) == before
                assert all(a.available >= 0 for a in holds.books.accounts.values() if not a.may_overdraw)
            if life < 4:
                continue  # killed in the middle of it
            world.weather.writes.clear()
            settlements.weather.writes.clear()
            await all_ended(client, auctions)
            # What a dead host held is found by rote, once a minute.
            for _ in range(70):
                await asyncio.sleep(1)
                client.host.maintain()
    sold = [auction for auction in auctions if world.replayed(auction).winner is not None]
    assert [len(settled_events(world, auction)) for auction in auctions] == [int(a in sold) for a in auctions]
    assert set(settlements.progress.items()) == {(auction, "done") for auction in auctions}
    assert all(world.replayed(auction).status in (Status.CLOSED, Status.CANCELLED) for auction in auctions)
    assert (holds.held, settlements.failures, total(holds)) == ({}, list[Failure](), before)
    prices = {auction: world.replayed(auction).price for auction in sold}
    earned = holds.books.accounts[SELLER].posted + holds.books.accounts[HOUSE].posted
    assert earned == sum(prices.values())
