"""Compares what clients received with the log. Every difference is a violation, with a kind."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgspec

from bench.faults.auction_log import AuctionLog
from bench.faults.recording import Acked, ReceivedEvent, ReceivedState, Recording, RefusedOrder, Seen
from domain.auction.commands import PlaceBid
from domain.auction.events import BoughtNow, Cancelled, Closed, Settled
from domain.auction.refusal import refused as refusal
from domain.auction.rules import AUCTIONS
from domain.auction.state import Auction
from domain.auction.views import outcome_of, public_event
from domain.errors import ALREADY_LEADING, AUCTION_CLOSED, AUCTION_NOT_OPEN, BID_TOO_LOW
from domain.ids import parse_id
from domain.kinds import kind_of
from domain.log.chain import LogRow
from domain.log.verification import LogVerifier

LOST = "lost"
FALSE_ACK = "false ack"
TWICE = "twice"
UNASKED = "unasked"
ORDER = "order"
REFUSED = "refused and done"
STALE_REFUSAL = "stale refusal"
GAP = "gap"
UPDATE = "update"
STATE = "state"
BEHIND = "behind"
CLOSING = "closing"
TIME = "time"
LOG = "log"

_UNFUNDED = "insufficient_funds"
# What a refusal of the rules says depends on the state: it must be one that the log had.
_JUDGED = frozenset({ALREADY_LEADING, AUCTION_CLOSED, AUCTION_NOT_OPEN, BID_TOO_LOW})
# Not facts about the auction but about the frame or the placement.
_UNCOMPARED = frozenset({"server_time", "placement"})


@dataclass(frozen=True)
class Violation:
    """One broken promise. `kind` is one of the constants above, `detail` is for people."""

    kind: str
    auction: str
    detail: str


def violations(recording: Recording, logs: Mapping[str, AuctionLog], *, closed: bool) -> list[Violation]:
    """Every broken promise: nothing lost, nothing twice, one order, one winner, no gap without notice.

    `closed`: every auction was ended, and every watcher had the time to receive it.
    """
    found: list[Violation] = []
    for log in logs.values():
        found += _log_is_sound(log)
        found += _bids_are_those_that_were_sent(log, recording)
        if closed:
            found += _closed_once(log)
    acks = _by_auction(recording)
    for auction, received in acks.items():
        found += (each for ack in received for each in _ack_is_true(ack, logs[auction]))
        found += _acks_follow_each_other(auction, received)
    acked = {auction: _Highest(received) for auction, received in acks.items()}
    for refused in recording.refused:
        found += _refusal_is_true(refused, logs[refused.order.auction], acked)
    for seen in recording.seen:
        found += _updates_are_true(seen, logs[seen.auction])
        found += updates_are_in_order(seen)
        if closed:
            found += _updates_are_complete(seen, logs[seen.auction])
    return found


def part_violations(recording: Recording, part: AuctionLog) -> Iterator[Violation]:
    """Of consecutive rows of a log that need not begin with the first: the acks in `recording`, which are those of
    these rows, are true, and each bid in these rows was sent and not refused."""
    yield from _bids_are_those_that_were_sent(part, recording)
    for ack in recording.acks:
        yield from _ack_is_true(ack, part)
    yield from _acks_follow_each_other(part.auction, recording.acks)
    for refused in recording.refused:
        yield from _refused_is_not_done(refused, part)


def _by_auction(recording: Recording) -> defaultdict[str, list[Acked]]:
    acks: defaultdict[str, list[Acked]] = defaultdict(list)
    for ack in recording.acks:
        acks[ack.order.auction].append(ack)
    return acks


# --- the log by itself ---


def _log_is_sound(log: AuctionLog) -> Iterator[Violation]:
    yield from log_findings("auction", log.auction, log.rows)
    yield from repeated_keys(log.auction, log.bids)


def log_findings(kind: str, entity: str, rows: Mapping[int, LogRow]) -> Iterator[Violation]:
    """What the verifier finds in the log of an entity of any kind."""
    verifier = LogVerifier(kind_of(kind), parse_id(entity))
    for seq in sorted(rows):
        verifier.feed(rows[seq])
    for finding in verifier.finish().findings:
        yield Violation(TIME if finding.kind == "time" else LOG, entity, finding.detail)


def repeated_keys(entity: str, rows_by_key: Mapping[tuple[Any, str], Sequence[tuple[int, Any]]]) -> Iterator[Violation]:
    """Keys of a user that stand in several rows; each row with its number."""
    for (user, key), places in rows_by_key.items():
        if len(places) > 1:
            yield Violation(TWICE, entity, f"{user}'s key {key} stands in rows {[seq for seq, _ in places]}")


def _bids_are_those_that_were_sent(log: AuctionLog, recording: Recording) -> Iterator[Violation]:
    """Of the bidders that were recorded; others may bid as well."""
    amounts = {(o.bidder, o.key): o.amount for o in recording.orders if o.auction == log.auction}
    bidders = {order.bidder for order in recording.orders}
    for (bidder, key), places in log.bids.items():
        for seq, event in places:
            if bidder not in bidders or isinstance(event, BoughtNow):
                continue
            if amounts.get((bidder, key)) != event.maximum:
                detail = f"row {seq} has a bid of {event.maximum} by {bidder} with key {key}, who sent none like it"
                yield Violation(UNASKED, log.auction, detail)


def _closed_once(log: AuctionLog) -> Iterator[Violation]:
    if any(isinstance(event, Cancelled) for event in log.events.values()):
        return
    if len(log.closings) != 1:
        winners = [closing.winner_name for _, closing in log.closings]
        yield Violation(CLOSING, log.auction, f"it was closed {len(log.closings)} times, winners {winners}")
        return
    later = [event for seq, event in log.events.items() if seq > log.closings[0][0]]
    if any(not isinstance(event, Settled) for event in later):
        yield Violation(CLOSING, log.auction, f"closed at row {log.closings[0][0]}, and went on to {log.last_seq}")
    elif len(later) > 1:
        yield Violation(CLOSING, log.auction, f"settled {len(later)} times")


# --- answers ---


def _ack_is_true(ack: Acked, log: AuctionLog) -> Iterator[Violation]:
    order = ack.order
    places = log.bids.get((order.bidder, order.key))
    if not places:
        yield Violation(LOST, log.auction, f"an acknowledged bid is not in the log: {ack}")
        return
    seq, event = places[0]
    received = (ack.seq, ack.at, order.amount, ack.outcome, ack.price, ack.minimum, ack.ends_at)
    maximum = order.amount if isinstance(event, BoughtNow) else event.maximum
    row = (seq, log.rows[seq].at, maximum, outcome_of(event), event.price, event.minimum, event.ends_at)
    if received != row:
        detail = f"{order.bidder} received {received} for key {order.key}, the log has {row}"
        yield Violation(FALSE_ACK, log.auction, detail)


def _acks_follow_each_other(auction: str, acks: list[Acked]) -> Iterator[Violation]:
    """What was answered before another bid was sent has the lower number, whoever sent them."""
    by_row: dict[int, Acked] = {}
    for ack in acks:
        other = by_row.setdefault(ack.seq, ack)
        if other.order.key != ack.order.key:
            detail = f"row {ack.seq} was acknowledged for two keys, {other.order.key} and {ack.order.key}"
            yield Violation(FALSE_ACK, auction, detail)
    highest_before = _Highest(acks)
    for ack in acks:
        before = highest_before(ack.order.sent_ns)
        if before >= ack.seq:
            detail = f"row {before} was acknowledged before the bid at row {ack.seq} was sent"
            yield Violation(ORDER, auction, detail)


class _Highest:
    """The highest row that had been acknowledged at a time."""

    def __init__(self, acks: list[Acked]) -> None:
        answered = sorted((ack.answered_ns, ack.seq) for ack in acks)
        self._times = [at for at, _ in answered]
        self._highest = list(accumulate((seq for _, seq in answered), max))

    def __call__(self, at_ns: int) -> int:
        place = bisect_left(self._times, at_ns)
        return self._highest[place - 1] if place else 0


def _was_funded_since(refused: RefusedOrder, taken_at: int) -> bool:
    """Whoever lacked the funds may send the same bid again once they have them, and it may count then."""
    return refused.code == _UNFUNDED and refused.server_time is not None and taken_at >= refused.server_time


def _refused_is_not_done(refused: RefusedOrder, log: AuctionLog) -> Iterator[Violation]:
    order = refused.order
    places = log.bids.get((order.bidder, order.key))
    if places and not _was_funded_since(refused, log.rows[places[0][0]].at):
        detail = f"{order.bidder}'s key {order.key} was refused as {refused.code} and stands in row {places[0][0]}"
        yield Violation(REFUSED, log.auction, detail)


def _refusal_is_true(refused: RefusedOrder, log: AuctionLog, acked: Mapping[str, _Highest]) -> Iterator[Violation]:
    yield from _refused_is_not_done(refused, log)
    order = refused.order
    if refused.code not in _JUDGED or not log.states:
        return
    # Whatever was acknowledged before it was sent, to whom ever, was decided before.
    highest = acked.get(order.auction)
    since_seq = 1 if highest is None else max(1, highest(order.sent_ns))
    if not _was_refused_by_the_rules(refused, log, since_seq):
        detail = (
            f"{order.bidder}'s bid of {order.amount} was refused as {refused.code} at price {refused.price},"
            f" minimum {refused.minimum}: no state from row {since_seq} on gives that"
        )
        yield Violation(STALE_REFUSAL, log.auction, detail)


def _was_refused_by_the_rules(refused: RefusedOrder, log: AuctionLog, since_seq: int) -> bool:
    seqs = range(since_seq, len(log.states) + 1)
    candidates = seqs if refused.price is None else log.standing_at(refused.price, since_seq)
    expected = refusal(refused.code, refused.price, refused.minimum)
    now_ms = refused.server_time or 0
    return any(_decision(log.states[seq], refused, now_ms) == expected for seq in candidates if seq in log.states)


def _decision(auction: Auction, refused: RefusedOrder, now_ms: int) -> object:
    order = refused.order
    # The public name stands for the bidder: recordings know no numbers.
    bidder = auction.leader if auction.leader is not None and auction.leader_name == order.bidder else -1
    return AUCTIONS.decide(auction, PlaceBid(bidder, order.bidder, order.amount, order.key), now_ms)


# --- updates ---


def _updates_are_true(seen: Seen, log: AuctionLog) -> Iterator[Violation]:
    for received in seen.received:
        fault = _event_fault(received, log) if isinstance(received, ReceivedEvent) else _state_fault(received, log)
        if fault is not None:
            yield Violation(UPDATE if isinstance(received, ReceivedEvent) else STATE, log.auction, fault)


def _event_fault(received: ReceivedEvent, log: AuctionLog) -> str | None:
    event, row = log.events.get(received.seq), log.rows.get(received.seq)
    if event is None or row is None:
        return f"a watcher received {received.type} at {received.seq}, which the log does not have"
    kind, data = public_event(event)
    expected = (row.epoch, kind, row.at, data)
    if (received.epoch, received.type, received.at, dict(received.data)) != expected:
        return f"a watcher received {received}, the log has {expected}"
    return None


def _state_fault(received: ReceivedState, log: AuctionLog) -> str | None:
    auction, row = log.states.get(received.seq), log.rows.get(received.seq)
    if row is None:
        return f"a watcher received the state after {received.seq}, which the log does not have"
    if auction is None:
        return None
    expected: dict[str, Any] = msgspec.to_builtins(AUCTIONS.public_state(auction, 0, "shared"))
    wrong = {
        name: (received.state.get(name), expected.get(name))
        for name in expected.keys() | received.state.keys()
        if name not in _UNCOMPARED and received.state.get(name) != expected.get(name)
    }
    if received.epoch != row.epoch:
        wrong["epoch"] = (received.epoch, row.epoch)
    return f"a watcher received {wrong} (received, logged) after row {received.seq}" if wrong else None


def updates_are_in_order(seen: Seen) -> Iterator[Violation]:
    yield from (Violation(GAP, seen.auction, f"a watcher missed something: {missed}") for missed in seen.missed)
    latest = 0
    for event in seen.events:
        if event.at < latest:
            detail = f"a watcher received {event.type} at {event.seq}, {latest - event.at} ms before the last event"
            yield Violation(TIME, seen.auction, detail)
        latest = max(latest, event.at)


def _updates_are_complete(seen: Seen, log: AuctionLog) -> Iterator[Violation]:
    if seen.position[1] != log.last_seq:
        detail = f"a watcher stands at {seen.position[1]}, the log at {log.last_seq}"
        yield Violation(BEHIND, seen.auction, detail)
    last = log.events.get(log.last_seq)
    final = seen.received[-1] if seen.received else None
    ended = isinstance(final, ReceivedState) and final.state.get("status") in ("closed", "cancelled")
    if isinstance(last, (Closed, Cancelled, Settled)) and isinstance(final, ReceivedState) and not ended:
        yield Violation(CLOSING, seen.auction, "a watcher's last state does not say that the auction has ended")
