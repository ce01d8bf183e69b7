"""After a load: is everything that was acknowledged in the log, is every entry of the log justified, does the money add
up? In memory that does not grow with the run."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec

from bench.faults.auction_log import AuctionLog
from bench.faults.checker import LOG, UNASKED, Violation, part_violations, violations
from bench.faults.recording import Order, Recording, RefusedOrder
from bench.faults.run import LOSSES, ledger_violations
from bench.locust.results import BidAck, Result
from bench.report.sorted_acks import SortedAcks
from bench.wire.client import RETRIED_CODES
from domain.errors import ERRORS
from domain.ids import id_text, parse_id
from domain.kinds import kind_of
from domain.log.chain import LogRow
from domain.log.verification import LogVerifier
from persistence.log.event_log import EventLog
from persistence.postgres.guard import guarded
from persistence.summary_tables import SUMMARY_TABLES

CONNECTIONS_MAX = 2
# Rows that are compared with acks at once. An auction that has no more is checked with the state after each row.
WINDOW = 20_000
# Bids without an ack are kept in memory, so many.
UNACKED_MAX = 200_000
SHOWN_MAX = 100
AUCTION = "auction"
_ENTITIES = "SELECT entity_id, kind FROM entities WHERE entity_id > $1 ORDER BY entity_id LIMIT 1000"


class Checked(msgspec.Struct, frozen=True):
    """`lost`: acknowledged bids that are not in the log as they were acknowledged, or twice. `violations` has the first
    SHOWN_MAX, `by_kind` counts all. `unchecked`: refused bids beyond UNACKED_MAX, of which nothing was compared."""

    acks: int
    refused: int
    unchecked: int
    entities: int
    rows: int
    lost: int
    by_kind: dict[str, int]
    violations: list[Violation]


class Sent:
    """What the load sent, for the check: acks sorted on disk, the others in memory."""

    def __init__(self, acks: SortedAcks) -> None:
        self.acks = acks
        self.refused: defaultdict[str, list[RefusedOrder]] = defaultdict(list)
        # Whose outcome is unknown, or that were retried later.
        self.open: defaultdict[str, list[Order]] = defaultdict(list)
        self.unacked = 0

    def add(self, result: Result) -> None:
        if result.ack is not None:
            self.acks.add(result.ack)
        elif result.refused is not None and result.error is not None:
            self.unacked += 1
            if self.unacked <= UNACKED_MAX:
                self._add_refused(result.refused.refused(result.error))

    def _add_refused(self, refused: RefusedOrder) -> None:
        known = ERRORS.get(refused.code)
        if known is None or known.outcome_unknown or refused.code in RETRIED_CODES:
            self.open[refused.order.auction].append(refused.order)
        else:
            self.refused[refused.order.auction].append(refused)

    @property
    def unchecked(self) -> int:
        return max(0, self.unacked - UNACKED_MAX)

    def recording(self, auction: str, acks: list[BidAck]) -> Recording:
        """Of one auction, with these acks."""
        acked, refused = [ack.acked() for ack in acks], self.refused.get(auction, [])
        orders = [one.order for one in acked] + [one.order for one in refused] + self.open.get(auction, [])
        return Recording(orders=orders, acks=acked, refused=refused)


class _Found:
    """Violations, counted, and the first of them, but none of a kind to be ignored."""

    def __init__(self, ignored: frozenset[str]) -> None:
        self._ignored = ignored
        self.by_kind: Counter[str] = Counter()
        self.shown: list[Violation] = []
        self.rows = 0

    def add(self, found: Iterator[Violation] | list[Violation]) -> None:
        for one in found:
            if one.kind in self._ignored:
                continue
            self.by_kind[one.kind] += 1
            if len(self.shown) < SHOWN_MAX:
                self.shown.append(one)


async def check(database_url: str, sent: Sent) -> Checked:
    """Nobody may send any more. Raises StoreError when the log can't be read."""
    # A bid of which nothing is known may be in the log.
    found, seen = _Found(frozenset({UNASKED} if sent.unchecked else ())), set[str]()
    async with _log(database_url) as log:
        for auction, acks in sent.acks.by_auction():
            seen.add(auction)
            await _check_auction(log, auction, acks, sent, found)
        async for entity, kind in _entities(log):
            if id_text(entity) not in seen:
                seen.add(id_text(entity))
                if kind == AUCTION:
                    await _check_auction(log, id_text(entity), iter(()), sent, found)
                else:
                    await _check_log(log, entity, kind, found)
    found.add(await ledger_violations(database_url))
    lost = sum(count for kind, count in found.by_kind.items() if kind in LOSSES)
    refused = min(sent.unacked, UNACKED_MAX)
    return Checked(
        sent.acks.count, refused, sent.unchecked, len(seen), found.rows, lost, dict(found.by_kind), found.shown
    )


async def _check_auction(log: EventLog, auction: str, acks: Iterator[BidAck], sent: Sent, found: _Found) -> None:
    """Page by page, so that an auction may have any number of bids; `acks` are sorted by `seq`."""
    verifier = LogVerifier(kind_of(AUCTION), parse_id(auction))
    rows, waiting = await _window(log, parse_id(auction), 0), next(acks, None)
    whole = len(rows) < WINDOW
    while rows:
        found.rows += len(rows)
        of_window: list[BidAck] = []
        while waiting is not None and (whole or waiting.seq <= rows[-1].seq):
            of_window.append(waiting)
            waiting = next(acks, None)
        recording = sent.recording(auction, of_window)
        if whole:
            found.add(violations(recording, {auction: AuctionLog(auction, rows)}, closed=False))
            return
        found.add(part_violations(recording, AuctionLog(auction, rows)))
        for row in rows:
            verifier.feed(row)
        rows = await _window(log, parse_id(auction), rows[-1].seq)
    beyond = [] if waiting is None else [waiting, *acks]
    found.add(part_violations(sent.recording(auction, beyond), AuctionLog(auction, [])))
    found.add(_findings(verifier, auction))


async def _check_log(log: EventLog, entity: int, kind: str, found: _Found) -> None:
    verifier, last = LogVerifier(kind_of(kind), entity), 0
    while rows := await log.tail(entity, last):
        found.rows += len(rows)
        for row in rows:
            verifier.feed(LogRow(row.seq, row.epoch, row.at, row.command_key, row.body, row.hash))
        last = rows[-1].seq
    found.add(_findings(verifier, id_text(entity)))


def _findings(verifier: LogVerifier, entity: str) -> Iterator[Violation]:
    return (Violation(LOG, entity, finding.detail) for finding in verifier.finish().findings)


async def _window(log: EventLog, entity: int, after_seq: int) -> list[LogRow]:
    rows = await log.tail(entity, after_seq, WINDOW)
    return [LogRow(row.seq, row.epoch, row.at, row.command_key, row.body, row.hash) for row in rows]


@asynccontextmanager
async def _log(database_url: str) -> AsyncIterator[EventLog]:
    log = EventLog(database_url, SUMMARY_TABLES, pool_max=CONNECTIONS_MAX)
    await log.open()
    try:
        yield log
    finally:
        await log.close()


async def _entities(log: EventLog) -> AsyncIterator[tuple[int, str]]:
    last = 0
    while rows := await guarded(log.pool.fetch(_ENTITIES, last)):
        for entity, kind in rows:
            yield entity, kind
        last = rows[-1][0]
