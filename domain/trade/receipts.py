"""What users get back for a command, how a retry is recognised, and which command led to an event."""

import hashlib

import msgspec

from domain.entity import Receipt, Tick
from domain.trade.commands import (
    Accept,
    Appeal,
    Command,
    Confirm,
    Counter,
    Decline,
    Dispute,
    Edit,
    Execute,
    Fail,
    Invalidate,
    Judge,
    Respond,
    ReversalDone,
    Reverse,
    SendMessage,
)
from domain.trade.events import (
    Accepted,
    Appealed,
    Confirmed,
    Countered,
    Declined,
    Disputed,
    Edited,
    Event,
    Executed,
    Failed,
    Invalidated,
    Judged,
    MessageSent,
    Responded,
    ReversalOrdered,
    Reversed,
)
from domain.trade.state import Trade

_encode = msgspec.msgpack.Encoder().encode


class TradeResult(msgspec.Struct, frozen=True, array_like=True):
    """The result of a command. ``hash``: what is to be accepted, or confirmed, from now on, where it has changed.

    ``number`` counts versions, drafts or messages, each from 1.
    """

    outcome: str
    hash: str | None = None
    number: int | None = None


def _digest(*parts: object) -> str:
    return hashlib.blake2b(_encode(parts), digest_size=16).hexdigest()


def fingerprint(command: Command) -> str | None:
    """Equal in a retry and its first attempt."""
    match command:
        case Counter(_, _, version, legs, message):
            return _digest("counter", version + 1, legs, message)
        case Accept(_, _, hash_, copies):
            return _digest("accept", hash_, copies)
        case Confirm(_, _, hash_):
            return _digest("confirm", hash_)
        case Decline():
            return "decline"
        case SendMessage(_, _, text):
            return _digest("message", text)
        case Edit(_, _, draft, legs):
            return _digest("edit", draft + 1, legs)
        case Dispute(_, _, reason, evidence):
            return _digest("dispute", reason, evidence)
        case Respond(_, _, text, evidence):
            return _digest("respond", text, evidence)
        case Judge(_, _, upheld, reason):
            return _digest("judge", upheld, reason)
        case Appeal(_, _, reason):
            return _digest("appeal", reason)
        case Reverse(_, _, reason):
            return _digest("reverse", reason)
    return None


def receipt(event: Event) -> Receipt | None:
    """The receipt of the command with a key that led to this event; None for other events."""
    match event:
        case Countered(by, key, version, legs, message, _, _, hash_):
            result = TradeResult("countered", hash_, version)
            return Receipt(by, key, _digest("counter", version, legs, message), result)
        case Accepted(by, key, hash_, copies, _, agreement):
            result = TradeResult("accepted", hash_) if agreement is None else TradeResult("agreed", agreement.hash)
            return Receipt(by, key, _digest("accept", hash_, copies), result)
        case Confirmed(by, key, hash_, all_):
            return Receipt(by, key, _digest("confirm", hash_), TradeResult("executing" if all_ else "confirmed", hash_))
        case MessageSent(by, key, number, text):
            return Receipt(by, key, _digest("message", text), TradeResult("sent", None, number))
        case Edited(by, key, draft, legs):
            return Receipt(by, key, _digest("edit", draft, legs), TradeResult("edited", None, draft))
        case Declined(by, key, withdrawn):
            return Receipt(by, key, "decline", TradeResult("withdrawn" if withdrawn else "declined"))
    return _receipt_of_dispute(event)


def _receipt_of_dispute(event: Event) -> Receipt | None:
    match event:
        case Disputed(by, key, reason, evidence):
            return Receipt(by, key, _digest("dispute", reason, evidence), TradeResult("disputed"))
        case Responded(by, key, text, evidence):
            return Receipt(by, key, _digest("respond", text, evidence), TradeResult("responded"))
        case Judged(by, key, upheld, reason):
            return Receipt(by, key, _digest("judge", upheld, reason), TradeResult("judged"))
        case Appealed(by, key, reason):
            return Receipt(by, key, _digest("appeal", reason), TradeResult("appealed"))
        case ReversalOrdered(by, key, reason):
            return Receipt(by, key, _digest("reverse", reason), TradeResult("reversing"))
    return None


def command_behind(state: Trade, event: Event) -> Command | Tick | None:
    """The command that led from this state to this event; None if it only follows another event."""
    match event:
        case Countered(by, key, version, legs, message, expires_at, cool_down_ms):
            return Counter(by, key, version - 1, legs, message, expires_at, cool_down_ms)
        case Accepted(by, key, hash_, copies, cool_down_ms):
            return Accept(by, key, hash_, copies, cool_down_ms)
        case Confirmed(by, key, hash_):
            return Confirm(by, key, hash_)
        case MessageSent(by, key, _, text):
            return SendMessage(by, key, text)
        case Edited(by, key, draft, legs):
            return Edit(by, key, draft - 1, legs)
        case Declined(by, key):
            return Decline(by, key)
        case Invalidated(copy, reason):
            return Invalidate(copy, reason)
        case Executed(fee, royalties, protected_until, dispute_until):
            return Execute(fee, royalties, protected_until, dispute_until)
        case Failed(code, copy):
            return Fail(code, copy)
        case Reversed(code):
            return ReversalDone(code)
    return _command_behind_dispute(event)


def _command_behind_dispute(event: Event) -> Command | Tick:
    match event:
        case Disputed(by, key, reason, evidence):
            return Dispute(by, key, reason, evidence)
        case Responded(by, key, text, evidence):
            return Respond(by, key, text, evidence)
        case Judged(by, key, upheld, reason):
            return Judge(by, key, upheld, reason)
        case Appealed(by, key, reason):
            return Appeal(by, key, reason)
        case ReversalOrdered(by, key, reason):
            return Reverse(by, key, reason)
    return Tick()
