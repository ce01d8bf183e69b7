"""What is checked before a command about a trade is sent, and who may see a trade."""

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.stream.messages import Answer, StateAnswer
from domain.errors import (
    COPY_NOT_FOUND,
    COPY_NOT_FREE,
    FORBIDDEN,
    INVALID_TERMS,
    NOT_FOUND,
    NOT_YOUR_COPY,
    STALE_TERMS,
    USER_BLOCKED,
)
from domain.ids import id_text
from domain.text import lines
from domain.trade.masking import masked
from domain.trade.terms import Leg
from domain.trade.views import PublicCondition, PublicTrade
from gateway.identity.tokens import Identity
from gateway.wire.faults import RequestFailed
from persistence.trades.checks import TradeCopy, TradeFacts

FREE = "free"
NO_TRADE = "there is no such trade"

decode_state = msgspec.msgpack.Decoder(PublicTrade).decode
_decode_map = msgspec.msgpack.Decoder(dict[str, Any]).decode


def state_json(answer: Answer) -> dict[str, Any]:
    """A trade's state and position, as REST has it."""
    assert isinstance(answer, StateAnswer), "commands without a key are answered so"
    return _decode_map(answer.state) | {"epoch": answer.epoch, "seq": answer.seq}


def may_see(trade: PublicTrade, caller: Identity, *, moderator: bool) -> bool:
    """Parties always may; a moderator may where there is a dispute."""
    own_id = id_text(caller.user_id)
    return any(party.id == own_id for party in trade.parties) or (moderator and trade.dispute is not None)


def text_of(message: str, *, mask: bool) -> str:
    """A message as it is logged. Raises RequestFailed where it is no text."""
    try:
        cleaned = lines(message)
    except ValueError as error:
        raise RequestFailed(INVALID_TERMS, str(error)) from None
    return masked(cleaned) if mask else cleaned


def words_of(text: str) -> str:
    """What a party says in a dispute, as it is logged: it is not masked. Raises RequestFailed where it is no text."""
    cleaned = text_of(text, mask=False)
    if not cleaned:
        raise RequestFailed(INVALID_TERMS, "say why")
    return cleaned


def evidence_of(evidence: Sequence[str]) -> tuple[str, ...]:
    """Content ids or addresses, as they are logged. Raises RequestFailed where one is no text."""
    return tuple(map(words_of, evidence))


def copies_in(legs: Sequence[Leg]) -> list[int]:
    """All copies of these legs."""
    return [copy for leg in legs for copy in leg.copies]


def check_parties(facts: TradeFacts, caller: int, users: Sequence[int], *, first: bool = True) -> None:
    """All users exist, and take offers of each other. ``first``: a counter-offer is not a new offer."""
    for user in users:
        found = facts.user(user)
        if found is None:
            raise RequestFailed(NOT_FOUND, "there is no such user")
        if first and user != caller and not found.open_to_trade:
            raise RequestFailed(FORBIDDEN, "this user takes no offers")
    if facts.blocked:
        raise RequestFailed(USER_BLOCKED)


def check_copies(facts: TradeFacts, legs: Sequence[Leg]) -> None:
    """All copies exist, are their givers', and free."""
    found = {one.copy: one for one in facts.copies or ()}
    for leg in legs:
        for copy in leg.copies:
            _check_copy(found.get(copy), copy, leg.giver)


def check_named(facts: TradeFacts, caller: int, answer: StateAnswer, hash_: str, copies: Sequence[int]) -> None:
    """The copies that are named for one's conditions are one's own, free, and meet them."""
    trade, own_id = decode_state(answer.state), id_text(caller)
    if trade.hash != hash_:
        raise RequestFailed(STALE_TERMS, version=trade.version, draft=trade.draft_version)
    conditions = [condition for leg in trade.legs if leg.giver == own_id for condition in leg.conditions]
    if len(conditions) != len(copies):
        raise RequestFailed(INVALID_TERMS, "name one copy for each of your conditions, in their order")
    found = {one.copy: one for one in facts.copies or ()}
    for copy, condition in zip(copies, conditions, strict=True):
        named = found.get(copy)
        _check_copy(named, copy, caller)
        if named is not None and not _meets(named, condition):
            raise RequestFailed(INVALID_TERMS, "a copy does not meet its condition")


def _check_copy(found: TradeCopy | None, copy: int, giver: int) -> None:
    if found is None:
        raise RequestFailed(COPY_NOT_FOUND, copy=id_text(copy))
    if found.owner != giver:
        raise RequestFailed(NOT_YOUR_COPY, "this copy is not its giver's", copy=id_text(copy))
    if found.place != FREE:
        raise RequestFailed(COPY_NOT_FREE, copy=id_text(copy))


def _meets(copy: TradeCopy, condition: PublicCondition) -> bool:
    return (
        condition.card in (None, id_text(copy.card))
        and condition.set in (None, id_text(copy.card_set))
        and condition.rarity in (None, copy.rarity)
    )
