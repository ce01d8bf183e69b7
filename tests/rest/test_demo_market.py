"""The demo's people, copies and auctions, put into a gateway over a real PostgreSQL and a real host."""

import asyncio
from contextlib import suppress
from typing import Any

from actors.workers.trades import ExecuteTrades
from ece.demo.cards import DemoCard, demo_card
from ece.demo.market import fill
from ece.demo.stock import OPERATOR, PEOPLE, stock_of
from ece.demo.trades import fill_trades
from ece_client import Refused
from persistence.trades.executing import Executions
from tests.contracts.trades.trade_scenes import PROTECTION
from tests.job_runs import DirectHost, run_due
from tests.rest.rest_engine import Person, RestEngine

CARDS = [demo_card(3, place) for place in range(12)]
RICH = 10_000_000_000


class Calls:
    """What the command does over HTTP, as the same people."""

    def __init__(self, people: dict[str, Person]) -> None:
        self._people = people

    async def get(self, user: str, path: str) -> dict[str, Any]:
        return self._told("GET", path, await self._people[user].get(path))

    async def post(self, user: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._told("POST", path, await self._people[user].post(path, body))

    @staticmethod
    def _told(method: str, path: str, answer: Any) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        if answer.status_code >= 400:
            raise Refused(body["code"], f"{method} {path}", body, answer.status_code)
        return body


async def people_of(engine: RestEngine, cards: list[DemoCard]) -> Calls:
    await engine.services.catalog.writing.put([card.row() for card in cards], 0, 1_000)
    people = {name: await engine.person(name) for name in PEOPLE}
    for person in people.values():
        await person.post("/ledger/deposits", {"amount": RICH, "currency": "USDC"})
    return Calls(people | {OPERATOR: await engine.person(OPERATOR, role="admin")})


async def test_the_demo_fills_the_market_once(engine: RestEngine):
    calls = await people_of(engine, CARDS)
    done: list[None] = []
    filled = await fill(calls, CARDS, lambda: done.append(None))
    stocks = [stock_of(card) for card in CARDS]
    assert filled.copies == sum(len(stock.owners) for stock in stocks)
    assert filled.auctions == sum(stock.lot is not None for stock in stocks) > 2
    assert filled.bids > 0
    assert len(done) == len(CARDS)
    opened = (await engine.request("GET", "/auctions", params={"status": "open", "limit": 100})).json()["items"]
    assert len(opened) == filled.auctions
    assert all(len(auction["copies"]) == 1 for auction in opened)
    # Again: nothing, until something has ended.
    again = await fill(calls, CARDS)
    assert (again.copies, again.auctions, again.bids) == (0, 0, 0)


async def test_the_demos_users_have_a_trade_in_each_state_once(engine: RestEngine):
    cards = [demo_card(3, place) for place in range(24)]
    calls, host = await people_of(engine, cards), engine.host
    await fill(calls, cards)
    execute = ExecuteTrades(Executions(engine.pool, PROTECTION), DirectHost(host), host.clock.now_ms)

    async def work() -> None:
        while True:
            await run_due(engine.pool, execute)
            await asyncio.sleep(0.05)

    working = asyncio.create_task(work())
    try:
        assert await fill_trades(calls) == [
            "open", "countered", "agreed", "executed", "declined", "withdrawn", "disputed",
        ]  # fmt: skip
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    trades = (await calls.get("demo_ada", "/trades"))["items"]
    messages = (await calls.get("demo_ada", f"/trades/{trades[0]['id']}/messages"))["items"]
    assert [one["text"] for one in messages] == ["Let me think about it."]
    assert await fill_trades(calls) == []
