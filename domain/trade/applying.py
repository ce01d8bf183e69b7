"""How events change the state of a trade."""

from dataclasses import dataclass
from typing import Any, assert_never

from msgspec.structs import replace

from domain.trade import disputes
from domain.trade.events import (
    Accepted,
    Appealed,
    Completed,
    Confirmed,
    Countered,
    Declined,
    Disputed,
    Edited,
    Event,
    Executed,
    Expired,
    Failed,
    Invalidated,
    Judged,
    JudgementFinal,
    MessageSent,
    Offered,
    Overdue,
    Responded,
    ResponseOver,
    ReversalOrdered,
    Reversed,
)
from domain.trade.state import Acceptance, DisputeCase, Judgement, Message, Statement, Status, Trade
from domain.trade.terms import Leg, Terms, conditions_of, fulfilled, terms_hash

MESSAGES_KEPT = 30


def opened(terms: Terms) -> Trade:
    """The state after the first offer."""
    return Trade(
        terms, Status.OPEN, 1, terms.proposer, terms.legs, terms.message, terms_hash(terms.trade, 1, terms.legs),
        terms.expires_at, _accepted_by_maker(terms.legs, terms.proposer, terms.cool_down_ms),
    )  # fmt: skip


def _accepted_by_maker(legs: tuple[Leg, ...], maker: int, cool_down_ms: int) -> dict[int, Acceptance]:
    """Who makes an offer accepts it, unless they still have to name copies."""
    return {} if conditions_of(legs, maker) else {maker: Acceptance((), cool_down_ms)}


def apply(trade: Trade | None, event: Event) -> Trade:
    """The state after an event of any kind."""
    if isinstance(event, Offered):
        return opened(event.terms)
    assert trade is not None, "the first event of a trade is its offer"
    match event:
        case Countered() | Accepted() | Confirmed() | MessageSent() | Edited():
            return _negotiated(trade, event)
        case Declined() | Expired() | Invalidated() | Failed() | Executed() | Completed():
            return _ended(trade, event)
        case _:
            return _disputed(trade, event)


def _negotiated(trade: Trade, event: Countered | Accepted | Confirmed | MessageSent | Edited) -> Trade:
    match event:
        case Countered():
            return replace(
                trade, version=event.version, by=event.by, legs=event.legs, message=event.message, hash=event.hash,
                expires_at=event.expires_at, accepted=_accepted_by_maker(event.legs, event.by, event.cool_down_ms),
            )  # fmt: skip
        case Accepted(by, _, _, copies, cool_down_ms, agreement):
            accepted = trade.accepted | {by: Acceptance(copies, cool_down_ms)}
            if agreement is None:
                return replace(trade, accepted=accepted)
            return replace(
                trade, accepted=accepted, status=Status.AGREED, hash=agreement.hash,
                legs=fulfilled(trade.legs, {user: one.copies for user, one in accepted.items()}),
                confirm_from=agreement.confirm_from, confirm_by=agreement.confirm_by,
            )  # fmt: skip
        case Confirmed(by, _, _, all_):
            status = Status.CONFIRMED if all_ else Status.AGREED
            return replace(trade, confirmed=(*trade.confirmed, by), status=status)
        case MessageSent(by, _, number, text):
            messages = (*trade.messages, Message(by, number, text))[-MESSAGES_KEPT:]
            return replace(trade, messages_sent=number, messages=messages)
        case Edited(_, _, draft, legs):
            return replace(trade, draft=legs, edited=draft)
        case _:
            assert_never(event)


def _ended(trade: Trade, event: Declined | Expired | Invalidated | Failed | Executed | Completed) -> Trade:
    match event:
        case Declined(_, _, withdrawn):
            return replace(trade, status=Status.WITHDRAWN if withdrawn else Status.DECLINED)
        case Expired():
            return replace(trade, status=Status.EXPIRED)
        case Invalidated(copy, reason):
            return replace(trade, status=Status.INVALID, copy=copy, reason=reason)
        case Failed(code, copy):
            return replace(trade, status=Status.FAILED, copy=copy, reason=code)
        case Executed(fee, royalties, protected_until, dispute_until):
            return replace(
                trade, status=Status.EXECUTED, fee=fee, royalties=royalties, protected_until=protected_until,
                dispute_until=dispute_until, draft=None,
            )  # fmt: skip
        case Completed():
            return replace(trade, status=Status.COMPLETED)
        case _:
            assert_never(event)


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of a dispute."""

    trade: Trade

    def to(self, status: Status | None = None, **changes: Any) -> Trade:
        assert self.trade.dispute is not None
        case = replace(self.trade.dispute, **changes)
        return replace(self.trade, dispute=case, status=self.trade.status if status is None else status)


def _disputed(trade: Trade, event: Any) -> Trade:
    if isinstance(event, Disputed):
        case = DisputeCase(
            event.by, event.reason, disputes.RESPONSES, event.respond_by,
            (Statement(event.by, event.reason, event.evidence),),
        )  # fmt: skip
        return replace(trade, status=Status.DISPUTED, dispute=case)
    if isinstance(event, ReversalOrdered):
        return replace(trade, status=Status.REVERSING, reason=event.reason)
    if isinstance(event, Reversed):
        return _after_reversal(trade, event)
    assert trade.dispute is not None
    return _next_stage(_Change(trade), trade.dispute, event)


def _next_stage(change: _Change, case: DisputeCase, event: Any) -> Trade:
    match event:
        case Responded(by, _, text, evidence, judge_by):
            statements = (*case.statements, Statement(by, text, evidence))
            if judge_by is None:
                return change.to(statements=statements)
            return change.to(statements=statements, stage=disputes.JUDGEMENT, due_at=judge_by)
        case ResponseOver(judge_by):
            return change.to(stage=disputes.JUDGEMENT, due_at=judge_by)
        case Overdue():
            return change.to(due_at=None, overdue=True)
        case Judged(by, _, upheld, reason, appeal_by):
            judgements = (*case.judgements, Judgement(by, upheld, reason))
            if appeal_by is not None:
                return change.to(judgements=judgements, stage=disputes.APPEAL, due_at=appeal_by, overdue=False)
            return change.to(_status_after(upheld), judgements=judgements, stage=disputes.CLOSED, due_at=None)
        case Appealed(by, _, reason, judge_by):
            appeal = Statement(by, reason, ())
            return change.to(appeal=appeal, stage=disputes.SECOND_JUDGEMENT, due_at=judge_by)
        case JudgementFinal():
            return change.to(_status_after(case.judgements[-1].upheld), stage=disputes.CLOSED, due_at=None)
        case _:
            raise AssertionError(f"{type(event).__name__} is no event of a dispute")


def _status_after(upheld: bool) -> Status:
    return Status.REVERSING if upheld else Status.EXECUTED


def _after_reversal(trade: Trade, event: Reversed) -> Trade:
    if event.code is None:
        return replace(trade, status=Status.REVERSED)
    open_dispute = trade.dispute is not None and trade.dispute.stage != disputes.CLOSED
    status = Status.DISPUTED if open_dispute else Status.EXECUTED
    return replace(trade, status=status, reason=event.code)
