"""Twins of the stores in memory. Each passes the contract suite of the real one (tests/contracts)."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import SimpleNamespace

from msgspec.structs import replace

from domain.auction.commands import Settle
from domain.ledger.books import HOUSE, Books, opened
from domain.ledger.ids import held_for_auction, transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.refusals import Refusal
from domain.ledger.rules import Reserve, balance_check, decide_all
from domain.ledger.rules import reserve as reserve_one
from domain.sales.settlement import Sale, split
from persistence.auctions.summary import AUCTIONS
from persistence.ledger.store import HeldFor
from persistence.log.event_log import TAIL_PAGE, EventRow, KeyedRow, Reserves
from persistence.log.snapshots import Snapshot
from persistence.log.summaries import SummaryRow
from persistence.postgres.errors import KeyTaken, StaleSequence, StoreUnavailable
from persistence.sales.selling import Settlement
from persistence.sales.settlement import Due, Failure


class MemoryTables:
    """What a database holds; several logs may work on it, as several hosts do."""

    def __init__(self) -> None:
        self.events: dict[int, list[EventRow]] = {}
        self.keys: dict[tuple[int, bytes], KeyedRow] = {}
        self.summaries: dict[int, SummaryRow] = {}
        self.snapshots: dict[int, Snapshot] = {}
        self.epoch = 1


class Weather:
    """When calls fail. ``pause`` runs before each call takes effect: a place for others to come between.

    ``writes``: for the next appends, ``lost`` (failed before it was written), ``landed`` (failed after), ``fine``.
    """

    def __init__(self) -> None:
        self.writes: deque[str] = deque()
        self.down = False
        self.pause: Callable[[], Awaitable[None]] = _turn


async def _turn() -> None:
    await asyncio.sleep(0)


class MemoryEventLog:
    """`persistence.log.event_log.EventLog` over a dict."""

    def __init__(
        self, tables: MemoryTables | None = None, weather: Weather | None = None, holds: "MemoryHolds | None" = None
    ) -> None:
        self.tables = tables or MemoryTables()
        self.weather = weather or Weather()
        self.holds = holds
        self.appends = 0

    async def append(
        self, events: Sequence[EventRow], summaries: Sequence[SummaryRow] = (), reserve: Reserves | None = None
    ) -> bool:
        await self.weather.pause()
        fate = "lost" if self.weather.down else self.weather.writes.popleft() if self.weather.writes else "fine"
        if fate == "lost":
            raise StoreUnavailable("the connection broke before the write")
        books = None
        if reserve is not None:
            assert self.holds is not None
            books = self.holds.reserved_at_once(reserve)
            if books is None:
                return False
        self._write(events, summaries)
        if books is not None:
            assert self.holds is not None
            self.holds.books = books
        if fate == "landed":
            raise StoreUnavailable("the connection broke after the write")
        await self.weather.pause()
        return True

    def _write(self, events: Sequence[EventRow], summaries: Sequence[SummaryRow]) -> None:
        """All of it or none of it; in order within an entity, as the primary key has it."""
        tables = self.tables
        taken = {(a, row.seq) for a in {e.entity for e in events} for row in tables.events.get(a, ())}
        keys: set[tuple[int, bytes]] = set()
        for event in events:
            if (event.entity, event.seq) in taken:
                raise StaleSequence(f"{event.entity} {event.seq}")
            taken.add((event.entity, event.seq))
            if event.command_key is None:
                continue
            key = (event.entity, event.command_key)
            if key in tables.keys or key in keys:
                raise KeyTaken(f"{event.entity} {event.seq}")
            keys.add(key)
        for event in events:
            rows = tables.events.setdefault(event.entity, [])
            rows.append(event)
            rows.sort(key=lambda row: row.seq)
            if event.command_key is not None:
                tables.keys[event.entity, event.command_key] = KeyedRow(event.seq, event.at, event.epoch, event.body)
        self._bring(summaries)
        self.appends += 1

    def _bring(self, summaries: Sequence[SummaryRow]) -> None:
        for row in summaries:
            known = self.tables.summaries.get(row.entity)
            if known is None or known.seq <= row.seq:
                self.tables.summaries[row.entity] = row

    async def write_summaries(self, summaries: Sequence[SummaryRow]) -> None:
        await self._reach()
        self._bring(summaries)

    async def find_keys(self, wanted: Sequence[tuple[int, bytes]]) -> dict[tuple[int, bytes], KeyedRow]:
        await self._reach()
        return {key: self.tables.keys[key] for key in wanted if key in self.tables.keys}

    async def tail(self, entity: int, after_seq: int, limit: int = TAIL_PAGE) -> list[EventRow]:
        await self._reach()
        return [row for row in self.tables.events.get(entity, ()) if row.seq > after_seq][:limit]

    async def tails(self, after: Sequence[tuple[int, int]], limit_each: int) -> dict[int, list[EventRow]]:
        await self._reach()
        found = {
            auction: [row for row in self.tables.events.get(auction, ()) if row.seq > after_seq][:limit_each]
            for auction, after_seq in after
        }
        return {auction: rows for auction, rows in found.items() if rows}

    async def epoch(self) -> int:
        await self._reach()
        return self.tables.epoch

    async def ensure_partitions(self) -> None:
        await self._reach()

    async def _reach(self) -> None:
        await self.weather.pause()
        if self.weather.down:
            raise StoreUnavailable("the database is away")


class MemoryHolds:
    """`persistence.ledger.bid_holds.BidHolds` over the pure rules."""

    def __init__(self, funds: Mapping[int, int], weather: Weather | None = None) -> None:
        self.books = Books({owner: replace(opened(owner, owner, "USDC"), posted=sum_) for owner, sum_ in funds.items()})
        self.weather = weather or Weather()
        self.calls: list[list[Reserve]] = []

    async def reserve(self, wanted: Sequence[Reserve]) -> dict[int, Refusal]:
        await self._reach()
        self.calls.append(list(wanted))
        short = {}
        for place, want in enumerate(wanted):
            self.books, refusal = reserve_one(self.books, want, self.books.accounts.get(want.owner))
            if refusal is not None:
                short[place] = refusal
        return short

    def reserved_at_once(self, reserve: Reserves) -> Books | None:
        """The books after it, as the database's function does it in an append; None: not all of it can be."""
        _, owners, peaks, *columns = reserve
        wanted = [Reserve(*row) for row in zip(*columns, strict=True)]  # type: ignore[call-overload]
        checks = [balance_check(b"", owner, peak) for owner, peak in zip(owners, peaks, strict=True) if peak]  # type: ignore[call-overload]
        self.calls.append([*checks, *wanted])
        if self.weather.down:
            raise StoreUnavailable("the ledger is away")
        raised: Counter[int] = Counter()
        for want in wanted:
            held = self.books.holds.get((want.reference, want.owner))
            before = 0 if held is None else held.amount
            kept = want.unless_above is not None and before > want.unless_above
            raised[want.owner] += max(0, (before if kept else min(max(before, want.at_least), want.at_most)) - before)
        for owner, peak in zip(owners, peaks, strict=True):  # type: ignore[call-overload]
            account = self.books.accounts.get(owner)
            if peak + raised[owner] > (0 if account is None else account.posted - account.held):
                return None
        books = self.books
        for want in sorted(wanted, key=lambda want: want.at_least):
            books, refusal = reserve_one(books, want, books.accounts.get(want.owner))
            if refusal is not None:
                return None
        return books

    async def held_for(self, references: Sequence[bytes]) -> list[HeldFor]:
        await self._reach()
        return [
            HeldFor(reference, owner, hold.amount)
            for (reference, owner), hold in self.books.holds.items()
            if reference in references
        ]

    async def close(self) -> None:
        pass

    @property
    def held(self) -> dict[tuple[int, int], int]:
        """What is held, by (auction, bidder)."""
        return {
            (int.from_bytes(reference[8:], "big"), owner): hold.amount
            for (reference, owner), hold in self.books.holds.items()
        }

    async def _reach(self) -> None:
        await self.weather.pause()
        if self.weather.down:
            raise StoreUnavailable("the ledger is away")


def listed(row: SummaryRow) -> SimpleNamespace:
    """An auction's summary row, its columns by name."""
    columns = dict(zip((name.removesuffix("_id") for name in AUCTIONS.names), row.columns, strict=True))
    return SimpleNamespace(
        auction=row.entity, slot=row.slot, due_at=row.due_at, epoch=row.epoch, seq=row.seq, **columns
    )


class MemorySettlements:
    """`persistence.sales.settlement.Settlements` over summary rows and the pure rules, for auctions without copies."""

    FEE_BP = 500

    def __init__(self, tables: MemoryTables, holds: MemoryHolds, weather: Weather | None = None) -> None:
        self.tables = tables
        self.holds = holds
        self.weather = weather or Weather()
        self.progress: dict[int, str] = {}
        self.paid: dict[int, Settle] = {}
        self.failures: list[Failure] = []

    def ended(self) -> list[int]:
        """Auctions that have ended and are not done with: those that there are jobs for."""
        return sorted(
            head.auction for head in map(listed, self.tables.summaries.values())
            if head.status in ("closed", "cancelled") and self.progress.get(head.auction, "due") in ("due", "paid")
        )  # fmt: skip

    async def due(self, auctions: Sequence[int]) -> list[Due]:
        await self._reach()
        return [
            Due(auction, listed(self.tables.summaries[auction]).winner is not None, self.paid.get(auction))
            for auction in self.ended() if auction in auctions
        ]  # fmt: skip

    async def settle_unsold(self, auctions: Sequence[int], now_ms: int) -> int:
        done = [auction for auction in auctions if self.progress.get(auction, "due") == "due"]
        await self._write(lambda: self.progress.update(dict.fromkeys(done, "done")))
        return len(done)

    async def settle(self, auction: int, now_ms: int) -> Settlement | Failure | None:
        head = listed(self.tables.summaries[auction])
        assert head.winner is not None
        if self.progress.get(auction, "due") != "due":
            return None
        parts = split(Sale(head.seller, head.winner, head.price, self.FEE_BP), HOUSE)
        let_go = Reserve(held_for_auction(auction), head.winner, 0, 0)
        books, _ = reserve_one(self.holds.books, let_go, self.holds.books.accounts[head.winner])
        orders = [
            Transfer(
                transfer_id("settlement", auction, leg.kind), head.winner, leg.owner, leg.amount, leg.kind, auction
            )
            for leg in parts.legs
        ]
        books, outcomes = decide_all(books, orders, now_ms, together=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        if refused:
            failure = Failure(auction, refused[0].code, "", now_ms, 1)
            await self.fail(failure)
            return failure

        def pay() -> None:
            self.holds.books = books
            self.progress[auction] = "paid"
            self.paid[auction] = Settle(winner, head.price, parts.fee, parts.royalties)

        winner = head.winner
        await self._write(pay)
        return Settlement(
            auction, 1, "sold", now_ms, head.seller, winner, "USDC", head.price, parts.fee, 0, 0, [], head.seq, b""
        )

    async def fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        await self._write(lambda: self.progress.update({failure.auction: "failed"}))

    async def done(self, auctions: Sequence[int]) -> None:
        await self._write(lambda: self.progress.update(dict.fromkeys(auctions, "done")))

    async def _write(self, effect: Callable[[], None]) -> None:
        """All of it or nothing; perhaps with an unknown outcome."""
        fate = self.weather.writes.popleft() if self.weather.writes else "fine"
        if fate == "lost":
            raise StoreUnavailable("the connection broke before the commit")
        effect()
        if fate == "landed":
            raise StoreUnavailable("the connection broke after the commit")
        await self.weather.pause()

    async def _reach(self) -> None:
        await self.weather.pause()
        if self.weather.down:
            raise StoreUnavailable("the database is away")


class MemorySnapshots:
    """`persistence.log.snapshots.SnapshotStore` over a dict."""

    def __init__(self, tables: MemoryTables | None = None, weather: Weather | None = None) -> None:
        self.tables = tables or MemoryTables()
        self.weather = weather or Weather()

    async def save(self, snapshots: Sequence[Snapshot]) -> None:
        await self._reach()
        for snapshot in snapshots:
            known = self.tables.snapshots.get(snapshot.entity)
            if known is None or known.seq < snapshot.seq:
                self.tables.snapshots[snapshot.entity] = snapshot

    async def load(self, auction: int) -> Snapshot | None:
        await self._reach()
        return self.tables.snapshots.get(auction)

    async def load_many(self, auctions: Sequence[int]) -> dict[int, Snapshot]:
        await self._reach()
        return {auction: self.tables.snapshots[auction] for auction in auctions if auction in self.tables.snapshots}

    async def _reach(self) -> None:
        await self.weather.pause()
        if self.weather.down:
            raise StoreUnavailable("the database is away")
