"""Appends that reserve funds and executions of trades lock in one order: none of them is ended by a deadlock."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from auction_requests import bid_request

from actors.hosting.host import Host
from actors.stream.messages import Accepted, command
from domain.money import usd
from domain.trade.commands import Execute, ReversalDone, Reverse, SendMessage
from domain.trade.terms import Leg
from persistence.postgres.pool import Pool
from persistence.trades.reversing import Reversals
from tests.contracts.sales.sale_scenes import NOW, a_life, ask
from tests.contracts.trades.trade_scenes import TRADE, TradeScene

_WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def until_waiting(pool: Pool, count: int, *unless: "asyncio.Future[object]") -> None:
    """Wait until so many connections wait for a lock, or all of these have ended."""
    async with asyncio.timeout(20):
        while await pool.fetchval(_WAITING) < count:
            if unless and all(one.done() for one in unless):
                return
            await asyncio.sleep(0.01)


class Market(TradeScene):
    """One who pays in a trade, and bids at the same time."""

    async def open(self, host: Host, money: int) -> None:
        self.host = host
        self.ann, self.bob = await self.person(), await self.person()
        [self.copy] = await self.copies_for(self.bob)
        self.number = await self.confirm(
            host, Leg(self.ann, self.bob, (), money), Leg(self.bob, self.ann, (self.copy,))
        )
        self.auction = await self.list_auction(host, self.bob)

    async def work_while_the_host_appends(self, work: Coroutine[Any, Any, object]) -> object:
        """Start ``work``, which waits for the copy; then have the host append a batch that reserves funds of ann's and
        writes the trade's summary row. Both have to succeed.
        """
        async with self.pool.acquire() as holder, holder.transaction():
            await holder.execute("SELECT FROM copies WHERE copy_id = $1 FOR UPDATE", self.copy)
            working = asyncio.ensure_future(work)
            await until_waiting(self.pool, 1)
            # Hosts write the summary rows of all that has changed twice a second: now.
            self.host.records._summaries_at = 0.0
            said = SendMessage(self.ann, f"m{self.number}", "I send it tomorrow")
            sent = [
                asyncio.ensure_future(ask(self.host, command(self.number, TRADE, said, (self.ann, said.key)))),
                asyncio.ensure_future(ask(self.host, bid_request(self.auction, self.ann, "ann", usd(20), "k"))),
            ]
            await until_waiting(self.pool, 2, *sent)
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*sent)
            done: object = await working
        assert [type(answer) for answer in answers] == [Accepted, Accepted], answers
        return done


async def test_a_trade_is_executed_while_its_host_appends_a_message_in_it_and_a_bid_of_its_payer(
    pool: Pool, database_url: str
):
    market = Market(pool)
    async with a_life(database_url) as host:
        await market.open(host, usd(10))
        decided = await market.work_while_the_host_appends(market.executions.execute({market.number: 1}, NOW))
    assert isinstance(decided, dict)
    assert isinstance(decided[market.number], Execute)
    assert await market.owner_and_place(market.copy) == (market.ann, "free")


async def test_a_trade_is_reversed_while_its_host_appends_a_message_in_it_and_a_bid_of_its_payer(
    pool: Pool, database_url: str
):
    market = Market(pool)
    async with a_life(database_url) as host:
        await market.open(host, usd(600))
        await market.execute(host)
        await market.order(host, market.number, Reverse(9, "k", "a test"))
        ordered = len(await market.trade_events(market.number))
        done = await market.work_while_the_host_appends(Reversals(pool).reverse(market.number, ordered, NOW))
    assert done == ReversalDone(None)
    assert await market.owner_and_place(market.copy) == (market.bob, "free")
