"""Operations on trades. They do the same as the routes in gateway/rest/trades/."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec

from actors.stream.messages import Accepted, Answer
from domain.permissions import Permission
from domain.trade.commands import Appeal, Decline, Dispute, Edit, Respond
from domain.trade.disputes import EVIDENCE_LENGTH_MAX, EVIDENCE_MAX
from domain.trade.terms import CONDITIONS_MAX, EXPIRY_MAX_MS, TEXT_MAX
from gateway.identity.tokens import Identity
from gateway.trades.answers import result_json
from gateway.trades.checks import evidence_of, words_of
from gateway.trades.commands import Proposed, UserCommand
from gateway.trades.legs import Legs, copies_of, legs_of, trade_id
from gateway.trades.services import Trades
from gateway.websocket.operations.operation import LocalOperation, PreparedOperation
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import Frame, IdText, Key, NonNegative

HASH_LENGTH = 64

Text = Annotated[str, msgspec.Meta(max_length=TEXT_MAX)]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)]
Hash = Annotated[str, msgspec.Meta(min_length=HASH_LENGTH, max_length=HASH_LENGTH)]
Code = Annotated[str, msgspec.Meta(max_length=64)]
ExpiresIn = Annotated[int, msgspec.Meta(ge=1, le=EXPIRY_MAX_MS)]
Named = Annotated[list[IdText], msgspec.Meta(max_length=CONDITIONS_MAX)]
Evidence = Annotated[
    list[Annotated[str, msgspec.Meta(min_length=1, max_length=EVIDENCE_LENGTH_MAX)]],
    msgspec.Meta(max_length=EVIDENCE_MAX),
]


class OfferFrame(Frame, frozen=True, tag="trade_offer"):
    key: Key
    legs: Legs
    message: Text = ""
    expires_in_ms: ExpiresIn | None = None


class TradeFrame(Frame, frozen=True):
    """A frame about a trade; it is no operation itself."""

    trade: IdText
    key: Key


class CounterFrame(TradeFrame, frozen=True, tag="trade_counter"):
    version: NonNegative
    legs: Legs
    message: Text = ""
    expires_in_ms: ExpiresIn | None = None


class AcceptFrame(TradeFrame, frozen=True, tag="trade_accept"):
    hash: Hash
    copies: Named = msgspec.field(default_factory=list)


class ConfirmFrame(TradeFrame, frozen=True, tag="trade_confirm"):
    hash: Hash
    code: Code | None = None


class DeclineFrame(TradeFrame, frozen=True, tag="trade_decline"):
    pass


class MessageFrame(TradeFrame, frozen=True, tag="trade_message"):
    text: Words


class EditFrame(TradeFrame, frozen=True, tag="trade_edit"):
    draft: NonNegative
    legs: Legs


class DisputeFrame(TradeFrame, frozen=True, tag="trade_dispute"):
    reason: Words
    evidence: Evidence = msgspec.field(default_factory=list)


class RespondFrame(TradeFrame, frozen=True, tag="trade_respond"):
    text: Words
    evidence: Evidence = msgspec.field(default_factory=list)


class AppealFrame(TradeFrame, frozen=True, tag="trade_appeal"):
    reason: Words


class TypingFrame(Frame, frozen=True, tag="trade_typing"):
    trade: IdText


async def _offer(trades: Trades, frame: OfferFrame, caller: Identity) -> dict[str, Any]:
    offer = Proposed(legs_of(frame.legs), frame.message, frame.expires_in_ms)
    answer = await trades.commands.offer(caller, frame.key, offer)
    members: dict[str, Any] = msgspec.json.decode(answer.body)
    if answer.status >= 400:
        raise RequestFailed(members.pop("code"), members.pop("detail"), **_details(members))
    return members


def _details(problem: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in problem.items() if name not in ("type", "title", "status")}


async def _counter(trades: Trades, frame: CounterFrame, caller: Identity) -> Answer:
    offer = Proposed(legs_of(frame.legs), frame.message, frame.expires_in_ms)
    return await trades.commands.counter(caller, frame.key, trade_id(frame.trade), frame.version, offer)


async def _accept(trades: Trades, frame: AcceptFrame, caller: Identity) -> Answer:
    copies = copies_of(frame.copies)
    return await trades.commands.accept(caller, frame.key, trade_id(frame.trade), frame.hash, copies)


async def _confirm(trades: Trades, frame: ConfirmFrame, caller: Identity) -> Answer:
    return await trades.commands.confirm(caller, frame.key, trade_id(frame.trade), frame.hash, frame.code)


async def _message(trades: Trades, frame: MessageFrame, caller: Identity) -> Answer:
    return await trades.commands.message(caller, frame.key, trade_id(frame.trade), frame.text)


def _sent(order: Callable[[Any, int], UserCommand]) -> Callable[[Trades, Any, Identity], Awaitable[Answer]]:
    """Sends what a frame of a user orders, without look-ups."""

    async def send(trades: Trades, frame: Any, caller: Identity) -> Answer:
        return await trades.commands.send(caller, trade_id(frame.trade), order(frame, caller.user_id))

    return send


def _dispute(frame: DisputeFrame, user: int) -> Dispute:
    return Dispute(user, frame.key, words_of(frame.reason), evidence_of(frame.evidence))


def _respond(frame: RespondFrame, user: int) -> Respond:
    return Respond(user, frame.key, words_of(frame.text), evidence_of(frame.evidence))


def _offered(frame: OfferFrame, state: dict[str, Any]) -> dict[str, Any]:
    """The position is beside the state, as in the reply to ``subscribe``."""
    position = {"epoch": state.pop("epoch"), "seq": state.pop("seq")}
    return {"id": frame.id, "ok": True, "trade": state["id"], **position, "hash": state["hash"], "state": state}


def _reply(frame: TradeFrame, answer: Accepted) -> dict[str, Any]:
    return {"id": frame.id, "ok": True} | result_json(frame.trade, answer)


def _typing(session: Any, frame: TypingFrame) -> dict[str, Any]:
    session.typing(f"trade:{frame.trade}")
    return {"id": frame.id, "ok": True}


TRADE_OPERATIONS = (
    PreparedOperation(OfferFrame, Permission.TRADE, _offer, _offered),
    PreparedOperation(CounterFrame, Permission.TRADE, _counter, _reply),
    PreparedOperation(AcceptFrame, Permission.TRADE, _accept, _reply),
    PreparedOperation(ConfirmFrame, Permission.TRADE, _confirm, _reply),
    PreparedOperation(MessageFrame, Permission.DISPUTE, _message, _reply),
    PreparedOperation(DeclineFrame, Permission.TRADE, _sent(lambda frame, user: Decline(user, frame.key)), _reply),
    PreparedOperation(
        EditFrame,
        Permission.TRADE,
        _sent(lambda frame, user: Edit(user, frame.key, frame.draft, legs_of(frame.legs))),
        _reply,
    ),
    PreparedOperation(DisputeFrame, Permission.DISPUTE, _sent(_dispute), _reply),
    PreparedOperation(RespondFrame, Permission.DISPUTE, _sent(_respond), _reply),
    PreparedOperation(
        AppealFrame,
        Permission.DISPUTE,
        _sent(lambda frame, user: Appeal(user, frame.key, words_of(frame.reason))),
        _reply,
    ),
    LocalOperation(TypingFrame, Permission.DISPUTE, _typing),
)
