"""Compares what clients were told with what the log holds. Every difference is a sentence."""

from collections.abc import Sequence

import asyncpg

from domain.auction.chain import LogRow
from domain.auction.codec import decode_event
from domain.auction.events import BidEvent, BoughtNow, Closed, Event
from domain.auction.verification import LogVerifier
from domain.auction.views import outcome_of, public_event
from domain.ids import parse_id
from tests.faults.recording import Recording


class AuctionLog:
    """One auction's rows, as PostgreSQL has them."""

    def __init__(self, auction: str, rows: Sequence[LogRow]) -> None:
        self.auction = auction
        self.rows = rows
        self.events: dict[int, Event] = {row.seq: decode_event(row.body) for row in rows}
        self.bids = {
            (event.name, event.key): (row.seq, event)
            for row in rows
            if isinstance(event := self.events[row.seq], BidEvent)
        }


async def read_logs(database_url: str, auctions: Sequence[str]) -> dict[str, AuctionLog]:
    """The whole logs of these auctions."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        logs = {}
        for auction in auctions:
            rows = await connection.fetch(
                "SELECT seq, epoch, at, command_key, body, hash FROM auction_events WHERE auction_id = $1 ORDER BY seq",
                parse_id(auction),
            )
            logs[auction] = AuctionLog(auction, [LogRow(**dict(row)) for row in rows])
        return logs
    finally:
        await connection.close()


def violations(recording: Recording, logs: dict[str, AuctionLog], *, closed: bool) -> list[str]:
    """Every broken promise: nothing lost, nothing twice, one order, one winner, every gap told."""
    found: list[str] = []
    for log in logs.values():
        found += _sound(log)
        found += _closed_once(log) if closed else []
    found += _acks(recording, logs)
    found += _refusals(recording, logs)
    found += _news(recording, logs)
    return found


def _sound(log: AuctionLog) -> list[str]:
    verifier = LogVerifier(parse_id(log.auction))
    for row in log.rows:
        verifier.feed(row)
    verdict = verifier.finish()
    found = [f"{log.auction}: {finding}" for finding in verdict.findings]
    keys = [(e.name, e.key) for e in log.events.values() if isinstance(e, BidEvent)]
    return found + [f"{log.auction}: key {key} was applied twice" for key in {k for k in keys if keys.count(k) > 1}]


def _closed_once(log: AuctionLog) -> list[str]:
    closings = [event for event in log.events.values() if isinstance(event, Closed)]
    return [] if len(closings) == 1 else [f"{log.auction}: closed {len(closings)} times"]


def _acks(recording: Recording, logs: dict[str, AuctionLog]) -> list[str]:
    found = []
    seqs: dict[tuple[str, int], str] = {}
    for ack in recording.acks:
        known = logs[ack.auction].bids.get((ack.bidder, ack.key))
        if known is None:
            found.append(f"LOST: acknowledged bid {ack} is not in the log")
            continue
        seq, event = known
        told = (ack.seq, ack.amount if not isinstance(event, BoughtNow) else event.maximum, ack.price, ack.outcome)
        if told != (seq, event.maximum, event.price, outcome_of(event)):
            found.append(f"{ack} differs from the log's row {seq}: {event}")
        other = seqs.setdefault((ack.auction, ack.seq), ack.key)
        if other != ack.key:
            found.append(f"{ack.auction}: row {ack.seq} was acknowledged for two keys")
    return found


def _refusals(recording: Recording, logs: dict[str, AuctionLog]) -> list[str]:
    return [
        f"{refused} is in the log nevertheless"
        for refused in recording.refused
        if (refused.bidder, refused.key) in logs[refused.auction].bids
    ]


def _news(recording: Recording, logs: dict[str, AuctionLog]) -> list[str]:
    found = []
    for seen in recording.seen:
        log = logs[seen.auction]
        found += [f"{seen.auction}: {gap}" for gap in seen.gaps]
        for _, seq, kind in seen.events:
            event = log.events.get(seq)
            if event is None or public_event(event)[0] != kind:
                found.append(f"{seen.auction}: a watcher was told of {kind} at {seq}, the log has {event}")
        last = log.rows[-1].seq
        if seen.position[1] != last:
            found.append(f"{seen.auction}: a watcher stands at {seen.position[1]}, the log at {last}")
    return found
