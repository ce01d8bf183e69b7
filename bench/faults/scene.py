"""Auctions under load: bidders and watchers who record everything, and the checker at the end."""

import asyncio
from typing import Self
from uuid import uuid4

from bench.faults.auction_log import AuctionLog, read_logs
from bench.faults.checker import Violation, violations
from bench.faults.clients import Bidder, Watcher
from bench.faults.recording import Recording
from bench.faults.waiting import until
from bench.wire.accounts import OPERATOR_ROLE, Accounts, Roster
from bench.wire.client import Ack, WireClient
from bench.wire.rest_client import RestClient
from domain.ids import parse_id
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import close_pool, open_pool

DAY_MS = 24 * 3600 * 1000
SELLER, OPERATOR = "fault_seller", "fault_operator"
STEP_DEADLINE_S = 120.0
IN_FLIGHT = 200
SETTLED_POLL_S = 0.1
_UNSETTLED = """
    SELECT count(*) FROM auctions
    WHERE auction_id = ANY($1::bigint[]) AND (status = 'open' OR settlement IN ('due', 'paid'))
"""


class Scene:
    """Use with `async with`; everything recorded is in `recording`."""

    def __init__(
        self, base_url: str, database_url: str, accounts: Accounts, *, auctions: int = 3, bidders: int = 8,
        watchers: int = 2, rest_s: float = 0.0,
    ) -> None:  # fmt: skip
        """`watchers` of each auction; bidders rest for so long after each bid."""
        self.base_url = base_url
        self.database_url = database_url
        self._roster = Roster(accounts)
        self._wanted = (auctions, bidders, watchers)
        self._rest_s = rest_s
        self.recording = Recording()
        self.auctions: list[str] = []
        self.bidders: list[Bidder] = []
        self.watchers: list[Watcher] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._run = uuid4().hex[:8]

    async def __aenter__(self) -> Self:
        auctions, bidders, watchers = self._wanted
        names = [f"fault_{self._run}_{n}" for n in range(bidders)]
        await self._roster.enlist([*names, SELLER])
        await self._roster.enlist([OPERATOR], OPERATOR_ROLE)
        self.rest = RestClient(self.base_url, self._roster)
        for number in range(auctions):
            self.auctions.append(await self.open_auction(f"Fault {number}", DAY_MS))
        for number, name in enumerate(names):
            bidder = Bidder(self.base_url, self._roster.account(name), self.auctions, self.recording, number)
            bidder.rest_s = self._rest_s
            self.bidders.append(bidder)
        self.watchers = [
            Watcher(self.base_url, auction, self.recording) for auction in self.auctions for _ in range(watchers)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for watcher in self.watchers:
            await watcher.stop()
        await self.rest.close()

    async def open_auction(self, title: str, duration_ms: int, **terms: object) -> str:
        """The id of a new auction. Nobody bids in it by themselves."""
        body = {"title": title, "format": "english", "starting_price": 1_000_000, "duration_ms": duration_ms, **terms}
        return str((await self.rest.open_auction(SELLER, body))["id"])

    def start(self) -> None:
        """Everybody bids and watches from now on."""
        self._tasks = [asyncio.create_task(bidder.run()) for bidder in self.bidders]
        self._tasks += [asyncio.create_task(watcher.run()) for watcher in self.watchers]

    async def more_acks(self, number: int) -> None:
        """Wait until so many more bids were acknowledged."""
        wanted = len(self.recording.acks) + number
        await until(
            lambda: self.failure() or len(self.recording.acks) >= wanted, f"{number} more acks", STEP_DEADLINE_S
        )
        assert self.failure() is None, self.failure()

    def answers(self) -> int:
        """How many bids were answered so far, for good."""
        return len(self.recording.acks) + len(self.recording.refused)

    async def finish(self) -> list[Violation]:
        """Let the last bids be answered, close all auctions, wait for all watchers, and check."""
        await self.quiet()
        for auction in self.auctions:
            await self.rest.close_auction(OPERATOR, auction)
        await until(self._nothing_to_settle, "what was sold is settled", STEP_DEADLINE_S, SETTLED_POLL_S)
        logs = await self.watchers_at_the_end()
        for watcher in self.watchers:
            await watcher.stop()
        return violations(self.recording, logs, closed=True)

    async def watchers_at_the_end(self) -> dict[str, AuctionLog]:
        """Wait until everybody was told where the log stands by now; nobody may bid any more. The logs."""
        logs = await read_logs(self.database_url, self.auctions)
        last = {auction: log.last_seq for auction, log in logs.items()}
        await until(
            lambda: all(w.seen.position[1] == last[w.seen.auction] for w in self.watchers),
            "every watcher is at the end",
            STEP_DEADLINE_S,
        )
        return logs

    async def bid_in_turn(self, times: int) -> None:
        """So many accepted bids of one bidder, who raises their own maximum in the first auction, many in flight."""
        client = await WireClient.connect(self.base_url, self.bidders[0].account.token)
        for start in range(0, times, IN_FLIGHT):
            orders = range(start, min(start + IN_FLIGHT, times))
            answers = await asyncio.gather(*(client.bid(self.auctions[0], 2_000_000 + n, f"r{n}") for n in orders))
            assert all(isinstance(answer, Ack) for answer in answers), answers
        client.close()

    async def quiet(self) -> None:
        """Nobody bids any more, and every bid is answered."""
        for bidder in self.bidders:
            bidder.stopping = True
        async with asyncio.timeout(STEP_DEADLINE_S):
            await asyncio.gather(*self._tasks[: len(self.bidders)])

    async def verdict_of_a_broken_engine(self) -> list[Violation]:
        """What is wrong, without waiting for what may never come true."""
        await self.quiet()
        return violations(self.recording, await read_logs(self.database_url, self.auctions), closed=False)

    def failure(self) -> BaseException | None:
        """Why a bidder or a watcher has stopped; None: all of them go on."""
        done = [task for task in self._tasks if task.done() and not task.cancelled()]
        return next((error for task in done if (error := task.exception()) is not None), None)

    async def _nothing_to_settle(self) -> bool:
        try:
            pool = await open_pool(self.database_url, size_max=1)
        except StoreUnavailable:
            return False
        try:
            return not await pool.fetchval(_UNSETTLED, [parse_id(auction) for auction in self.auctions])
        finally:
            await close_pool(pool)
