"""Cards, copies and people with money on a real PostgreSQL, a host that works, and auctions that end."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from auction_examples import terms
from auction_requests import bid_request, close_request, decode_event, open_request

from actors.clock import Clock
from actors.hosting.host import Host
from actors.hosting.limits import HostLimits
from actors.stream.messages import Accepted, Answer, Refused, Request, StateAnswer
from actors.workers.settle import SettleAuctions
from domain.auction.events import Event
from domain.ledger.books import HOUSE
from domain.ledger.ids import held_for_auction, transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.rules import Done
from domain.money import usd
from persistence.ledger.bid_holds import BidHolds
from persistence.ledger.check import CHECKS, ledger_checker
from persistence.ledger.faucet import fund
from persistence.ledger.store import Ledger
from persistence.log.event_log import EventLog
from persistence.log.snapshots import SnapshotStore
from persistence.postgres.pool import Pool
from persistence.sales.copies import Copies, NewCopies
from persistence.sales.copy_locks import CopyLocks
from persistence.sales.listings import Listings, Locked
from persistence.sales.settlement import Settlements
from persistence.summary_tables import SUMMARY_TABLES
from tests.job_runs import DirectHost, run_due

NOW = 1_800_000_000_000
ENDS_AT_MS = 4_000_000_000_000
OPERATOR = 1
ARTIST, STUDIO = 8_000, 8_001
CREATOR = 8_002

_numbers = itertools.count(1)


class NoNews:
    """Nobody listens."""

    def publish(self, channel: str, message: bytes) -> None:
        pass


@asynccontextmanager
async def a_life(database_url: str) -> AsyncIterator[Host]:
    """A host that works, and is killed at the end. Nothing settles its auctions: tests do that step by step."""
    event_log, holds = EventLog(database_url, SUMMARY_TABLES), BidHolds(database_url)
    locks = CopyLocks(database_url)
    await event_log.open()
    host = Host(
        event_log,
        SnapshotStore(event_log.pool),
        NoNews(),
        slots_total=1,
        limits=HostLimits(),
        clock=Clock(),
        holds=holds,
        copy_locks=locks,
    )
    host.ownership.slots = frozenset([0])
    await host.prepare()
    running = asyncio.create_task(host.run())
    try:
        yield host
    finally:
        host.timers.stop()
        for task in [running, *host._loader.tasks]:
            task.cancel()
        await asyncio.gather(running, *host._loader.tasks, return_exceptions=True)
        await holds.close()
        await locks.close()
        await event_log.close()


async def ask(host: Host, request: Request) -> Answer:
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    host.submit(request, next(_numbers), lambda _, answer: future.set_result(answer))
    async with asyncio.timeout(20):
        return await future


class Scene:
    """One database. People are numbers; all have money but those who are said to have none."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.copies = Copies(pool)
        self.listings = Listings(pool)
        self.settlements = Settlements(pool)
        self._people = itertools.count(10_000)

    async def person(self, *, funded: bool = True) -> int:
        """Someone new, whom the house knows."""
        number: int = await self.pool.fetchval(
            "INSERT INTO users (user_id, username, email, email_key)"
            " SELECT id, 'u' || id, 'u' || id || '@x.example', 'u' || id || '@x.example'"
            " FROM next_id() AS id RETURNING user_id"
        )
        if funded:
            await fund(self.pool, [number], NOW)
        return number

    async def card(self, royalty: Sequence[tuple[int, int]] = ((ARTIST, 1_000), (STUDIO, 250))) -> int:
        """A card with royalties for its artist and its studio."""
        number = next(_numbers)
        card: int = await self.pool.fetchval(
            "WITH s AS (INSERT INTO card_sets (code, name) VALUES ('s' || $1::text, 'Set') RETURNING set_id)"
            " INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at)"
            " SELECT set_id, '1', 'Card ' || $1::text, 'rare', $2, $3, $3 FROM s RETURNING card_id",
            str(number), CREATOR, NOW,
        )  # fmt: skip
        assert await self.copies.set_royalty(card, royalty)
        return card

    async def copies_for(self, owner: int, count: int = 1, card: int | None = None) -> list[int]:
        """New copies that are their owner's and free."""
        made = await self.copies.make(NewCopies(card or await self.card(), count, owner), NOW)
        assert isinstance(made, list), made
        return made

    async def list_auction(self, host: Host, seller: int, copies: Sequence[int] = (), **changes: Any) -> int:
        """An open auction of these copies."""
        auction: int = await self.pool.fetchval("SELECT next_id()")
        assert isinstance(await self.listings.lock(auction, seller, copies, NOW), Locked)
        conditions = terms(auction=auction, seller=seller, copies=tuple(copies), ends_at=ENDS_AT_MS, **changes)
        assert isinstance(await ask(host, open_request(auction, conditions)), StateAnswer)
        return auction

    async def bid(self, host: Host, auction: int, bidder: int, amount: int) -> None:
        answer = await ask(host, bid_request(auction, bidder, f"n{bidder}", amount, f"k{next(_numbers)}"))
        assert isinstance(answer, Accepted), answer

    async def sold(self, host: Host, price_usd: int = 100) -> tuple[int, int, int, int]:
        """An auction of one copy that has ended at this price: (auction, copy, seller, buyer)."""
        seller, buyer, other = await self.person(funded=False), await self.person(), await self.person()
        [copy] = await self.copies_for(seller)
        auction = await self.list_auction(host, seller, [copy], starting_price=usd(price_usd))
        await self.bid(host, auction, other, usd(price_usd))
        await self.bid(host, auction, buyer, usd(2 * price_usd))
        await self.close(host, auction)
        return auction, copy, seller, buyer

    async def close(self, host: Host, auction: int) -> None:
        """Close it, and wait until those who were outbid have their funds back."""
        assert not isinstance(await ask(host, close_request(auction, OPERATOR)), Refused)
        async with asyncio.timeout(10):
            while await holders_now(self.pool, auction) > 1:  # noqa: ASYNC110 – nothing notifies of a release
                await asyncio.sleep(0.01)

    async def settle(self, host: Host, settlements: Settlements | None = None) -> None:
        """Until nothing is due that can be done."""
        await run_due(self.pool, settle_job(settlements or self.settlements, host))

    async def standing(self, person: int) -> tuple[int, int]:
        """(posted, held) of somebody, or of the house's fees (0)."""
        kind = "fees" if person == HOUSE else "user"
        row = await self.pool.fetchrow(
            "SELECT posted, held FROM ledger_accounts WHERE owner_id = $1 AND kind = $2", person, kind
        )
        return (0, 0) if row is None else (row[0], row[1])

    async def move(self, giver: int, to: int, amount: int) -> None:
        """Money changes hands, for no reason."""
        ledger = Ledger(self.pool)
        accounts = await ledger.accounts([giver, to], "USDC")
        order = Transfer(transfer_id("test", next(_numbers)), accounts[giver], accounts[to], amount, "gift")
        [outcome] = await ledger.execute([order], NOW)
        assert isinstance(outcome, Done), outcome

    async def events(self, auction: int) -> list[Event]:
        rows = await self.pool.fetch("SELECT body FROM entity_events WHERE entity_id = $1 ORDER BY seq", auction)
        return [decode_event(row[0]) for row in rows]

    async def progress(self, auction: int) -> str:
        """How far its settlement is."""
        return str(await self.pool.fetchval("SELECT settlement FROM auctions WHERE auction_id = $1", auction))

    async def owner_and_place(self, copy: int) -> tuple[int, str]:
        row = await self.pool.fetchrow("SELECT owner_id, place FROM copies WHERE copy_id = $1", copy)
        assert row is not None
        return row[0], row[1]

    async def history_of(self, copy: int) -> list[tuple[str, int | None, int, int | None]]:
        """(reason, from, to, price) of every change of owner."""
        rows = await self.pool.fetch(
            "SELECT reason, from_owner, to_owner, price FROM provenance WHERE copy_id = $1 ORDER BY seq", copy
        )
        return [tuple(row) for row in rows]


async def ledger_findings(database_url: str) -> list[str]:
    """What `ece ledger check` would say."""
    async with ledger_checker(database_url) as checker:
        return [finding.detail for check in CHECKS for finding in (await checker.findings(check))[1]]


async def holders_now(pool: Pool, auction: int) -> int:
    """How many people's money is held for an auction."""
    return int(await pool.fetchval("SELECT count(*) FROM ledger_holds WHERE reference = $1", held_for_auction(auction)))


async def held_now(pool: Pool, auction: int) -> int:
    """All that is held for an auction."""
    return sum(hold.amount for hold in await Ledger(pool).held_for([held_for_auction(auction)], "USDC"))


async def nothing(_: Sequence[int]) -> None:
    """No catalog to bring up to date."""


def settle_job(settlements: Settlements, host: Host) -> SettleAuctions:
    """The job, with the host that owns all auctions."""
    return SettleAuctions(settlements, DirectHost(host), host.clock.now_ms, nothing)


class CutConnection(asyncpg.Connection):  # type: ignore[misc]
    """Breaks in the midst of work: the backend ends before its n-th statement, or right after it."""

    left: int | None = None
    after = False
    statements = 0

    @classmethod
    def cut_at(cls, statement: int | None, *, after: bool = False) -> None:
        cls.left, cls.after, cls.statements = statement, after, 0

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        return await self._perhaps_cut(super().execute(query, *args, timeout=timeout))

    async def _execute(self, *args: Any, **kwargs: Any) -> Any:
        return await self._perhaps_cut(super()._execute(*args, **kwargs))

    async def _perhaps_cut(self, work: Any) -> Any:
        cls = type(self)
        cls.statements += 1
        if cls.left is None or cls.statements != cls.left:
            return await work
        if cls.after:
            await work
        else:
            work.close()
        self.terminate()
        raise ConnectionResetError("cut by the test")


@asynccontextmanager
async def fragile_pool(database_url: str) -> AsyncIterator[Pool]:
    """A pool whose only connection can be cut."""
    CutConnection.cut_at(None)
    pool = await asyncpg.create_pool(database_url, min_size=1, max_size=1, connection_class=CutConnection)
    try:
        yield pool
    finally:
        CutConnection.cut_at(None)
        pool.terminate()
