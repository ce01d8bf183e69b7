"""The simulated database: the twins in memory behind connections that lose requests and replies, and are slow.

A call takes effect at one moment at the server, also if its caller is dead by then; a caller whose reply is lost knows
nothing of its effect.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from domain.errors import COPY_MOVED_ON
from domain.kinds import kind_of
from domain.ledger.books import HOUSE, Books, opened
from domain.ledger.ids import held_for, transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.refusals import SET_REFUSED, Refusal
from domain.ledger.rules import Reserve, decide_all
from domain.ledger.rules import reserve as reserve_one
from domain.log.codec import command_key
from domain.sales.settlement import SoldCopy
from domain.trade.commands import Execute, Fail
from domain.trade.settlement import settle
from domain.trade.state import Status, Trade
from domain.trade.terms import payments
from persistence.log.event_log import Confirm
from persistence.log.history import LoggedEvent
from persistence.placement.directory import Superseded
from persistence.postgres.errors import StoreError, StoreUnavailable
from persistence.trades.checks import TradeCopy, TradeFacts, TradeUser
from tests.memory.copy_locks import MemoryCopyLocks
from tests.memory.directory import MemoryDirectory
from tests.memory.event_log import MemoryEventLog
from tests.memory.holds import MemoryHolds
from tests.memory.idempotency_keys import MemoryIdempotencyKeys
from tests.memory.settlements import MemorySettlements
from tests.memory.snapshots import MemorySnapshots
from tests.memory.tables import MemoryTables, Weather
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.trace import Trace

TIMEOUT_S = 5.0
# Those over connections that the next owner of a host's slots ends.
WRITERS_CALLS = frozenset({"append", "reserve", "held_for", "lock", "unlock", "locked_by"})
DIRECTORY_CALLS = frozenset({"heartbeat", "hosts"})
# Of the calls whose connection breaks before they took effect: those that still will.
ORPHANS_SHARE = 0.5
FIRST_TRADE = 7_300_000_000_000_001


async def _at_once() -> None:
    """Stores have no awaits of their own: a call takes effect at one moment."""


class Call:
    """One call of a process that is under way."""

    __slots__ = ("began_s", "done", "ended", "future", "link", "name", "work")

    def __init__(self, link: "Link", name: str, work: Callable[[], Awaitable[Any]], future: "asyncio.Future[Any]",
                 began_s: float) -> None:  # fmt: skip
        self.link = link
        self.name = name
        self.work = work
        self.future = future
        self.began_s = began_s
        # It took effect; or it never will.
        self.done = self.ended = False


class Database:
    """All tables, and the calls under way. ``funds`` by user; ``owners`` by copy."""

    def __init__(
        self, loop: SimulatedLoop, network: Network, dice: random.Random, trace: Trace, funds: Mapping[int, int],
        owners: Mapping[int, int],
    ) -> None:  # fmt: skip
        self.process = loop.process("database")
        self.network = network
        self.trace = trace
        self.down = False
        self._silent_until_s: dict[Process, float] = {}
        # Appends take so much longer (s).
        self.slow_s = 0.0
        weather = Weather()
        weather.pause = _at_once
        self.tables = MemoryTables()
        self.holds = MemoryHolds(funds, weather)
        house = {HOUSE: opened(HOUSE, HOUSE, "USDC")}
        self.holds.books = Books(self.holds.books.accounts | house)
        self.log = MemoryEventLog(self.tables, weather, self.holds)
        self.snapshots = MemorySnapshots(self.tables, weather)
        self.copy_locks = MemoryCopyLocks(owners, weather, self.tables)
        self.directory = MemoryDirectory(self.tables, lambda: [reference for reference, _ in self.holds.books.holds])
        self.settlements = MemorySettlements(self.tables, self.holds, weather)
        self.history = History(self.tables)
        self.executions = Executions(self)
        self.checks = Checks(self)
        self._trades = FIRST_TRADE - 1
        self.keys = MemoryIdempotencyKeys(self._new_id)
        self._dice = dice
        self._loop = loop
        self._calls: dict[Call, None] = {}
        self.logs: list[LogLink] = []

    def _new_id(self) -> int:
        self._trades += 1
        return self._trades

    # -- calls

    async def call(self, link: "Link", name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """The result of a store's method. Raises what that does, and StoreUnavailable."""
        now_s = self._loop.time()
        call = Call(link, name, work, self._loop.create_future(), now_s)
        self._calls[call] = None
        at_s = self.network.arrival(link.owner, self.process)
        if name == "append":
            at_s += self.slow_s * self._dice.random()
        if name in DIRECTORY_CALLS:
            at_s = max(at_s, self._silent_until_s.get(link.owner, 0.0))
        self.process.call_at(at_s, self._execute, call)
        if at_s - now_s >= TIMEOUT_S:
            link.owner.call_at(now_s + TIMEOUT_S, self._reply, call, None, StoreUnavailable("no answer in time"))
        return await call.future

    def _execute(self, call: Call) -> None:
        if call.ended:
            self._calls.pop(call, None)
            return
        if self.down:
            call.ended = True
            self._fail(call, "the database is away")
            return
        result, error = None, None
        try:
            result = _result_of(call.work())
        except (StoreError, Superseded) as refused:
            error = refused
        call.done = True
        owner = call.link.owner
        self.trace(f"db {owner} {call.name} {'' if error is None else type(error).__name__}")
        at_s = self.network.arrival(self.process, owner)
        if at_s - call.began_s >= TIMEOUT_S:
            at_s, result, error = call.began_s + TIMEOUT_S, None, StoreUnavailable("no answer in time")
        owner.call_at(at_s, self._reply, call, result, error)

    def _reply(self, call: Call, result: Any, error: Exception | None) -> None:
        if call.done or call.ended:
            # Others, whose callers wait no longer, may take effect still.
            self._calls.pop(call, None)
        if call.future.done():
            return
        if error is None:
            call.future.set_result(result)
        else:
            call.future.set_exception(error)

    def _fail(self, call: Call, reason: str) -> None:
        at_s = self._loop.time() + self.network.delay_s()
        call.link.owner.call_at(at_s, self._reply, call, None, StoreUnavailable(reason))

    # -- faults

    def directory_silent(self, owner: Process, for_s: float) -> None:
        """What this process asks the directory is held for this time."""
        self._silent_until_s[owner] = self._loop.time() + for_s

    def restart(self, for_s: float) -> None:
        """Away for this time. What has not taken effect never will; all replies are lost."""
        self.down = True
        for call in list(self._calls):
            call.ended = True
            self._fail(call, "the server has ended the connection")
        self._loop.call_later(for_s, self._back)

    def _back(self) -> None:
        self.down = False

    def cut(self, owner: Process) -> None:
        """All connections of this process break. Some of its calls will take effect nevertheless."""
        for call in list(self._calls):
            if call.link.owner is owner:
                if not call.done and self._dice.random() >= ORPHANS_SHARE:
                    call.ended = True
                self._fail(call, "the connection broke")

    def end_appends(self, concerned: Callable[["Link"], bool]) -> None:
        """As ``pg_terminate_backend``: calls of these links that have not taken effect never will.

        Where no append is under way the next one finds its connection closed.
        """
        for log in self.logs:
            log.terminated = log.terminated or concerned(log)
        for call in list(self._calls):
            if call.name in WRITERS_CALLS and not call.done and concerned(call.link):
                call.ended = True
                self._fail(call, "the backend was terminated")


def _result_of(work: Awaitable[Any]) -> Any:
    """The result of a coroutine that never waits."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    raise AssertionError("a store in memory waits for nothing")


class Link:
    """A store as one process sees it: each method is a call over the network."""

    def __init__(self, database: Database, owner: Process, store: Any, writer: str = "") -> None:
        self.owner = owner
        self.writer = writer
        self._database = database
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._store, name)

        def call(*args: Any, **named: Any) -> Awaitable[Any]:
            return self._database.call(self, name, lambda: method(*args, **named))

        return call


class HoldsLink(Link):
    """`persistence.ledger.bid_holds.BidHolds` of one host."""

    async def prepare(self) -> None:
        await self.reserve([])


class LogLink(Link):
    """`persistence.log.event_log.EventLog` of one host: after an append that failed it ends that before it reads."""

    _unresolved = False
    _connected = False
    # Its connection for appends was ended by another host.
    terminated = False
    confirm: Confirm

    async def open(self) -> None:
        self._database.logs.append(self)

    async def prepare_appends(self) -> None:
        await self.epoch()
        self._connected = True

    async def append(self, *batch: Any) -> bool:
        try:
            if not self._connected:
                await self._settle()
                self._connected, self.terminated = True, False
                await self.confirm(frozenset(row.entity for row in batch[0]))
            if self.terminated:
                raise StoreUnavailable("the connection was closed")
            done: bool = await self._database.call(self, "append", lambda: self._store.append(*batch))
        except StoreUnavailable:
            self._connected, self._unresolved = False, True
            raise
        return done

    async def find_keys(self, wanted: Any) -> Any:
        await self._settle()
        return await self._database.call(self, "find_keys", lambda: self._store.find_keys(wanted))

    async def tails(self, after: Any, limit_each: int) -> Any:
        await self._settle()
        return await self._database.call(self, "tails", lambda: self._store.tails(after, limit_each))

    async def end_writers(self, writers: Sequence[str]) -> None:
        """Also those of an earlier incarnation of this host."""
        await self._ended(lambda link: link.writer in writers and link is not self)

    async def _settle(self) -> None:
        if self._unresolved:
            await self._ended(lambda link: link is self)
            self._unresolved = False

    async def _ended(self, concerned: Callable[[Link], bool]) -> None:
        async def work() -> None:
            self._database.end_appends(concerned)

        await self._database.call(self, "end_writers", work)


class History:
    """`persistence.log.history.EntityHistory` over the tables."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    async def events_after(self, entity: int, after_seq: int, limit: int) -> list[LoggedEvent]:
        rows = [row for row in self._tables.events.get(entity, ()) if row.seq > after_seq][:limit]
        found = []
        for row in rows:
            kind = kind_of(row.kind)
            event = kind.codec.decode_event(row.body)
            found.append(LoggedEvent(row.epoch, row.seq, row.at, event, *kind.rules.public_event(event)))
        return found


class Checks:
    """`persistence.trades.checks.TradeChecks`: everybody takes offers, and has no cool-down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def facts(
        self, users: Sequence[int], copies: Sequence[int], proposer: int | None = None, offers_max: int = 0
    ) -> TradeFacts:
        owners, locks = self._database.copy_locks.owners, self._database.copy_locks.locks
        return TradeFacts(
            [TradeUser(user, f"n{user}", True, 0) for user in users],
            [TradeCopy(one, owners[one], "trade" if one in locks else "free", 1, 1, "common") for one in copies],
            False,
            0,
        )

    async def cool_down_ms(self, user: int) -> int:
        return 0

    async def is_known(self, trade: int, user: int, key: str) -> bool:
        return (trade, command_key(user, key)) in self._database.tables.keys


class Executions:
    """`persistence.trades.executing.Executions`, one trade after the other, for cards without royalties."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.decided: dict[int, Execute | Fail] = {}

    def confirmed(self) -> dict[int, int]:
        """The trades that are to be executed, with the place of the last confirmation in their logs."""
        rows = self._database.tables.summaries.values()
        found = {row.entity: row.seq for row in rows if row.kind == "trade" and not row.ended}
        return {one: seq for one, seq in found.items() if self.state_of(one).status is Status.CONFIRMED}

    def state_of(self, trade: int) -> Trade:
        """By the log."""
        kind, state = kind_of("trade"), None
        for row in self._database.tables.events[trade]:
            state = kind.rules.apply(state, kind.codec.decode_event(row.body))
        assert isinstance(state, Trade)
        return state

    async def execute(self, ordered: Mapping[int, int], now_ms: int) -> dict[int, Execute | Fail]:
        decided = {}
        for number in ordered:
            trade = self.state_of(number)
            if trade.status is Status.CONFIRMED:
                if number not in self.decided:
                    self.decided[number] = self._execute(number, trade, now_ms)
                decided[number] = self.decided[number]
        return decided

    def _execute(self, number: int, trade: Trade, now_ms: int) -> Execute | Fail:
        locks, holds = self._database.copy_locks, self._database.holds
        copies = {copy: SoldCopy(copy, 1, ()) for leg in trade.legs for copy in leg.copies}
        for leg in trade.legs:
            for copy in leg.copies:
                if (locks.owners[copy], locks.locks.get(copy)) != (leg.giver, number):
                    return Fail(COPY_MOVED_ON, copy)
        settlement = settle(trade.legs, copies, trade.terms.fee_bp, HOUSE)
        books = holds.books
        for user, _ in payments(trade.legs):
            books, _refusal = reserve_one(books, Reserve(held_for("trade", number), user, 0, 0), books.accounts[user])
        orders = [
            Transfer(transfer_id("trade", number, one.kind, one.payer, one.payee), one.payer, one.payee, one.amount,
                     one.kind, number)
            for one in settlement.payments
        ]  # fmt: skip
        books, outcomes = decide_all(books, orders, now_ms, together=True)
        for outcome in outcomes:
            if isinstance(outcome, Refusal) and outcome.code != SET_REFUSED:
                return Fail(outcome.code)
        holds.books = books
        for one in settlement.handovers:
            locks.owners[one.copy] = one.receiver
            locks.locks.pop(one.copy, None)
        return Execute(settlement.fee, settlement.royalties, 0, now_ms)


class SimulatedStores:
    """`actors.runtime.host_process.HostStores` of one host."""

    def __init__(self, database: Database, owner: Process, host_id: str, announcer: Any) -> None:
        self.log = LogLink(database, owner, database.log, host_id)
        self.holds = HoldsLink(database, owner, database.holds, host_id)
        self.copy_locks = Link(database, owner, database.copy_locks, host_id)
        self.announcer = announcer
        self._database, self._owner = database, owner

    def directory(self) -> Link:
        return Link(self._database, self._owner, self._database.directory)

    def snapshots(self) -> Link:
        return Link(self._database, self._owner, self._database.snapshots)

    def jobs(self) -> Any:
        return SimpleNamespace(add_again=_no_jobs)


async def _no_jobs(_: Any) -> None:
    """Those that follow summary rows concern the catalog."""
