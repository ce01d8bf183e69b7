"""Disputes over executed trades, and reversals by moderators."""

from trade_examples import ANN, BOB, MODERATOR, START, after, confirmed, refusal

from domain.entity import Tick
from domain.trade import disputes
from domain.trade.commands import Appeal, Dispute, Execute, Judge, Respond, ReversalDone, Reverse
from domain.trade.state import DisputeCase, Status, Trade

DISPUTE_UNTIL = START + 1_000_000
OTHER_MODERATOR = 8


def executed(protected_until: int = 0) -> Trade:
    return after(confirmed(), Execute(0, 0, protected_until, DISPUTE_UNTIL))


def disputed() -> Trade:
    return after(executed(), Dispute(BOB, "d", "it is a forgery", ("photo",)))


def case(trade: Trade) -> DisputeCase:
    assert trade.dispute is not None
    return trade.dispute


def test_a_party_may_dispute_once_and_in_time():
    assert refusal(executed(), Dispute(BOB, "d", "late"), DISPUTE_UNTIL) == "dispute_not_possible"
    assert refusal(disputed(), Dispute(ANN, "d", "too")) == "dispute_not_possible"
    assert refusal(confirmed(), Dispute(ANN, "d", "early")) == "dispute_not_possible"


def test_evidence_has_its_bounds():
    for evidence in (("",), ("x" * (disputes.EVIDENCE_LENGTH_MAX + 1),), ("x",) * (disputes.EVIDENCE_MAX + 1)):
        assert refusal(executed(), Dispute(BOB, "d", "see", evidence)) == "invalid_terms"
        assert refusal(disputed(), Respond(ANN, "r", "see", evidence)) == "invalid_terms"


def test_a_moderator_decides_once_all_have_responded_or_their_time_is_over():
    trade = disputed()
    assert refusal(trade, Judge(MODERATOR, "j", True, "seen")) == "dispute_not_possible"
    assert case(after(trade, Respond(ANN, "r", "it is not"))).stage == disputes.JUDGEMENT
    late = after(trade, Tick(), now_ms=START + disputes.RESPOND_WITHIN_MS)
    assert case(late).stage == disputes.JUDGEMENT


def test_a_party_is_no_judge():
    trade = after(disputed(), Respond(ANN, "r", "it is not"))
    assert refusal(trade, Judge(ANN, "j", False, "mine")) == "forbidden"


def test_an_upheld_dispute_reverses_the_trade_after_the_time_to_appeal():
    trade = after(disputed(), Respond(ANN, "r", "it is not"), Judge(MODERATOR, "j", True, "seen"))
    assert trade.status is Status.DISPUTED
    final = after(trade, Tick(), now_ms=START + disputes.APPEAL_WITHIN_MS)
    assert final.status is Status.REVERSING
    assert after(final, ReversalDone()).status is Status.REVERSED


def test_an_appeal_is_decided_finally_and_by_another_moderator():
    trade = after(disputed(), Respond(ANN, "r", "it is not"), Judge(MODERATOR, "j", True, "seen"))
    trade = after(trade, Appeal(ANN, "p", "look again"))
    assert refusal(trade, Judge(MODERATOR, "k", True, "still")) == "forbidden"
    final = after(trade, Judge(OTHER_MODERATOR, "k", False, "no forgery"))
    assert (final.status, case(final).stage) == (Status.EXECUTED, disputes.CLOSED)
    assert refusal(final, Dispute(BOB, "e", "again")) == "dispute_not_possible"


def test_a_decision_that_is_late_is_marked_and_still_possible():
    trade = after(disputed(), Respond(ANN, "r", "it is not"))
    late = after(trade, Tick(), now_ms=START + disputes.JUDGE_WITHIN_MS)
    assert case(late).overdue
    assert case(after(late, Judge(MODERATOR, "j", False, "no"))).stage == disputes.APPEAL


def test_only_a_protected_trade_can_be_reversed_by_a_moderator_alone():
    protected = executed(protected_until=START + 500)
    assert after(protected, Reverse(MODERATOR, "v", "stolen account")).status is Status.REVERSING
    assert refusal(protected, Reverse(MODERATOR, "v", "late"), START + 500) == "not_reversible"
    assert refusal(protected, Reverse(ANN, "v", "mine")) == "forbidden"
    assert refusal(executed(), Reverse(MODERATOR, "v", "no")) == "not_reversible"


def test_a_reversal_that_is_impossible_leaves_the_trade_executed():
    trade = after(executed(START + 500), Reverse(MODERATOR, "v", "stolen"), ReversalDone("copy_moved_on"))
    assert (trade.status, trade.reason) == (Status.EXECUTED, "copy_moved_on")


def test_nobody_can_use_up_the_room_that_the_others_have_to_respond():
    trade = disputed()
    each = disputes.STATEMENTS_MAX // len(trade.users)
    for number in range(each - 1):
        trade = after(trade, Respond(BOB, f"r{number}", "and another thing"))
    assert refusal(trade, Respond(BOB, "r", "and another thing")) == "trade_full"
    for number in range(each):
        trade = after(trade, Respond(ANN, f"s{number}", "it is not"))
    assert refusal(trade, Respond(ANN, "s", "it is not")) == "trade_full"
    assert len(case(trade).statements) == disputes.STATEMENTS_MAX


def test_a_dispute_rests_while_its_trade_is_reversed():
    protected = after(executed(START + 500), Dispute(BOB, "d", "it is a forgery"), Respond(ANN, "r", "it is not"))
    judged = after(protected, Judge(MODERATOR, "j", True, "seen"))
    appealed = after(judged, Appeal(ANN, "p", "look again"))
    for trade, late in (
        (protected, Respond(BOB, "s", "more")),
        (protected, Judge(MODERATOR, "j", False, "no forgery")),
        (judged, Appeal(ANN, "p", "look again")),
        # It would be executed by the log, and reversed by the worker that is at it.
        (appealed, Judge(OTHER_MODERATOR, "k", False, "no forgery")),
    ):
        reversing = after(trade, Reverse(MODERATOR, "v", "stolen account"))
        assert refusal(reversing, late) == "dispute_not_possible"
        assert refusal(after(reversing, ReversalDone()), late) == "dispute_not_possible"
        impossible = after(reversing, ReversalDone("copy_moved_on"))
        assert impossible.status is Status.DISPUTED
        after(impossible, late)
