"""Compares what traders received, and what they have now, with the logs of their trades.

Every difference is a violation.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.faults.checker import (
    BEHIND,
    FALSE_ACK,
    LOST,
    REFUSED,
    TWICE,
    UNASKED,
    UPDATE,
    Violation,
    log_findings,
    repeated_keys,
    updates_are_in_order,
)
from bench.faults.recording import ReceivedEvent, Seen
from bench.faults.trades.recording import Holdings, TradeAck, TradeOrder, TradeRecording
from domain.entity import Receipt
from domain.ids import id_text, parse_id
from domain.kinds import kind_of
from domain.ledger.books import HOUSE
from domain.log.chain import LogRow
from domain.log.codec import Unreadable
from domain.sales.settlement import SoldCopy
from domain.trade.events import Event, Executed, Offered, Reversed
from domain.trade.receipts import TradeResult, fingerprint, receipt
from domain.trade.rules import TradeRules
from domain.trade.settlement import settle
from domain.trade.state import Trade
from domain.trade.views import public_event

OWNER = "owner"
MONEY = "money"
HELD = "held"

_RULES = TradeRules()


class TradeLog:
    """One trade as the log has it. Rows that can't be read are the verifier's to name."""

    def __init__(self, trade: int, rows: Sequence[LogRow]) -> None:
        self.trade = trade
        self.rows = {row.seq: row for row in rows}
        self.events: dict[int, Event] = {}
        self.state: Trade | None = None
        self.receipts: defaultdict[tuple[int, str], list[tuple[int, Receipt]]] = defaultdict(list)
        for row in rows:
            try:
                event = self.events[row.seq] = kind_of("trade").codec.decode_event(row.body)
            except Unreadable:
                continue
            if isinstance(event, Offered) or self.state is not None:
                self.state = _RULES.apply(self.state, event)
            found = receipt(event)
            if found is not None:
                self.receipts[found.user, found.key].append((row.seq, found))

    @property
    def name(self) -> str:
        return id_text(self.trade)

    def count(self, kind: type[Event]) -> int:
        """How many events of this kind there are."""
        return sum(isinstance(event, kind) for event in self.events.values())


def trade_violations(
    recording: TradeRecording, logs: Mapping[int, TradeLog], before: Holdings, after: Holdings
) -> list[Violation]:
    """Every broken promise. ``logs``: all trades of the users; every command was answered, every execution is over.

    Only these trades have changed what the users have; their cards have no royalties.
    """
    found: list[Violation] = []
    sent = {(order.trade, order.user, order.key): order for order in recording.orders}
    for log in logs.values():
        found += _log_is_sound(log)
        found += _orders_are_those_that_were_sent(log, sent)
    found += _offers_are_those_that_were_sent(recording, logs)
    for ack in recording.acks:
        found += _ack_is_true(ack, logs)
    for order, code in recording.refused:
        if order.trade in logs and (places := _places(logs[order.trade], order)):
            detail = f"{order.command} was refused as {code} and stands in row {places[0][0]}"
            found.append(Violation(REFUSED, id_text(order.trade), detail))
    for seen in recording.seen:
        found += _updates_are_true(seen, logs[parse_id(seen.auction)])
    return found + list(_holdings_follow(logs.values(), before, after))


def _log_is_sound(log: TradeLog) -> Iterator[Violation]:
    yield from log_findings("trade", log.name, log.rows)
    yield from repeated_keys(log.name, log.receipts)
    if log.count(Executed) > 1:
        yield Violation(TWICE, log.name, f"it was executed {log.count(Executed)} times")


def _orders_are_those_that_were_sent(
    log: TradeLog, sent: Mapping[tuple[int, int, str], TradeOrder]
) -> Iterator[Violation]:
    for (user, key), places in log.receipts.items():
        order = sent.get((log.trade, user, key))
        for seq, found in places:
            if order is None or fingerprint(order.command) != found.fingerprint:
                yield Violation(UNASKED, log.name, f"row {seq} has {found}; sent was {order}")


def _offers_are_those_that_were_sent(recording: TradeRecording, logs: Mapping[int, TradeLog]) -> Iterator[Violation]:
    by_trade = {recording.offered[offer.key]: offer for offer in recording.offers if offer.key in recording.offered}
    for trade, offer in by_trade.items():
        first = logs[trade].events.get(1) if trade in logs else None
        if not isinstance(first, Offered):
            yield Violation(LOST, id_text(trade), f"an acknowledged offer is not in the log: {offer}")
        elif (first.terms.proposer, first.terms.legs) != (offer.by, offer.legs):
            yield Violation(FALSE_ACK, id_text(trade), f"the log has {first.terms}, sent was {offer}")
    for trade in logs.keys() - by_trade.keys():
        yield Violation(UNASKED, id_text(trade), "no answer to an offer names this trade")


def _places(log: TradeLog, order: TradeOrder) -> list[tuple[int, Receipt]]:
    return log.receipts.get((order.user, order.key), [])


def _ack_is_true(ack: TradeAck, logs: Mapping[int, TradeLog]) -> Iterator[Violation]:
    log = logs.get(ack.order.trade)
    places = [] if log is None else _places(log, ack.order)
    if log is None or not places:
        yield Violation(LOST, id_text(ack.order.trade), f"an acknowledged command is not in the log: {ack}")
        return
    seq, logged = places[0]
    received = (ack.seq, ack.at, TradeResult(ack.outcome, ack.hash, ack.number))
    if received != (seq, log.rows[seq].at, logged.result):
        yield Violation(FALSE_ACK, log.name, f"{received} was received for {ack.order}, row {seq} has {logged.result}")


def _updates_are_true(seen: Seen, log: TradeLog) -> Iterator[Violation]:
    for received in seen.received:
        event, row = log.events.get(received.seq), log.rows.get(received.seq)
        if event is None or row is None:
            yield Violation(UPDATE, log.name, f"a party received {received.seq}, which the log does not have")
        elif isinstance(received, ReceivedEvent) and (received.epoch, received.type, received.at) != (
            row.epoch, public_event(event)[0], row.at,
        ):  # fmt: skip
            yield Violation(UPDATE, log.name, f"a party received {received}, the log has {event}")
    yield from updates_are_in_order(seen)
    if seen.position[1] != max(log.rows, default=0):
        yield Violation(BEHIND, log.name, f"a party stands at {seen.position[1]}, the log at {max(log.rows)}")


# --- what the users have ---


def _holdings_follow(logs: Iterable[TradeLog], before: Holdings, after: Holdings) -> Iterator[Violation]:
    moves: defaultdict[int, Counter[int]] = defaultdict(Counter)
    money, held, locked = Counter[int](before.posted), Counter[int](), set[int]()
    for log in logs:
        if log.state is None:
            continue
        if log.count(Executed) and not _reversed(log):
            _execute(log.state, moves, money)
        for user, one in _RULES.reserved(log.state).items():
            held[user] += one.amount
            locked.update(one.copies)
    for copy, owner in after.owners.items():
        moves[copy][before.owners[copy]] += 1
        by_log = {user: count for user, count in moves[copy].items() if count}
        if by_log != {owner: 1}:
            yield Violation(OWNER, id_text(copy), f"{owner} has it, by the logs {by_log}")
    for user, posted in after.posted.items():
        if posted != money[user]:
            yield Violation(MONEY, id_text(user), f"{user} has {posted}, by the logs {money[user]}")
        if after.held[user] != held[user]:
            yield Violation(HELD, id_text(user), f"{after.held[user]} are held for {user}, by the logs {held[user]}")
    if after.locked != locked:
        yield Violation(HELD, "", f"copies {sorted(after.locked ^ locked)} are not as held as the logs say")


def _reversed(log: TradeLog) -> bool:
    return any(isinstance(event, Reversed) and event.code is None for event in log.events.values())


def _execute(state: Trade, moves: Mapping[int, Counter[int]], money: Counter[int]) -> None:
    copies = {copy: SoldCopy(copy, 0, ()) for leg in state.legs for copy in leg.copies}
    settlement = settle(state.legs, copies, state.terms.fee_bp, HOUSE)
    for one in settlement.handovers:
        moves[one.copy][one.giver] -= 1
        moves[one.copy][one.receiver] += 1
    for paid in settlement.payments:
        money[paid.payer] -= paid.amount
        money[paid.payee] += paid.amount
