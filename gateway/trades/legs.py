"""The legs of an offer as clients send them, and as the rules take them."""

from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec

from domain.errors import COPY_NOT_FOUND, INVALID_TERMS, NOT_FOUND
from domain.ids import InvalidId, parse_id
from domain.money import AMOUNT_MAX
from domain.trade.terms import CONDITIONS_MAX, COPIES_MAX, PARTIES_MAX, Condition, Leg
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import IdText

LEGS_MAX = PARTIES_MAX * (PARTIES_MAX - 1)
RARITY_MAX = 64


class ConditionLike(Protocol):
    """One copy of any card that matches all that is given."""

    @property
    def card(self) -> str | None: ...
    @property
    def set(self) -> str | None: ...
    @property
    def rarity(self) -> str | None: ...


class LegLike(Protocol):
    """What a party gives to another."""

    @property
    def giver(self) -> str: ...
    @property
    def receiver(self) -> str: ...
    @property
    def copies(self) -> Sequence[str]: ...
    @property
    def money(self) -> int: ...
    @property
    def conditions(self) -> Sequence[ConditionLike]: ...


class ConditionFields(msgspec.Struct, frozen=True):
    """A condition in a frame."""

    card: IdText | None = None
    set: IdText | None = None
    rarity: Annotated[str, msgspec.Meta(max_length=RARITY_MAX)] | None = None


class LegFields(msgspec.Struct, frozen=True):
    """A leg in a frame."""

    giver: IdText
    receiver: IdText
    copies: Annotated[list[IdText], msgspec.Meta(max_length=COPIES_MAX)] = []
    money: Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)] = 0
    conditions: Annotated[list[ConditionFields], msgspec.Meta(max_length=CONDITIONS_MAX)] = []


Legs = Annotated[list[LegFields], msgspec.Meta(max_length=LEGS_MAX)]


def legs_of(legs: Sequence[LegLike]) -> tuple[Leg, ...]:
    """The legs with numbers for ids. Raises RequestFailed where a text is no id."""
    return tuple(
        Leg(
            _id(leg.giver, NOT_FOUND, "user"),
            _id(leg.receiver, NOT_FOUND, "user"),
            copies_of(leg.copies),
            leg.money,
            tuple(map(_condition, leg.conditions)),
        )
        for leg in legs
    )


def copies_of(copies: Sequence[str]) -> tuple[int, ...]:
    """The ids of copies. Raises RequestFailed ``copy_not_found``."""
    return tuple(_id(copy, COPY_NOT_FOUND, "copy", copy=copy) for copy in copies)


def trade_id(text: str) -> int:
    """The id of a trade. Raises RequestFailed ``not_found``: nothing has an id that is none."""
    return _id(text, NOT_FOUND, "trade")


def _condition(condition: ConditionLike) -> Condition:
    card, card_set = (
        None if one is None else _id(one, INVALID_TERMS, "card or set") for one in (condition.card, condition.set)
    )
    return Condition(card, card_set, condition.rarity)


def _id(text: str, code: str, what: str, **details: str) -> int:
    try:
        return parse_id(text)
    except InvalidId:
        raise RequestFailed(code, f"there is no such {what}", **details) from None  # type: ignore[arg-type]
