"""kill -9 of a worker before each statement of an execution, and of a host: another goes on, and all happened once."""

import itertools
import signal

import msgspec
import pytest
from engines import SharedEngine

from actors.stream.messages import Accepted, Open, StateAnswer, command
from domain.kinds import kind_of
from domain.log.codec import encode
from domain.trade.commands import Accept, Confirm
from domain.trade.terms import Leg, Party, Terms, terms_hash
from persistence.ledger.faucet import FUNDS, fund
from persistence.postgres.pool import Pool
from persistence.sales.copies import Copies, NewCopies
from tests.faults.hosts import USD, Line, host_child
from tests.faults.scene import until
from tests.faults.worker_deaths import NOW, STEPS_MAX, check_ledger, dies, new_card
from tests.faults.workers import worker_child

TRADE = "trade"
DAY_MS = 86_400_000
PRICE = 10 * USD
_people = itertools.count(7_000)


class Exchange:
    """ann gives her copy and money for bob's copy."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.ann, self.bob = next(_people), next(_people)
        self.trade = self.hers = self.his = 0

    async def prepare(self, card: int) -> None:
        self.hers, self.his = [await self._copy(card, owner) for owner in (self.ann, self.bob)]
        self.trade = await self.pool.fetchval("SELECT next_id()")
        await fund(self.pool, [self.ann, self.bob], NOW)

    async def _copy(self, card: int, owner: int) -> int:
        made = await Copies(self.pool).make(NewCopies(card, 1, owner), NOW)
        assert isinstance(made, list)
        return made[0]

    async def negotiate(self, line: Line) -> None:
        """Until all have confirmed."""
        now_ms: int = (await line.child.order("health"))["now_ms"]
        legs = (Leg(self.ann, self.bob, (self.hers,), PRICE), Leg(self.bob, self.ann, (self.his,)))
        parties = (Party(self.ann, "ann"), Party(self.bob, "bob"))
        terms = Terms(self.trade, self.ann, parties, legs, now_ms + DAY_MS, fee_bp=250)
        opened = await line.ask(Open(self.trade, TRADE, msgspec.Raw(encode(terms))))
        assert isinstance(opened, StateAnswer), opened
        hash_ = terms_hash(self.trade, 1, legs)
        for order in (Accept(self.bob, "a", hash_), Confirm(self.ann, "c", hash_), Confirm(self.bob, "c", hash_)):
            answer = await line.ask(command(self.trade, TRADE, order, (order.by, order.key)))
            assert isinstance(answer, Accepted), answer

    async def is_done(self) -> bool:
        status = await self.pool.fetchval("SELECT status FROM trades WHERE trade_id = $1", self.trade)
        return bool(status == "executed")

    async def came_to(self) -> dict[str, object]:
        """All that there is to be seen of it."""
        copies = await self.pool.fetch(
            "SELECT owner_id, place, provenance_seq FROM copies WHERE copy_id IN ($1, $2) ORDER BY copy_id",
            self.hers, self.his,
        )  # fmt: skip
        money = await self.pool.fetchrow(
            "SELECT posted, held FROM ledger_accounts WHERE owner_id = $1 AND kind = 'user'", self.ann
        )
        bodies = await self.pool.fetch("SELECT body FROM entity_events WHERE entity_id = $1", self.trade)
        events = [type(kind_of(TRADE).codec.decode_event(row[0])).__name__ for row in bodies]
        return {
            "copies": [tuple(row) for row in copies], "money": tuple(money or ()), "executed": events.count("Executed"),
            "settlements": await self._count("trade_settlements"), "handovers": await self._count("trade_copies"),
            "legs": await self.pool.fetchval("SELECT count(*) FROM ledger_transfers WHERE about = $1", self.trade),
        }  # fmt: skip

    async def _count(self, table: str) -> int:
        return int(await self.pool.fetchval(f"SELECT count(*) FROM {table} WHERE trade_id = $1", self.trade))

    def expected(self) -> dict[str, object]:
        return {
            "copies": [(self.bob, "free", 2), (self.ann, "free", 2)], "money": (FUNDS - PRICE, 0), "executed": 1,
            "settlements": 1, "handovers": 2, "legs": 3,
        }  # fmt: skip


@pytest.mark.timeout(600)
async def test_a_worker_that_dies_at_any_statement_of_an_execution_leaves_nothing_done_twice_or_by_half(
    engine: SharedEngine, database_url: str, pool: Pool
):
    urls = database_url, engine.redis_url
    card, deaths = await new_card(pool), 0
    async with host_child("trades", *urls) as host, worker_child(*urls) as heir:
        await host.take_all()
        line = Line(host)
        for step in range(1, STEPS_MAX):
            exchange = Exchange(pool)
            await exchange.prepare(card)
            heir.send_signal(signal.SIGSTOP)
            await exchange.negotiate(line)
            died = await dies(pool, urls, "death while settling", step, exchange.is_done)
            heir.send_signal(signal.SIGCONT)
            if not died:
                break
            deaths += 1
            await until(exchange.is_done, f"the execution is carried through that was cut off before step {step}")
            assert await exchange.came_to() == exchange.expected(), step
        line.close()
    assert await exchange.came_to() == exchange.expected()
    assert deaths > 10, "an execution has more steps"
    assert await check_ledger(database_url) == []


async def test_a_host_that_dies_before_the_log_has_the_execution_is_replaced_by_another(
    engine: SharedEngine, database_url: str, pool: Pool
):
    urls = database_url, engine.redis_url
    exchange = Exchange(pool)
    await exchange.prepare(await new_card(pool))
    async with host_child("first", *urls) as first:
        await first.take_all()
        line = Line(first)
        await exchange.negotiate(line)
        line.close()
    async with worker_child(*urls):

        async def is_decided() -> bool:
            return bool(
                await pool.fetchval("SELECT count(*) FROM trade_settlements WHERE trade_id = $1", exchange.trade)
            )

        await until(is_decided, "the worker has executed it, and no host lives")
        assert not await exchange.is_done()
        async with host_child("second", *urls) as second:
            await second.take_all()
            await until(exchange.is_done, "the log has it")
    assert await exchange.came_to() == exchange.expected()
    assert await check_ledger(database_url) == []
