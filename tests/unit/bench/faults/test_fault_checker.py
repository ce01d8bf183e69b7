"""The checker of fault runs: a true history has no violation, and each kind of false one is found."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from auction_examples import AUCTION, terms
from auction_requests import public

from bench.faults import checker
from bench.faults.auction_log import AuctionLog
from bench.faults.checker import violations
from bench.faults.recording import Acked, Order, ReceivedEvent, ReceivedState, Recording, RefusedOrder, Seen
from domain.auction.commands import CloseEarly, PlaceBid, Settle
from domain.auction.events import BidEvent, Event
from domain.auction.formats.english import ENGLISH
from domain.auction.state import Auction, apply
from domain.auction.views import outcome_of, public_event
from domain.entity import Refusal
from domain.ids import id_text
from domain.log.chain import LogRow
from domain.log.codec import command_key, encode, first_hash, next_hash

ID = id_text(AUCTION)
STARTS_AT = 1_000
USD = 1_000_000
NUMBERS = {"ann": 11, "bob": 12}


class History:
    """An auction, its log, and what two bidders and a watcher received; time goes on by 10 with each step."""

    def __init__(self) -> None:
        self.recording = Recording()
        self.rows: list[LogRow] = []
        self.auction: Auction | None = None
        self.now = STARTS_AT
        self._log(ENGLISH.open(terms(starts_at=STARTS_AT, ends_at=STARTS_AT + 3_600_000), self.now))
        self.seen = Seen(ID)
        self.recording.seen.append(self.seen)
        self.seen.receive_state(self.state(), answer=True)

    def bid(self, bidder: str, key: str, amount: int) -> None:
        """One bid that is decided, logged, answered and published."""
        self.now += 10
        order = Order(ID, bidder, key, amount, sent_ns=self.now)
        self.recording.orders.append(order)
        assert self.auction is not None
        decided = ENGLISH.decide(self.auction, PlaceBid(NUMBERS[bidder], bidder, amount, key), self.now)
        if isinstance(decided, Refusal):
            refused = RefusedOrder(
                order, decided.code, decided.details.get("price"), decided.details.get("minimum"), self.now
            )
            self.recording.refused.append(refused)
            return
        [first, *_] = self._log(decided)
        event = decided[0]
        assert isinstance(event, BidEvent)
        self.recording.acks.append(
            Acked(order, self.now + 5, first, self.now, outcome_of(event), event.price, event.minimum, event.ends_at)
        )
        self.notify(first)

    def close(self) -> None:
        self.now += 10
        assert self.auction is not None
        decided = ENGLISH.decide(self.auction, CloseEarly(by=1), self.now)
        assert isinstance(decided, list)
        [seq] = self._log(decided)
        self.notify(seq)

    def settle(self) -> None:
        self.now += 10
        assert self.auction is not None
        assert self.auction.winner is not None
        decided = ENGLISH.decide(self.auction, Settle(self.auction.winner, self.auction.price, 5, 0), self.now)
        assert isinstance(decided, list)
        [seq] = self._log(decided)
        self.notify(seq)

    def notify(self, seq: int) -> None:
        """The watcher is notified of this row."""
        self.seen.receive_event(self.event(seq))

    def event(self, seq: int) -> ReceivedEvent:
        row = self.rows[seq - 1]
        kind, data = public_event(self.log().events[seq])
        return ReceivedEvent(row.epoch, seq, kind, row.at, data)

    def state(self) -> ReceivedState:
        assert self.auction is not None
        return ReceivedState(1, len(self.rows), msgspec.to_builtins(public(self.auction, self.now)))

    def log(self) -> AuctionLog:
        return AuctionLog(ID, self.rows)

    def kinds(self) -> set[str]:
        return {found.kind for found in violations(self.recording, {ID: self.log()}, closed=True)}

    def _log(self, events: list[Event], at: int | None = None) -> list[int]:
        for event in events:
            previous = self.rows[-1].hash if self.rows else first_hash("auction", AUCTION)
            seq, body, at_ms = len(self.rows) + 1, encode(event), self.now if at is None else at
            key = command_key(event.bidder, event.key) if isinstance(event, BidEvent) else None
            self.rows.append(LogRow(seq, 1, at_ms, key, body, next_hash(previous, 1, seq, at_ms, body)))
            self.auction = apply(self.auction, event)
        return list(range(len(self.rows) - len(events) + 1, len(self.rows) + 1))

    def log_again(self, seq: int) -> None:
        """The same event once more, at the end."""
        self._log([self.log().events[seq]])

    def log_late(self, seq: int) -> None:
        """The last rows from this one on, written again with a time that lies before the others."""
        events = [self.log().events[n] for n in range(seq, len(self.rows) + 1)]
        del self.rows[seq - 1 :]
        self._log(events, at=STARTS_AT - 1)


def a_true_history() -> History:
    """Rows: 1 listed, 2 opened, 3 to 5 bids, 6 closed. One bid was refused, one was answered again."""
    history = History()
    history.bid("ann", "a1", 5 * USD)
    history.bid("bob", "b1", 4 * USD)
    history.bid("bob", "b2", USD)
    history.bid("bob", "b3", 9 * USD)
    history.recording.acks.append(replace(history.recording.acks[-1], answered_ns=history.now + 8, duplicate=True))
    history.close()
    return history


def test_a_true_history_breaks_no_promise():
    history = a_true_history()
    assert [len(history.rows), len(history.recording.acks), len(history.recording.refused)] == [6, 4, 1]
    assert violations(history.recording, {ID: history.log()}, closed=True) == []


def test_a_watcher_that_was_given_states_in_place_of_events_saw_no_violation():
    history = a_true_history()
    history.seen.received[1:] = [history.state()]
    assert history.kinds() == set()


def test_what_other_people_bid_is_no_business_of_the_recording():
    history = a_true_history()
    history.recording.orders = [order for order in history.recording.orders if order.bidder == "bob"]
    history.recording.acks = [ack for ack in history.recording.acks if ack.order.bidder == "bob"]
    assert history.kinds() == set()


def ack(history: History, number: int, **changed: Any) -> None:
    history.recording.acks[number] = replace(history.recording.acks[number], **changed)


def refusal(history: History, **changed: Any) -> None:
    history.recording.refused[0] = replace(history.recording.refused[0], **changed)


def receive(history: History, number: int, **changed: Any) -> None:
    history.seen.received[number] = replace(history.seen.received[number], **changed)


def lost_ack(history: History) -> None:
    order = Order(ID, "ann", "a2", 20 * USD, history.now)
    history.recording.orders.append(order)
    history.recording.acks.append(Acked(order, history.now + 1, 7, history.now, "leading", 1, 1, 1))


def refused_order(history: History, bidder: str, amount: int, code: str, price: int, minimum: int) -> None:
    order = Order(ID, bidder, "late", amount, history.now)
    history.recording.orders.append(order)
    history.recording.refused.append(RefusedOrder(order, code, price, minimum, history.now))


def refused_but_logged(history: History) -> None:
    first = history.recording.acks.pop(0)
    history.recording.refused.append(RefusedOrder(first.order, "overloaded", None, None, None))


def unfunded_though_logged(history: History) -> None:
    first = history.recording.acks.pop(0)
    history.recording.refused.append(RefusedOrder(first.order, "insufficient_funds", None, None, history.now + 1))


def acks_out_of_order(history: History) -> None:
    """Row 5 was acknowledged before the bid at row 3 was sent."""
    ack(history, 0, order=replace(history.recording.acks[0].order, sent_ns=history.now + 100))


def untold_gap(history: History) -> None:
    history.seen.received, history.seen.position = history.seen.received[:1], (1, 2)
    history.notify(4)
    history.notify(5)
    history.notify(6)


def taken_back(history: History) -> None:
    history.seen.receive_state(ReceivedState(1, 2, history.seen.states[0].state), answer=True)


def never_told_the_last_word(history: History) -> None:
    history.seen.received.pop()
    history.seen.position = (1, 5)


def a_row_less(history: History) -> None:
    del history.rows[3]


def a_row_changed(history: History) -> None:
    history.rows[3] = msgspec.structs.replace(history.rows[3], body=history.rows[2].body)


def told_of_an_earlier_time(history: History) -> None:
    receive(history, 2, at=STARTS_AT - 5)


def told_another_state(history: History) -> None:
    state = history.state()
    history.seen.receive_state(ReceivedState(1, 6, {**state.state, "price": 1}))


def told_that_a_closed_auction_is_open(history: History) -> None:
    state = history.state()
    history.seen.receive_state(ReceivedState(1, 6, {**state.state, "status": "open"}))


def unasked(history: History) -> None:
    history.recording.orders.pop(1)


def settled_twice(history: History) -> None:
    history.settle()
    history.log_again(7)
    history.notify(8)


def closed_twice(history: History) -> None:
    history.log_again(6)


def not_closed(history: History) -> None:
    history.rows.pop()
    history.seen.received.pop()
    history.seen.position = (1, 5)


def ack_of_a_row_of_another(history: History) -> None:
    ack(history, 0, seq=4)


BROKEN: list[tuple[Callable[[History], None], str]] = [
    (lost_ack, checker.LOST),
    (lambda h: ack(h, 0, price=2 * USD), checker.FALSE_ACK),
    (lambda h: ack(h, 0, minimum=1), checker.FALSE_ACK),
    (lambda h: ack(h, 0, at=1), checker.FALSE_ACK),
    (lambda h: ack(h, 1, outcome="leading"), checker.FALSE_ACK),
    (lambda h: ack(h, 3, seq=6), checker.FALSE_ACK),
    (ack_of_a_row_of_another, checker.FALSE_ACK),
    (lambda h: h.log_again(5), checker.TWICE),
    (unasked, checker.UNASKED),
    (acks_out_of_order, checker.ORDER),
    (refused_but_logged, checker.REFUSED),
    (unfunded_though_logged, checker.REFUSED),
    (lambda h: refusal(h, price=7 * USD), checker.STALE_REFUSAL),
    (lambda h: refusal(h, minimum=7 * USD), checker.STALE_REFUSAL),
    (lambda h: refusal(h, code="already_leading"), checker.STALE_REFUSAL),
    # At its price of row 3, which bob knew to be past: his own bid at row 4 had been acknowledged.
    (lambda h: refused_order(h, "bob", 1, "bid_too_low", USD, 1_250_000), checker.STALE_REFUSAL),
    # It would have been enough in every state there was.
    (lambda h: refused_order(h, "ann", 90 * USD, "bid_too_low", USD, 1_250_000), checker.STALE_REFUSAL),
    (untold_gap, checker.GAP),
    (taken_back, checker.GAP),
    (lambda h: receive(h, 1, data={}), checker.UPDATE),
    (lambda h: receive(h, 1, type="closed"), checker.UPDATE),
    (lambda h: receive(h, 1, epoch=2), checker.UPDATE),
    (lambda h: receive(h, 1, seq=60), checker.UPDATE),
    (told_another_state, checker.STATE),
    (told_that_a_closed_auction_is_open, checker.CLOSING),
    (never_told_the_last_word, checker.BEHIND),
    (closed_twice, checker.CLOSING),
    (settled_twice, checker.CLOSING),
    (not_closed, checker.CLOSING),
    (told_of_an_earlier_time, checker.TIME),
    (lambda h: h.log_late(5), checker.TIME),
    (a_row_less, checker.LOG),
    (a_row_changed, checker.LOG),
]


def test_a_sale_that_was_settled_breaks_no_promise():
    history = a_true_history()
    history.settle()
    assert violations(history.recording, {ID: history.log()}, closed=True) == []


def test_a_bid_that_lacked_funds_may_be_taken_when_it_comes_again():
    history = a_true_history()
    order = history.recording.acks[0].order
    history.recording.refused.append(RefusedOrder(order, "insufficient_funds", None, None, STARTS_AT))
    assert violations(history.recording, {ID: history.log()}, closed=True) == []


@pytest.mark.parametrize(("breakage", "kind"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_each_broken_promise_is_found_and_named(breakage: Callable[[History], None], kind: str):
    history = a_true_history()
    breakage(history)
    assert kind in history.kinds()


def test_every_kind_of_violation_is_shown_to_be_found():
    constants = {value for name, value in vars(checker).items() if name.isupper() and isinstance(value, str)}
    names_of_codes = {"bid_too_low", "already_leading", "auction_closed", "auction_not_open", "insufficient_funds"}
    assert {kind for _, kind in BROKEN} == constants - names_of_codes


def test_a_bid_that_was_sent_again_may_be_answered_after_later_ones():
    history = a_true_history()
    late = history.recording.acks[0]
    history.recording.acks.append(replace(late, answered_ns=history.now + 1_000, duplicate=True))
    assert history.kinds() == set()
