"""The cost of the parts of a bid in one process, without the network: decide, encode, hash, commit."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from bench.cells import rate
from bench.definition import Bench, Context, Report, Table
from bench.loads.load import STARTING_PRICE, STEP
from domain.auction.commands import PlaceBid
from domain.auction.events import Event
from domain.auction.formats.english import ENGLISH
from domain.auction.state import Auction, apply
from domain.auction.terms import Terms
from domain.entity import Refusal
from domain.log.codec import HASH_BYTES, command_key, encode, first_hash, next_hash
from persistence.log.event_log import EventLog, EventRow
from persistence.summary_tables import SUMMARY_TABLES

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
SELLER = 1
BATCHES = (1, 100)
APPENDS = 200
# Enough for every append and the one before that isn't counted.
BIDS = (APPENDS + 1) * max(BATCHES)
# Ids that no real auction gets: real ones count from the time of their making.
AUCTION_ID_FIRST = 1


@dataclass(frozen=True)
class Bidding:
    """An auction bid on without a break, as events."""

    events: list[Event]
    decide_s: float
    apply_s: float


async def measure_micro(database_url: str) -> dict[str, Any]:
    """Figures by part: `{"about", "us" (microseconds each), "per_s"}`. Writes to the database: give it a fresh one."""
    bidding = run_auction(BIDS)
    rows, encode_s = encoded(bidding.events)
    shown = {
        "decide": _figures("decide a bid", bidding.decide_s, BIDS),
        "apply": _figures("apply its event to the state", bidding.apply_s, BIDS),
        "encode_and_hash": _figures("encode the event, chain its hash", encode_s, BIDS),
    }
    log = EventLog(database_url, SUMMARY_TABLES)
    await log.open()
    try:
        for number, batch in enumerate(BATCHES):
            auction = AUCTION_ID_FIRST + number
            seconds = await _append(log, auction, rows, batch)
            events = "1 event" if batch == 1 else f"{batch} events"
            shown[f"append_{batch}"] = _figures(f"commit {events} to PostgreSQL", seconds, APPENDS)
    finally:
        await log.close()
    return shown


def run_auction(bids: int) -> Bidding:
    """Decide and apply rising bids of two bidders by turns."""
    terms = Terms(1, SELLER, "seller", "Bench", STARTING_PRICE, NOW_MS, NOW_MS + DAY_MS, increments=((0, STEP),))
    auction: Auction | None = None
    for event in ENGLISH.open(terms, NOW_MS):
        auction = apply(auction, event)
    assert auction is not None
    events: list[Event] = []
    decide_s = apply_s = 0.0
    for number in range(bids):
        bid = PlaceBid(2 + number % 2, "bidder", STARTING_PRICE + 2 * STEP * (number + 1), f"key-{number}")
        from_s = time.perf_counter()
        decided = ENGLISH.decide(auction, bid, NOW_MS)
        decided_s = time.perf_counter()
        assert not isinstance(decided, Refusal), decided
        for event in decided:
            auction = apply(auction, event)
        apply_s += time.perf_counter() - decided_s
        decide_s += decided_s - from_s
        events += decided
    return Bidding(events, decide_s, apply_s)


def encoded(events: list[Event]) -> tuple[list[EventRow], float]:
    """The rows of the log, and the seconds that encoding and hashing took."""
    rows = []
    previous = first_hash(ENGLISH.kind, AUCTION_ID_FIRST)
    assert len(previous) == HASH_BYTES
    from_s = time.perf_counter()
    for seq, event in enumerate(events, 1):
        body = encode(event)
        previous = next_hash(previous, 1, seq, NOW_MS, body)
        rows.append(
            EventRow(AUCTION_ID_FIRST, ENGLISH.kind, seq, 1, NOW_MS, command_key(2, f"key-{seq}"), body, previous)
        )
    return rows, time.perf_counter() - from_s


async def _append(log: EventLog, auction: int, rows: list[EventRow], batch: int) -> float:
    """Seconds that APPENDS commits of `batch` events each took, one after the other."""
    own = [replace(row, entity=auction) for row in rows[: (APPENDS + 1) * batch]]
    # The first opens the connection and prepares the statement.
    await log.append(own[:batch])
    from_s = time.perf_counter()
    for start in range(batch, len(own), batch):
        await log.append(own[start : start + batch])
    return time.perf_counter() - from_s


def _figures(about: str, seconds: float, times: int) -> dict[str, Any]:
    return {"about": about, "us": round(seconds / times * 1e6, 2), "per_s": round(times / seconds, 1)}


def report(figures: Mapping[str, Any]) -> Report:
    """A row a part."""
    rows = [(part["about"], f"{part['us']:,.2f} µs", rate(part["per_s"])) for part in figures.values()]
    return Report(figures, [Table("Parts of a bid, in one process", ("part", "each", "per second"), rows)])


async def run(context: Context) -> Report:
    async with context.engine() as engine:
        return report(await measure_micro(engine.database_url))


micro = Bench(
    "micro",
    "Parts of a bid in one process: decide, encode and hash an event, append to PostgreSQL.",
    "These figures vary less than those of whole engines: they show which part a change affects.",
    (),
    run,
)
