"""Disputes over executed trades: complaint, responses, a moderator's decision, one appeal, a final decision.

Each stage has a time limit. Where a moderator lets theirs pass, the dispute is marked as overdue and stays open. A
moderator may order the reversal meanwhile: then the dispute rests, and goes on only if that turns out to be impossible.
"""

from domain.entity import Refusal
from domain.errors import DISPUTE_NOT_POSSIBLE, FORBIDDEN, INVALID_TERMS, NOT_FOUND, TRADE_FULL
from domain.trade.commands import Appeal, Dispute, Judge, Respond
from domain.trade.events import (
    Appealed,
    Disputed,
    Event,
    Judged,
    JudgementFinal,
    Overdue,
    Responded,
    ResponseOver,
)
from domain.trade.state import DisputeCase, Status, Trade

DAY_MS = 86_400_000
RESPOND_WITHIN_MS = 3 * DAY_MS
JUDGE_WITHIN_MS = 7 * DAY_MS
APPEAL_WITHIN_MS = 3 * DAY_MS
# Of all parties together, an equal part for each: nobody fills the room in which the others respond.
STATEMENTS_MAX = 20
EVIDENCE_MAX = 10
EVIDENCE_LENGTH_MAX = 300

RESPONSES, JUDGEMENT, APPEAL, SECOND_JUDGEMENT, CLOSED = (
    "responses", "judgement", "appeal", "second_judgement", "closed"
)  # fmt: skip


def evidence_fault(evidence: tuple[str, ...]) -> str | None:
    """Why this can't be evidence, or None."""
    if len(evidence) > EVIDENCE_MAX or any(not 1 <= len(one) <= EVIDENCE_LENGTH_MAX for one in evidence):
        return f"evidence is up to {EVIDENCE_MAX} texts of 1 to {EVIDENCE_LENGTH_MAX} characters"
    return None


def dispute(trade: Trade, order: Dispute, now_ms: int) -> list[Event] | Refusal:
    """Once for each trade, within its time."""
    if trade.party(order.by) is None:
        return Refusal(NOT_FOUND)
    if trade.status is not Status.EXECUTED or trade.dispute is not None or now_ms >= trade.dispute_until:
        return Refusal(DISPUTE_NOT_POSSIBLE)
    if evidence_fault(order.evidence):
        return Refusal(INVALID_TERMS)
    return [Disputed(order.by, order.key, order.reason, order.evidence, now_ms + RESPOND_WITHIN_MS)]


def respond(trade: Trade, order: Respond, now_ms: int) -> list[Event] | Refusal:
    """Until a decision; once all others have responded, a moderator decides."""
    case = trade.dispute
    if trade.party(order.by) is None:
        return Refusal(NOT_FOUND)
    if case is None or not _goes_on(trade, RESPONSES, JUDGEMENT, SECOND_JUDGEMENT):
        return Refusal(DISPUTE_NOT_POSSIBLE)
    own = sum(statement.by == order.by for statement in case.statements)
    if own >= STATEMENTS_MAX // len(trade.users):
        return Refusal(TRADE_FULL)
    if evidence_fault(order.evidence):
        return Refusal(INVALID_TERMS)
    spoken = {statement.by for statement in case.statements} | {case.by, order.by}
    judge_by = now_ms + JUDGE_WITHIN_MS if case.stage == RESPONSES and spoken >= set(trade.users) else None
    return [Responded(order.by, order.key, order.text, order.evidence, judge_by)]


def judge(trade: Trade, order: Judge, now_ms: int) -> list[Event] | Refusal:
    """A moderator who is no party decides; on appeal another moderator, and finally."""
    case = trade.dispute
    if trade.party(order.by) is not None:
        return Refusal(FORBIDDEN)
    if case is None or not _goes_on(trade, JUDGEMENT, SECOND_JUDGEMENT):
        return Refusal(DISPUTE_NOT_POSSIBLE)
    if any(judgement.by == order.by for judgement in case.judgements):
        return Refusal(FORBIDDEN)
    appeal_by = now_ms + APPEAL_WITHIN_MS if case.stage == JUDGEMENT else None
    return [Judged(order.by, order.key, order.upheld, order.reason, appeal_by)]


def appeal(trade: Trade, order: Appeal, now_ms: int) -> list[Event] | Refusal:
    """Once, by any party."""
    if trade.party(order.by) is None:
        return Refusal(NOT_FOUND)
    case = trade.dispute
    if case is None or not _goes_on(trade, APPEAL) or case.due_at is None or now_ms >= case.due_at:
        return Refusal(DISPUTE_NOT_POSSIBLE)
    return [Appealed(order.by, order.key, order.reason, now_ms + JUDGE_WITHIN_MS)]


def tick(case: DisputeCase, now_ms: int) -> list[Event]:
    """What follows from the time alone."""
    if case.due_at is None or now_ms < case.due_at:
        return []
    match case.stage:
        case "responses":
            return [ResponseOver(now_ms + JUDGE_WITHIN_MS)]
        case "appeal":
            return [JudgementFinal()]
        case _:
            return [Overdue()]


def _goes_on(trade: Trade, *stages: str) -> bool:
    """Whether the dispute is at one of these stages, and its trade is neither being reversed nor has ended."""
    return trade.status is Status.DISPUTED and trade.dispute is not None and trade.dispute.stage in stages
