"""Any interleaving of offers, counters, acceptances, sales, gifts and crashes: one owner a copy, no money lost or made,
and only what all have accepted is executed.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from auction_examples import terms as auction_terms
from auction_requests import bid_request, close_request, open_request

from actors.hosting.host import Host
from actors.workers.trades import ExecuteTrades, InvalidateTrades, ReverseTrades
from domain.money import usd
from domain.trade.commands import Accept, Confirm, Decline, Reverse
from domain.trade.commands import Counter as CounterOffer
from domain.trade.events import Accepted, Countered, Executed, Offered
from domain.trade.state import HOLDING, NEGOTIATING, Status
from domain.trade.terms import Leg, terms_hash
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool
from persistence.sales.listings import Locked
from persistence.sales.settlement import Settlements
from persistence.trades.executing import Executions
from persistence.trades.reversing import Reversals
from tests.contracts.sales.sale_scenes import (
    ENDS_AT_MS,
    NOW,
    OPERATOR,
    CutConnection,
    a_life,
    ask,
    fragile_pool,
    ledger_findings,
    settle_job,
)
from tests.contracts.trades.trade_scenes import PROTECTION, TradeScene
from tests.job_runs import DirectHost, run_due

# Lives of the host: as many until enough trades are executed, which chance decides.
LIVES = range(3, 12)
EXECUTED = 6
EXECUTIONS = (Status.EXECUTED, Status.REVERSED)
ACTORS = 6
STEPS = 40
PEOPLE = 8
COPIES_EACH = 6
MODERATOR = 9
_keys = itertools.count(1)


class Market:
    """People who do anything at any time; what is refused is refused."""

    def __init__(self, scene: TradeScene, people: list[int], copies: list[int], chance: random.Random) -> None:
        self.scene = scene
        self.people = people
        self.copies = copies
        self.chance = chance
        self.trades: list[int] = []
        self.auctions: list[int] = []
        self.host: Host

    async def act(self) -> None:
        actions: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (5, self.offer), (3, self.counter), (10, self.accept), (10, self.confirm), (1, self.decline),
            (1, self.give), (1, self.list_copy), (2, self.bid), (1, self.close), (2, self.reverse),
        ]  # fmt: skip
        weights, choices = zip(*actions, strict=True)
        [action] = self.chance.choices(choices, weights)
        await action()

    async def legs(self, first: int, second: int) -> tuple[Leg, ...]:
        """What they happen to have, mostly."""
        rows = await self.scene.pool.fetch("SELECT owner_id, copy_id FROM copies WHERE copy_id = ANY($1)", self.copies)
        given = {
            who: tuple(self.chance.sample([row[1] for row in rows if row[0] == who] or self.copies[:1], 1))
            for who in (first, second)
        }
        money = self.chance.choice([0, usd(1), usd(400), usd(2_000)])
        return Leg(first, second, given[first], money), Leg(second, first, given[second])

    async def offer(self) -> None:
        legs = await self.legs(*self.chance.sample(self.people, 2))
        if legs[0].copies != legs[1].copies:
            self.trades.append(await self.scene.offer(self.host, *legs))

    async def counter(self) -> None:
        trade = self.some(self.trades)
        if trade is not None:
            state = await self.scene.trade(trade)
            legs = await self.legs(*self.chance.sample(state.users, 2))
            by = self.chance.choice(state.users)
            await self.scene.order(self.host, trade, CounterOffer(by, self.key(), state.version, legs))

    async def accept(self) -> None:
        trade = self.some(self.trades)
        if trade is not None:
            state = await self.scene.trade(trade)
            by = self.chance.choice(state.users)
            await self.scene.order(self.host, trade, Accept(by, self.key(), state.hash))

    async def confirm(self) -> None:
        trade = self.some(self.trades)
        if trade is not None:
            state = await self.scene.trade(trade)
            for by in state.users:
                await self.scene.order(self.host, trade, Confirm(by, self.key(), state.hash))

    async def decline(self) -> None:
        trade = self.some(self.trades)
        if trade is not None:
            by = self.chance.choice((await self.scene.trade(trade)).users)
            await self.scene.order(self.host, trade, Decline(by, self.key()))

    async def reverse(self) -> None:
        trade = self.some(self.trades)
        if trade is not None:
            await self.scene.order(self.host, trade, Reverse(MODERATOR, self.key(), "a test"))

    async def give(self) -> None:
        copy = self.chance.choice(self.copies)
        owner, _ = await self.scene.owner_and_place(copy)
        await self.scene.copies.give(copy, owner, self.chance.choice(self.people), NOW)

    async def list_copy(self) -> None:
        copy = self.chance.choice(self.copies)
        seller, _ = await self.scene.owner_and_place(copy)
        auction: int = await self.scene.pool.fetchval("SELECT next_id()")
        if isinstance(await self.scene.listings.lock(auction, seller, [copy], NOW), Locked):
            terms = auction_terms(auction=auction, seller=seller, copies=(copy,), ends_at=ENDS_AT_MS)
            await ask(self.host, open_request(auction, terms))
            self.auctions.append(auction)

    async def bid(self) -> None:
        auction = self.some(self.auctions)
        if auction is not None:
            who = self.chance.choice(self.people)
            amount = usd(self.chance.choice([1, 5, 50]))
            await ask(self.host, bid_request(auction, who, f"n{who}", amount, self.key()))

    async def close(self) -> None:
        auction = self.some(self.auctions)
        if auction is not None:
            await ask(self.host, close_request(auction, OPERATOR))

    def some(self, of: list[int]) -> int | None:
        return self.chance.choice(of[-6:]) if of else None

    def key(self) -> str:
        return f"k{next(_keys)}"

    async def work(self, pool: Pool) -> None:
        """All that workers have to do."""
        hosts, now_ms = DirectHost(self.host), self.host.clock.now_ms
        for job in (
            ExecuteTrades(Executions(pool, PROTECTION), hosts, now_ms), ReverseTrades(Reversals(pool), hosts, now_ms),
            InvalidateTrades(hosts), settle_job(Settlements(pool), self.host),
        ):  # fmt: skip
            await run_due(self.scene.pool, job)

    async def executed(self) -> int:
        """How many trades were executed, also those that were reversed since."""
        return sum([(await self.scene.trade(trade)).status in EXECUTIONS for trade in self.trades])

    async def live(self, database_url: str) -> None:
        """Some time with one host, which is killed in the end."""
        async with a_life(database_url) as self.host:
            await asyncio.gather(*(self._be_active() for _ in range(ACTORS)), self._work_badly(database_url))

    async def _be_active(self) -> None:
        for _ in range(STEPS):
            await self.act()

    async def _work_badly(self, database_url: str) -> None:
        for _ in range(8):
            async with fragile_pool(database_url) as pool:
                CutConnection.cut_at(self.chance.randrange(1, 30), after=self.chance.random() < 0.5)
                with suppress(StoreError):
                    await self.work(pool)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_interleaving_keeps_owners_and_money_and_executes_only_what_was_accepted(
    pool: Pool, database_url: str, seed: int
):
    await pool.execute("DELETE FROM jobs")
    scene = TradeScene(pool)
    people = [await scene.person() for _ in range(PEOPLE)]
    copies = [copy for who in people for copy in await scene.copies_for(who, COPIES_EACH)]
    market = Market(scene, people, copies, random.Random(seed))
    for lived in range(LIVES.stop):
        if lived >= LIVES.start and await market.executed() >= EXECUTED:
            break
        await market.live(database_url)
    async with a_life(database_url) as market.host:
        await market.work(pool)
        for auction in market.auctions:
            await ask(market.host, close_request(auction, OPERATOR))
        for trade in market.trades:
            state = await scene.trade(trade)
            if state.status in NEGOTIATING:
                await scene.order(market.host, trade, Decline(state.users[0], market.key()))
        await market.work(pool)
        states = [await scene.trade(trade) for trade in market.trades]
        await scene.nothing_held(*market.trades)
    assert not [state for state in states if state.status in HOLDING]
    assert await market.executed() >= EXECUTED, Counter(state.status for state in states)
    for trade in market.trades:
        await only_accepted_is_executed(scene, trade)
    assert await ledger_findings(database_url) == []
    held = await pool.fetch("SELECT sum(held) FROM ledger_accounts WHERE owner_id = ANY($1)", people)
    assert held[0][0] == 0
    assert await pool.fetchval("SELECT count(*) FROM copies WHERE copy_id = ANY($1) AND place <> 'free'", copies) == 0


async def only_accepted_is_executed(scene: TradeScene, trade: int) -> None:
    """What changed owners is what the last version says, which all but its maker accepted by its hash."""
    rows = await scene.pool.fetch(
        "SELECT giver_id, receiver_id, copy_id FROM trade_copies WHERE trade_id = $1 ORDER BY 1, 2, 3", trade
    )
    events = await scene.trade_events(trade)
    if not any(isinstance(event, Executed) for event in events):
        assert rows == []
        return
    offer = [event for event in events if isinstance(event, (Offered, Countered))][-1]
    legs, version = (offer.terms.legs, 1) if isinstance(offer, Offered) else (offer.legs, offer.version)
    maker = offer.terms.proposer if isinstance(offer, Offered) else offer.by
    hash_ = terms_hash(trade, version, legs)
    accepted = {event.by for event in events if isinstance(event, Accepted) and event.hash == hash_} | {maker}
    assert accepted == set((await scene.trade(trade)).users)
    assert [tuple(row) for row in rows] == sorted(
        (leg.giver, leg.receiver, copy) for leg in legs for copy in leg.copies
    )
