"""Pairs who trade throughout a run, and the checker of what they have at its end."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from bench.faults.auction_log import read_rows
from bench.faults.checker import Violation
from bench.faults.trades.checker import TradeLog, trade_violations
from bench.faults.trades.clients import Trader, TradingPair
from bench.faults.trades.recording import Holdings, TradeRecording
from bench.faults.waiting import until
from bench.wire.accounts import Account
from domain.ids import id_text, parse_id
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

SEEN_WITHIN_S = 120.0
STOPPED_WITHIN_S = 180.0
POLL_S = 0.2
_OWNERS = "SELECT copy_id, owner_id, place FROM copies WHERE copy_id = ANY($1::bigint[])"
_MONEY = "SELECT owner_id, posted, held FROM ledger_accounts WHERE owner_id = ANY($1::bigint[]) AND kind = 'user'"
_NOT_FREE = """
    SELECT format('copy %s is %s: %s, %s', id_text(c.copy_id), c.place, id_text(c.locked_by), t.status)
    FROM copies c LEFT JOIN trades t ON t.trade_id = c.locked_by
    WHERE c.copy_id = ANY($1::bigint[]) AND c.place <> 'free'
"""
_TRADES = "SELECT DISTINCT trade_id FROM trade_parties WHERE user_id = ANY($1::bigint[])"
_PENDING = """
    SELECT count(*) FROM trade_parties p JOIN trades t USING (trade_id)
    WHERE p.user_id = ANY($1::bigint[]) AND t.status IN ('confirmed', 'reversing')
"""


class Trading:
    """Pairs of accounts with a copy each. Nothing else may change what they have."""

    def __init__(
        self, base_url: str, database_url: str, accounts: Sequence[Account], copies: Sequence[str],
        on_step: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`copies` are those of the accounts, in their order; `on_step` is told what a pair has just reached."""
        self._database_url = database_url
        self.recording = TradeRecording()
        traders = [Trader(base_url, account, self.recording) for account in accounts]
        self.pairs = [
            TradingPair(one, other, (copies[2 * number], copies[2 * number + 1]), number % 2 == 0, on_step)
            for number, (one, other) in enumerate(zip(traders[::2], traders[1::2], strict=True))
        ]
        self._users = [trader.id for trader in traders]
        self._copies = [parse_id(copy) for copy in copies]
        self._tasks: list[asyncio.Task[None]] = []
        self._before: Holdings | None = None

    async def start(self) -> None:
        """Everybody trades from now on."""
        self._before = await self._holdings()
        self._tasks = [asyncio.create_task(pair.run()) for pair in self.pairs]

    async def finish(self) -> dict[int, TradeLog]:
        """Let the last trades end, and their parties receive all of it. The logs of all trades.

        Raises AssertionError where something was refused that should not be.
        """
        for pair in self.pairs:
            pair.stopping = True
        try:
            async with asyncio.timeout(STOPPED_WITHIN_S):
                await asyncio.gather(*self._tasks)
        except AssertionError as refused:
            held = await self._query(_NOT_FREE, self._copies)
            raise AssertionError(f"{refused}; {'; '.join(held)}") from None
        await until(self._nothing_pending, "every confirmed trade is executed", SEEN_WITHIN_S, POLL_S)
        rows = await read_rows(self._database_url, await self._query(_TRADES, self._users))
        logs = {trade: TradeLog(trade, of_trade) for trade, of_trade in rows.items()}
        last = {id_text(one): max(log.rows) for one, log in logs.items()}
        watchers = [watcher for pair in self.pairs for watcher in pair.watchers]
        await until(
            lambda: all(w.seen.position[1] == last[w.seen.auction] for w in watchers),
            "the parties have received all of their trades",
            SEEN_WITHIN_S,
        )
        for pair in self.pairs:
            await pair.stop_watching()
        return logs

    async def violations(self, logs: dict[int, TradeLog]) -> list[Violation]:
        """What is wrong with these logs, and with what the users have."""
        assert self._before is not None, "started"
        return trade_violations(self.recording, logs, self._before, await self._holdings())

    async def cancel(self) -> None:
        """End everything now."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pair in self.pairs:
            await pair.stop_watching()

    async def _nothing_pending(self) -> bool:
        try:
            return await self._query(_PENDING, self._users) == [0]
        except StoreError:
            return False

    async def _holdings(self) -> Holdings:
        pool = await open_pool(self._database_url, size_max=1)
        try:
            owners = await pool.fetch(_OWNERS, self._copies)
            money = await pool.fetch(_MONEY, self._users)
        finally:
            await close_pool(pool)
        return Holdings(
            {row["copy_id"]: row["owner_id"] for row in owners},
            frozenset(row["copy_id"] for row in owners if row["place"] != "free"),
            {row["owner_id"]: row["posted"] for row in money},
            {row["owner_id"]: row["held"] for row in money},
        )

    async def _query(self, sql: str, ids: Sequence[int]) -> list[Any]:
        pool = await open_pool(self._database_url, size_max=1)
        try:
            return [row[0] for row in await pool.fetch(sql, ids)]
        finally:
            await close_pool(pool)
