"""kill -9 of a worker before each statement of a settlement or an alert: another goes on, and all happened once."""

import signal

import pytest
from auction_requests import bid_request, decode_event, open_request
from engines import SharedEngine

from actors.stream.messages import Accepted, StateAnswer
from domain.auction.events import Closed, Settled
from domain.auction.terms import Terms
from persistence.ledger.faucet import FUNDS, fund
from persistence.notifications.watches import Watches
from persistence.postgres.pool import Pool
from persistence.sales.copies import Copies, NewCopies
from persistence.sales.listings import Listings, Locked
from tests.faults.hosts import USD, Line, close_auction, host_child
from tests.faults.scene import until
from tests.faults.worker_deaths import NOW, STEPS_MAX, check_ledger, dies, new_card
from tests.faults.workers import worker_child
from tests.system.faults.test_fence import DAY_MS

SELLER = 5_000
PRICE = 10 * USD


class Sale:
    """An auction of one copy, with a royalty, that one buyer wins."""

    def __init__(self, pool: Pool, number: int) -> None:
        self.pool = pool
        self.buyer = 6_000 + number
        self.auction = 0
        self.copy = 0

    async def prepare(self, card: int) -> None:
        made = await Copies(self.pool).make(NewCopies(card, 1, SELLER), NOW)
        assert isinstance(made, list)
        [self.copy] = made
        self.auction = await self.pool.fetchval("SELECT next_id()")
        assert isinstance(await Listings(self.pool).lock(self.auction, SELLER, [self.copy], NOW), Locked)
        await fund(self.pool, [self.buyer], NOW)

    async def hold(self, line: Line) -> None:
        """List it, bid, and end it."""
        now_ms: int = (await line.child.order("health"))["now_ms"]
        terms = Terms(auction=self.auction, seller=SELLER, seller_name="seller", title="One copy", starting_price=PRICE,
                      starts_at=now_ms, ends_at=now_ms + DAY_MS, copies=(self.copy,))  # fmt: skip
        assert isinstance(await line.ask(open_request(self.auction, terms)), StateAnswer)
        bid = await line.ask(bid_request(self.auction, self.buyer, "buyer", 2 * PRICE, "k"))
        assert isinstance(bid, Accepted), bid

    async def is_done(self) -> bool:
        return bool(
            await self.pool.fetchval("SELECT settlement = 'done' FROM auctions WHERE auction_id = $1", self.auction)
        )

    async def came_to(self) -> dict[str, object]:
        """All that there is to be seen of it."""
        owner = await self.pool.fetchrow("SELECT owner_id, place FROM copies WHERE copy_id = $1", self.copy)
        reasons = await self.pool.fetch("SELECT reason FROM provenance WHERE copy_id = $1 ORDER BY seq", self.copy)
        bodies = await self.pool.fetch("SELECT body FROM entity_events WHERE entity_id = $1 ORDER BY seq", self.auction)
        money = await self.pool.fetchrow(
            "SELECT posted, held FROM ledger_accounts WHERE owner_id = $1 AND kind = 'user'", self.buyer
        )
        return {
            "owner": tuple(owner or ()), "changes": [row[0] for row in reasons], "money": tuple(money or ()),
            "ends": [type(event) for row in bodies if isinstance(event := decode_event(row[0]), (Closed, Settled))],
            "settlements": await self._count("settlements"), "sales": await self._count("sales"),
            "legs": await self.pool.fetchval("SELECT count(*) FROM ledger_transfers WHERE about = $1", self.auction),
        }  # fmt: skip

    async def _count(self, table: str) -> int:
        return int(await self.pool.fetchval(f"SELECT count(*) FROM {table} WHERE auction_id = $1", self.auction))

    def expected(self) -> dict[str, object]:
        return {
            "owner": (self.buyer, "free"), "changes": ["made", "sale"], "money": (FUNDS - PRICE, 0),
            "ends": [Closed, Settled], "settlements": 1, "sales": 1, "legs": 3,
        }  # fmt: skip


@pytest.mark.timeout(600)
async def test_a_worker_that_dies_at_any_statement_of_a_settlement_leaves_nothing_done_twice_or_by_half(
    engine: SharedEngine, database_url: str, pool: Pool
):
    urls = database_url, engine.redis_url
    card, deaths = await new_card(pool), 0
    async with host_child("settles", *urls) as host, worker_child(*urls) as heir:
        await host.take_all()
        line = Line(host)
        for step in range(1, STEPS_MAX):
            sale = Sale(pool, step)
            await sale.prepare(card)
            await sale.hold(line)
            heir.send_signal(signal.SIGSTOP)
            await close_auction(line, sale.auction)
            died = await dies(pool, urls, "death while settling", step, sale.is_done)
            heir.send_signal(signal.SIGCONT)
            if not died:
                break
            deaths += 1
            await until(sale.is_done, f"the settlement is carried through that was cut off before step {step}")
            assert await sale.came_to() == sale.expected(), step
        line.close()
    assert sale.expected() == await sale.came_to()
    assert deaths > 10, "a settlement has more steps"
    assert await check_ledger(database_url) == []


@pytest.mark.timeout(600)
async def test_a_worker_that_dies_at_any_statement_of_an_alert_notifies_once(
    engine: SharedEngine, database_url: str, pool: Pool
):
    urls = database_url, engine.redis_url
    card, deaths = await new_card(pool), 0
    watcher: int = await pool.fetchval(
        "INSERT INTO users (username, email, email_key) VALUES ('watcher', 'w@x.example', 'w@x.example')"
        " RETURNING user_id"
    )
    await Watches(pool).add(watcher, "card", card, NOW)

    async def notified() -> list[str]:
        rows = await pool.fetch("SELECT about FROM notifications WHERE user_id = $1 ORDER BY seq", watcher)
        return [row[0] for row in rows]

    async with host_child("alerts", *urls) as host, worker_child(*urls) as heir:
        await host.take_all()
        line, listed = Line(host), list[str]()

        async def is_done() -> bool:
            jobs = await pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'notify' AND key LIKE 'opened:%'")
            return not jobs and len(await notified()) == len(listed)

        for step in range(1, STEPS_MAX):
            sale = Sale(pool, step)
            await sale.prepare(card)
            heir.send_signal(signal.SIGSTOP)
            await sale.hold(line)
            listed.append(f"listed {sale.auction}")
            died = await dies(pool, urls, "death while notifying", step, is_done)
            heir.send_signal(signal.SIGCONT)
            if not died:
                break
            deaths += 1
            await until(is_done, f"the watcher is notified, step {step}")
            assert await notified() == listed, step
        line.close()
    assert await notified() == listed
    assert deaths >= 5, "an alert has more steps"
