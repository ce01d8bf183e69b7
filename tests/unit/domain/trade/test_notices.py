"""Of which events the parties are notified, and who is not."""

import pytest
from trade_examples import ANN, BOB, LEGS, terms

from domain.trade import events
from domain.trade.notices import Notice, notice_of

AGREEMENT = events.Agreement("h", 0, 1, ())


@pytest.mark.parametrize(
    ("event", "notice"),
    [
        (events.Offered(terms()), Notice("trade_offered", ANN)),
        (events.Countered(BOB, "k", 2, LEGS, "", 9, 0, "h"), Notice("trade_countered", BOB)),
        (events.Accepted(BOB, "k", "h", (), 0, AGREEMENT), Notice("trade_agreed", BOB)),
        (events.Accepted(BOB, "k", "h", (), 0), None),
        (events.Confirmed(BOB, "k", "h", True), None),
        (events.MessageSent(BOB, "k", 1, "hello"), None),
        (events.Declined(BOB, "k", False), Notice("trade_ended", BOB, {"reason": "declined"})),
        (events.Declined(ANN, "k", True), Notice("trade_ended", ANN, {"reason": "withdrawn"})),
        (events.Expired(), Notice("trade_ended", None, {"reason": "expired"})),
        (events.Invalidated(10, "sold"), Notice("trade_ended", None, {"reason": "sold"})),
        (events.Failed("insufficient_funds", None), Notice("trade_ended", None, {"reason": "insufficient_funds"})),
        (events.Executed(1, 2, 0, 9), Notice("trade_executed")),
        (events.Disputed(ANN, "k", "r", (), 9), Notice("trade_disputed", ANN)),
        (events.Judged(9, "k", True, "r", 9), Notice("trade_judged", None, {"upheld": True, "final": False})),
        (events.Reversed(None), Notice("trade_reversed")),
        (events.Reversed("copy_moved_on"), None),
        (events.Completed(), None),
    ],
)
def test_all_parties_but_who_caused_it_are_notified(event: events.Event, notice: Notice | None):
    assert notice_of(event) == notice
