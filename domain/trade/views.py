"""What the parties of a trade see of it, and its summary row. Nobody else may see anything."""

from typing import Any

import msgspec

from domain.ids import id_text
from domain.trade import events
from domain.trade.state import NEGOTIATING, DisputeCase, Judgement, Statement, Status, Trade
from domain.trade.terms import Condition, Leg


class PublicCondition(msgspec.Struct, frozen=True, omit_defaults=True):
    """One copy of any card that matches all of it."""

    card: str | None = None
    set: str | None = None
    rarity: str | None = None


class PublicLeg(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a party gives to another; both by their ids. Money is base units."""

    giver: str
    receiver: str
    copies: tuple[str, ...] = ()
    money: int = 0
    conditions: tuple[PublicCondition, ...] = ()


class PublicParty(msgspec.Struct, frozen=True):
    """A party, and how far it is."""

    id: str
    username: str
    accepted: bool
    confirmed: bool


class PublicMessage(msgspec.Struct, frozen=True):
    """One of the newest messages; ``by`` is the id of its user."""

    by: str
    number: int
    text: str


class PublicStatement(msgspec.Struct, frozen=True):
    """What a party says of a dispute."""

    by: str
    text: str
    evidence: tuple[str, ...]


class PublicJudgement(msgspec.Struct, frozen=True):
    """A moderator's decision."""

    upheld: bool
    reason: str


class PublicDispute(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dispute; ``due_at`` is the end of its stage (ms)."""

    by: str
    reason: str
    stage: str
    statements: tuple[PublicStatement, ...]
    judgements: tuple[PublicJudgement, ...]
    overdue: bool
    due_at: int | None = None
    appeal: PublicStatement | None = None


class PublicTrade(msgspec.Struct, frozen=True, omit_defaults=True):
    """A trade's ``state`` on the wire. Money is base units, times are ms."""

    id: str
    status: str
    proposer: str
    parties: tuple[PublicParty, ...]
    version: int
    by: str
    hash: str
    legs: tuple[PublicLeg, ...]
    message: str
    expires_at: int
    fee_bp: int
    draft_version: int
    messages_count: int
    messages: tuple[PublicMessage, ...]
    server_time: int
    placement: str
    draft: tuple[PublicLeg, ...] | None = None
    confirm_from: int | None = None
    confirm_by: int | None = None
    reason: str | None = None
    copy: str | None = None
    fee: int | None = None
    royalties: int | None = None
    protected_until: int | None = None
    dispute_until: int | None = None
    dispute: PublicDispute | None = None


def public_state(trade: Trade, now_ms: int, placement: str) -> PublicTrade:
    """The state for its parties."""
    parties = tuple(
        PublicParty(id_text(one.user), one.name, one.user in trade.accepted, one.user in trade.confirmed)
        for one in trade.terms.parties
    )
    return PublicTrade(
        id=id_text(trade.terms.trade),
        status=trade.status.value,
        proposer=id_text(trade.terms.proposer),
        parties=parties,
        version=trade.version,
        by=id_text(trade.by),
        hash=trade.hash,
        legs=tuple(map(public_leg, trade.legs)),
        message=trade.message,
        expires_at=trade.expires_at,
        fee_bp=trade.terms.fee_bp,
        draft_version=trade.edited,
        messages_count=trade.messages_sent,
        messages=tuple(PublicMessage(id_text(one.by), one.number, one.text) for one in trade.messages),
        server_time=now_ms,
        placement=placement,
        draft=None if trade.draft is None else tuple(map(public_leg, trade.draft)),
        confirm_from=trade.confirm_from or None,
        confirm_by=trade.confirm_by or None,
        reason=trade.reason,
        copy=None if trade.copy is None else id_text(trade.copy),
        fee=trade.fee or None,
        royalties=trade.royalties or None,
        protected_until=trade.protected_until or None,
        dispute_until=trade.dispute_until or None,
        dispute=None if trade.dispute is None else _public_dispute(trade.dispute),
    )


def public_leg(leg: Leg) -> PublicLeg:
    """A leg with ids as text."""
    return PublicLeg(
        id_text(leg.giver),
        id_text(leg.receiver),
        tuple(map(id_text, leg.copies)),
        leg.money,
        tuple(map(_public_condition, leg.conditions)),
    )


def _public_condition(condition: Condition) -> PublicCondition:
    card, card_set = (None if one is None else id_text(one) for one in (condition.card, condition.card_set))
    return PublicCondition(card, card_set, condition.rarity)


def _public_dispute(case: DisputeCase) -> PublicDispute:
    return PublicDispute(
        id_text(case.by),
        case.reason,
        case.stage,
        tuple(map(_public_statement, case.statements)),
        tuple(map(_public_judgement, case.judgements)),
        case.overdue,
        case.due_at,
        None if case.appeal is None else _public_statement(case.appeal),
    )


def _public_statement(statement: Statement) -> PublicStatement:
    return PublicStatement(id_text(statement.by), statement.text, statement.evidence)


def _public_judgement(judgement: Judgement) -> PublicJudgement:
    return PublicJudgement(judgement.upheld, judgement.reason)


def public_event(event: events.Event) -> tuple[str, dict[str, Any]]:
    """The ``type`` and ``data`` of an event on the wire. Moderators are not named."""
    name = type(event).__struct_config__.tag
    assert isinstance(name, str)
    return name, _data_of(event)


def _data_of(event: events.Event) -> dict[str, Any]:
    match event:
        case events.Offered(terms):
            return {"by": id_text(terms.proposer), "version": 1, "legs": _legs(terms.legs), "message": terms.message}
        case events.Countered(by, _, version, legs, message, expires_at, _, hash_):
            return {
                "by": id_text(by), "version": version, "legs": _legs(legs), "message": message,
                "expires_at": expires_at, "hash": hash_,
            }  # fmt: skip
        case events.Accepted(by, _, hash_, _, _, agreement):
            if agreement is None:
                return {"by": id_text(by), "hash": hash_, "agreed": False}
            return {
                "by": id_text(by), "hash": agreement.hash, "agreed": True, "confirm_from": agreement.confirm_from,
                "confirm_by": agreement.confirm_by,
            }  # fmt: skip
        case events.Confirmed(by, _, hash_, all_):
            return {"by": id_text(by), "hash": hash_, "all": all_}
        case events.MessageSent(by, _, number, text):
            return {"by": id_text(by), "number": number, "text": text}
        case events.Edited(by, _, draft, legs):
            return {"by": id_text(by), "draft": draft, "legs": _legs(legs)}
        case events.Declined(by):
            return {"by": id_text(by)}
        case events.Invalidated(copy, reason):
            return {"copy": id_text(copy), "reason": reason}
        case events.Failed(code, copy):
            return {"code": code, "copy": None if copy is None else id_text(copy)}
        case events.Executed(fee, royalties, protected_until, dispute_until):
            return {
                "fee": fee, "royalties": royalties, "protected_until": protected_until, "dispute_until": dispute_until,
            }  # fmt: skip
    return _data_of_dispute(event)


def _data_of_dispute(event: events.Event) -> dict[str, Any]:
    match event:
        case events.Disputed(by, _, reason, evidence, respond_by):
            return {"by": id_text(by), "reason": reason, "evidence": evidence, "respond_by": respond_by}
        case events.Responded(by, _, text, evidence, judge_by):
            return {"by": id_text(by), "text": text, "evidence": evidence, "judge_by": judge_by}
        case events.ResponseOver(judge_by):
            return {"judge_by": judge_by}
        case events.Judged(_, _, upheld, reason, appeal_by):
            return {"upheld": upheld, "reason": reason, "appeal_by": appeal_by}
        case events.Appealed(by, _, reason, judge_by):
            return {"by": id_text(by), "reason": reason, "judge_by": judge_by}
        case events.ReversalOrdered(_, _, reason):
            return {"reason": reason}
        case events.Reversed(code):
            return {"code": code}
    return {}


def _legs(legs: tuple[Leg, ...]) -> list[PublicLeg]:
    return list(map(public_leg, legs))


def awaited(trade: Trade) -> tuple[int, ...]:
    """The parties who have to answer next: with an acceptance, or with a confirmation."""
    if trade.status not in NEGOTIATING:
        return ()
    answered = trade.accepted if trade.status is Status.OPEN else trade.confirmed
    return tuple(user for user in trade.users if user not in answered)


def summary(trade: Trade, at_ms: int) -> tuple[Any, ...]:
    """The columns of the table ``trades``: lists of ids as text, comma between them."""
    copies = [copy for leg in trade.legs for copy in leg.copies]
    copies += [copy for one in trade.accepted.values() for copy in one.copies if copy not in copies]
    money = sum(leg.money for leg in trade.legs)
    stage = None if trade.dispute is None else trade.dispute.stage
    return (
        trade.terms.proposer, ",".join(map(str, trade.users)), trade.status.value, trade.version,
        ",".join(map(str, copies)), money, trade.expires_at, trade.terms.fee_bp, trade.reason, stage,
        trade.protected_until, at_ms,
    )  # fmt: skip
