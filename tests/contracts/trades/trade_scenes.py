"""Trades on a real PostgreSQL and a host that works, between people with money and copies."""

import asyncio
import itertools
from typing import Any

import msgspec

from actors.hosting.host import Host
from actors.stream.messages import Accepted, Answer, Open, StateAnswer, command
from actors.workers.trades import ExecuteTrades, InvalidateTrades, ReverseTrades
from domain.kinds import kind_of
from domain.ledger.ids import held_for
from domain.log.codec import encode
from domain.money import usd
from domain.trade.commands import Accept, Command, Confirm
from domain.trade.events import Event
from domain.trade.state import Trade
from domain.trade.terms import Leg, Party, Terms
from persistence.ledger.store import Ledger
from persistence.trades.executing import Executions
from persistence.trades.protection import Protection
from persistence.trades.reversing import Reversals
from tests.contracts.sales.sale_scenes import Scene, ask
from tests.job_runs import DirectHost, run_due

TRADE = "trade"
DAY_MS = 24 * 3_600_000
_keys = itertools.count(1)


PROTECTION = Protection(usd(500), 7 * DAY_MS, 14 * DAY_MS)


class TradeScene(Scene):
    """One database with trades in it."""

    @property
    def executions(self) -> Executions:
        return Executions(self.pool, PROTECTION)

    async def execute(self, host: Host, executions: Executions | None = None) -> None:
        """Until nothing is to be executed."""
        await run_due(self.pool, ExecuteTrades(executions or self.executions, DirectHost(host), host.clock.now_ms))

    async def reverse(self, host: Host, reversals: Reversals | None = None) -> None:
        """Until nothing is to be reversed."""
        job = ReverseTrades(reversals or Reversals(self.pool), DirectHost(host), host.clock.now_ms)
        await run_due(self.pool, job)

    async def invalidate(self, host: Host) -> None:
        """Until all trades know that their copies are gone."""
        await run_due(self.pool, InvalidateTrades(DirectHost(host)))

    async def held(self, *trades: int) -> list[tuple[int, int]]:
        """(trade, amount or copy) of all that is held for these trades."""
        holds = await Ledger(self.pool).held_for([held_for(TRADE, trade) for trade in trades], "USDC")
        rows = await self.pool.fetch(
            "SELECT locked_by, copy_id FROM copies WHERE locked_by = ANY($1::bigint[])", trades
        )
        return [(int.from_bytes(hold.reference[8:], "big"), hold.amount) for hold in holds] + [
            tuple(row) for row in rows
        ]

    async def nothing_held(self, *trades: int) -> None:
        """Wait until all is released."""
        async with asyncio.timeout(10):
            while await self.held(*trades):  # noqa: ASYNC110 – nothing notifies of a release
                await asyncio.sleep(0.01)

    async def offer(self, host: Host, *legs: Leg, **changes: Any) -> int:
        """A trade on these legs, which the giver of the first one proposes."""
        trade: int = await self.pool.fetchval("SELECT next_id()")
        users = list(dict.fromkeys(leg.giver for leg in legs))
        parties = tuple(Party(user, f"u{user}") for user in users)
        expires_at = host.clock.now_ms() + DAY_MS
        terms = Terms(trade, users[0], parties, legs, expires_at, **({"fee_bp": 250} | changes))
        answer = await ask(host, Open(trade, TRADE, msgspec.Raw(encode(terms))))
        assert isinstance(answer, StateAnswer), answer
        return trade

    async def order(self, host: Host, trade: int, order: Command) -> Answer:
        """A command of a user or a worker."""
        user = (order.by, order.key) if hasattr(order, "key") else None
        return await ask(host, command(trade, TRADE, order, user))

    async def accept(self, host: Host, trade: int, *users: int) -> list[Answer]:
        """Each accepts what is offered now."""
        hash_ = (await self.trade(trade)).hash
        return [await self.order(host, trade, Accept(user, f"k{next(_keys)}", hash_)) for user in users]

    async def agree(self, host: Host, *legs: Leg, **changes: Any) -> int:
        """A trade that all have accepted."""
        trade = await self.offer(host, *legs, **changes)
        users = (await self.trade(trade)).users
        for answer in await self.accept(host, trade, *users[1:]):
            assert isinstance(answer, Accepted), answer
        return trade

    async def confirm(self, host: Host, *legs: Leg, **changes: Any) -> int:
        """A trade that all have confirmed, so that it is to be executed."""
        trade = await self.agree(host, *legs, **changes)
        await self.confirm_all(host, trade)
        return trade

    async def confirm_all(self, host: Host, trade: int) -> None:
        """All confirm what they have agreed on."""
        state = await self.trade(trade)
        for user in state.users:
            answer = await self.order(host, trade, Confirm(user, f"k{next(_keys)}", state.hash))
            assert isinstance(answer, Accepted), answer

    async def trade(self, trade: int) -> Trade:
        """The state, from the log."""
        rules = kind_of(TRADE).rules
        state = None
        for event in await self.trade_events(trade):
            state = rules.apply(state, event)
        assert state is not None
        return state

    async def trade_events(self, trade: int) -> list[Event]:
        rows = await self.pool.fetch("SELECT body FROM entity_events WHERE entity_id = $1 ORDER BY seq", trade)
        return [kind_of(TRADE).codec.decode_event(row[0]) for row in rows]

    async def jobs(self, kind: str) -> list[str]:
        """The keys of the jobs of this kind."""
        return [row[0] for row in await self.pool.fetch("SELECT key FROM jobs WHERE kind = $1 ORDER BY key", kind)]
