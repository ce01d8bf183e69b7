"""One auction as the log has it: its rows, and the state after each."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from domain.auction.events import BidEvent, Closed, Event
from domain.auction.state import Auction, apply
from domain.ids import parse_id
from domain.kinds import kind_of
from domain.log.chain import LogRow
from domain.log.codec import Unreadable
from persistence.log.event_log import EventLog
from persistence.summary_tables import SUMMARY_TABLES

CONNECTIONS_MAX = 2


class AuctionLog:
    """Made from the rows in the order of `seq`. Rows that can't be read or applied are the verifier's to name."""

    def __init__(self, auction: str, rows: Sequence[LogRow]) -> None:
        self.auction = auction
        self.rows = {row.seq: row for row in rows}
        self.events: dict[int, Event] = {}
        self.bids: dict[tuple[str, str], list[tuple[int, BidEvent]]] = defaultdict(list)
        self.closings: list[tuple[int, Closed]] = []
        # The states that rules and rows agree on: up to the first row that is missing or unreadable.
        self.states: dict[int, Auction] = {}
        self._seqs_by_price: dict[int, list[int]] = defaultdict(list)
        self._read(rows)
        self._follow(rows)

    @property
    def last_seq(self) -> int:
        return max(self.rows, default=0)

    def standing_at(self, price: int, since_seq: int) -> list[int]:
        """The rows from `since_seq` on after which the price was this one."""
        seqs = self._seqs_by_price.get(price, [])
        return seqs[bisect_left(seqs, since_seq) :]

    def _read(self, rows: Sequence[LogRow]) -> None:
        for row in rows:
            try:
                event = kind_of("auction").codec.decode_event(row.body)
            except Unreadable:
                continue
            self.events[row.seq] = event
            if isinstance(event, BidEvent):
                self.bids[event.name, event.key].append((row.seq, event))
            elif isinstance(event, Closed):
                self.closings.append((row.seq, event))

    def _follow(self, rows: Sequence[LogRow]) -> None:
        if not rows or rows[0].seq != 1:
            return
        end = next((one.seq for one, other in pairwise(rows) if other.seq != one.seq + 1), rows[-1].seq)
        auction: Auction | None = None
        for seq in range(1, end + 1):
            try:
                auction = apply(auction, self.events[seq])
            except (KeyError, AssertionError):
                return
            self.states[seq] = auction
            self._seqs_by_price[auction.price].append(seq)


async def read_logs(database_url: str, auctions: Sequence[str]) -> dict[str, AuctionLog]:
    """The whole logs of these auctions. Raises StoreUnavailable."""
    rows = await read_rows(database_url, [parse_id(auction) for auction in auctions])
    return {auction: AuctionLog(auction, rows[parse_id(auction)]) for auction in auctions}


async def read_rows(database_url: str, entities: Sequence[int]) -> dict[int, list[LogRow]]:
    """All rows of the logs of these entities. Raises StoreUnavailable."""
    log = EventLog(database_url, SUMMARY_TABLES, pool_max=CONNECTIONS_MAX)
    await log.open()
    try:
        return {entity: await _rows(log, entity) for entity in entities}
    finally:
        await log.close()


async def _rows(log: EventLog, entity: int) -> list[LogRow]:
    rows: list[LogRow] = []
    while page := await log.tail(entity, rows[-1].seq if rows else 0):
        rows += [LogRow(row.seq, row.epoch, row.at, row.command_key, row.body, row.hash) for row in page]
    return rows
