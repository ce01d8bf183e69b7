"""The checker of trades: a true history has no violation, and each kind of false one is found."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from bench.faults import checker
from bench.faults.recording import ReceivedEvent, ReceivedState, Seen
from bench.faults.trades.checker import HELD, MONEY, OWNER, TradeLog, trade_violations
from bench.faults.trades.recording import Holdings, Offer, TradeAck, TradeOrder, TradeRecording
from domain.entity import Refusal
from domain.ids import id_text
from domain.log.chain import LogRow
from domain.log.codec import command_key, encode, first_hash, next_hash
from domain.trade.commands import Accept, Command, Confirm, Execute
from domain.trade.events import Event
from domain.trade.receipts import TradeResult, receipt
from domain.trade.rules import TradeRules
from domain.trade.state import Trade
from domain.trade.terms import Leg, Party, Terms, terms_hash
from domain.trade.views import public_event

TRADE, ANN, BOB, HERS, HIS = 77, 11, 12, 21, 22
USD = 1_000_000
# 2.5 % of the money of the trade.
FEE = USD // 40
RULES = TradeRules()
LEGS = (Leg(ANN, BOB, (HERS,)), Leg(BOB, ANN, (HIS,), USD))
BEFORE = Holdings({HERS: ANN, HIS: BOB}, frozenset(), {ANN: 0, BOB: 5 * USD}, {ANN: 0, BOB: 0})


class History:
    """A trade from the offer to its execution: its log, and what its parties sent, received and have afterwards."""

    def __init__(self) -> None:
        self.recording = TradeRecording()
        self.rows: list[LogRow] = []
        self.trade: Trade | None = None
        self.now = 1_000
        self.seen = Seen(id_text(TRADE))
        self.recording.seen.append(self.seen)
        self.after = Holdings(
            {HERS: BOB, HIS: ANN}, frozenset(), {ANN: USD - FEE, BOB: 4 * USD}, {ANN: 0, BOB: 0}
        )  # fmt: skip
        parties = (Party(ANN, "ann"), Party(BOB, "bob"))
        terms = Terms(TRADE, ANN, parties, LEGS, self.now + 86_400_000, fee_bp=250)
        self.recording.offers.append(Offer(ANN, "o", LEGS))
        self.recording.offered["o"] = TRADE
        self.log(RULES.open(terms, self.now))
        self.seen.receive_state(ReceivedState(1, 1, {"status": "open"}), answer=True)

    def send(self, user: int, key: str, command: Command) -> None:
        """A command that is decided, logged, answered and published."""
        order = TradeOrder(TRADE, user, key, command)
        self.recording.orders.append(order)
        decided = self.decide(command)
        if isinstance(decided, Refusal):
            self.recording.refused.append((order, decided.code))
            return
        event = self.log(decided)
        found = receipt(event)
        assert found is not None
        assert isinstance(found.result, TradeResult)
        result = found.result
        self.recording.acks.append(
            TradeAck(order, len(self.rows), self.now, result.outcome, result.hash, result.number)
        )  # fmt: skip
        self.publish(event)

    def execute(self) -> None:
        decided = self.decide(Execute(FEE, 0, 0, self.now + 1_000_000))
        assert isinstance(decided, list)
        self.publish(self.log(decided))

    def decide(self, command: Command) -> list[Event] | Refusal:
        assert self.trade is not None
        self.now += 10
        return RULES.decide(self.trade, command, self.now)

    def log(self, events: list[Event]) -> Event:
        [event] = events
        self.trade = RULES.apply(self.trade, event)
        self.append(event)
        return event

    def append(self, event: Event) -> None:
        """A row with a hash that fits, whatever the rules say."""
        found, body = receipt(event), encode(event)
        key = command_key(found.user, found.key) if found is not None else None
        previous = self.rows[-1].hash if self.rows else first_hash("trade", TRADE)
        seq = len(self.rows) + 1
        self.rows.append(LogRow(seq, 1, self.now, key, body, next_hash(previous, 1, seq, self.now, body)))

    def publish(self, event: Event) -> None:
        kind, data = public_event(event)
        self.seen.receive_event(ReceivedEvent(1, len(self.rows), kind, self.now, data))

    def found(self) -> list[str]:
        """The kinds of all violations."""
        logs = {TRADE: TradeLog(TRADE, self.rows)}
        return sorted({one.kind for one in trade_violations(self.recording, logs, BEFORE, self.after)})


def agreed() -> History:
    history = History()
    history.send(BOB, "wrong", Accept(BOB, "wrong", terms_hash(TRADE, 9, LEGS)))
    history.send(BOB, "a", Accept(BOB, "a", terms_hash(TRADE, 1, LEGS)))
    return history


def executed() -> History:
    history = agreed()
    for user in (ANN, BOB):
        history.send(user, "c", Confirm(user, "c", terms_hash(TRADE, 1, LEGS)))
    history.execute()
    return history


def test_a_true_history_has_no_violation():
    assert executed().found() == []
    assert [code for _, code in executed().recording.refused] == ["stale_terms"]


def test_what_is_held_has_to_be_what_the_states_say():
    history = agreed()
    history.after = replace(BEFORE, locked=frozenset({HERS, HIS}), held={ANN: 0, BOB: USD})
    assert history.found() == []
    history.after = replace(BEFORE, locked=frozenset({HERS}), held={ANN: 0, BOB: USD})
    assert history.found() == [HELD]
    history.after = replace(BEFORE, locked=frozenset({HERS, HIS}))
    assert history.found() == [HELD]


def loses_the_last_row(history: History) -> None:
    history.rows.pop()


def forgets_a_row(history: History) -> None:
    del history.rows[2]


def changes_a_body(history: History) -> None:
    history.rows[1] = msgspec.structs.replace(history.rows[1], body=history.rows[2].body)


def executes_twice(history: History) -> None:
    history.append(TradeLog(TRADE, history.rows).events[5])


def acks_what_was_refused(history: History) -> None:
    order, _ = history.recording.refused[0]
    history.recording.acks.append(TradeAck(order, 2, 1_010, "agreed", order.key, None))


def acks_another_place(history: History) -> None:
    history.recording.acks[0] = replace(history.recording.acks[0], seq=3)


def acks_another_hash(history: History) -> None:
    history.recording.acks[0] = replace(history.recording.acks[0], hash=terms_hash(TRADE, 2, LEGS))


def refuses_what_it_did(history: History) -> None:
    history.recording.refused.append((history.recording.acks.pop().order, "not_agreed"))


def does_what_nobody_sent(history: History) -> None:
    del history.recording.orders[-1]


def binds_a_party_to_other_terms(history: History) -> None:
    order = history.recording.orders[1]
    other = Accept(BOB, order.key, terms_hash(TRADE, 2, LEGS))
    history.recording.orders[1] = replace(order, command=other)


def opens_another_offer(history: History) -> None:
    history.recording.offers[0] = Offer(ANN, "o", LEGS[:1])


def opens_what_nobody_offered(history: History) -> None:
    history.recording.offered.clear()


def skips_an_update(history: History) -> None:
    history.seen.missed.append("event 1/5 came after 1/3")


def invents_an_update(history: History) -> None:
    history.seen.received[-1] = ReceivedEvent(1, 5, "failed", history.now, {})


def leaves_a_party_behind(history: History) -> None:
    history.seen.received.pop()
    history.seen.position = (1, 4)


def gives_a_copy_to_nobody_who_got_it(history: History) -> None:
    history.after = replace(history.after, owners={HERS: ANN, HIS: ANN})


def pays_twice(history: History) -> None:
    history.after = replace(history.after, posted={ANN: 2 * (USD - FEE), BOB: 3 * USD})


def makes_money(history: History) -> None:
    history.after = replace(history.after, posted={ANN: USD, BOB: 4 * USD})


def keeps_a_hold(history: History) -> None:
    history.after = replace(history.after, held={ANN: 0, BOB: USD})


def keeps_a_lock(history: History) -> None:
    history.after = replace(history.after, locked=frozenset({HERS}))


@pytest.mark.parametrize(
    ("falsify", "kind"),
    [
        (loses_the_last_row, OWNER),
        (loses_the_last_row, checker.UPDATE),
        (forgets_a_row, checker.LOST),
        (forgets_a_row, checker.LOG),
        (changes_a_body, checker.LOG),
        (executes_twice, checker.TWICE),
        (executes_twice, checker.LOG),
        (acks_what_was_refused, checker.LOST),
        (acks_another_place, checker.FALSE_ACK),
        (acks_another_hash, checker.FALSE_ACK),
        (refuses_what_it_did, checker.REFUSED),
        (does_what_nobody_sent, checker.UNASKED),
        (binds_a_party_to_other_terms, checker.UNASKED),
        (opens_another_offer, checker.FALSE_ACK),
        (opens_what_nobody_offered, checker.UNASKED),
        (skips_an_update, checker.GAP),
        (invents_an_update, checker.UPDATE),
        (leaves_a_party_behind, checker.BEHIND),
        (gives_a_copy_to_nobody_who_got_it, OWNER),
        (pays_twice, MONEY),
        (makes_money, MONEY),
        (keeps_a_hold, HELD),
        (keeps_a_lock, HELD),
    ],
)
def test_a_false_history_is_found(falsify: Callable[[History], None], kind: str):
    history = executed()
    falsify(history)
    assert kind in history.found()
