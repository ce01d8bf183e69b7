"""What a trade is about: its parties, and legs of copies and money between them.

Money is base units, times are ms since the Unix epoch, ids are numbers.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from domain.money import AMOUNT_MAX

PARTIES_MIN, PARTIES_MAX = 2, 5
# Of all legs of a trade together.
COPIES_MAX = 100
CONDITIONS_MAX = 20
TEXT_MAX = 1_000
EXPIRY_MAX_MS = 30 * 24 * 3_600_000
COOL_DOWN_MAX_MS = 72 * 3_600_000

_encode = msgspec.msgpack.Encoder().encode


class Party(msgspec.Struct, frozen=True, array_like=True):
    """A user who gives and gets something, and their public name."""

    user: int
    name: str


class Condition(msgspec.Struct, frozen=True, array_like=True):
    """One copy of any card that matches: all that is given has to. The giver names the copy when accepting."""

    card: int | None = None
    card_set: int | None = None
    rarity: str | None = None


class Leg(msgspec.Struct, frozen=True, array_like=True):
    """What ``giver`` gives to ``receiver``."""

    giver: int
    receiver: int
    copies: tuple[int, ...] = ()
    money: int = 0
    conditions: tuple[Condition, ...] = ()


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """The terms on which a trade is opened: the parties, which never change, and the first offer.

    ``cool_down_ms`` is the proposer's own. ``fee_bp`` is the house's share of all money that is paid.
    """

    trade: int
    proposer: int
    parties: tuple[Party, ...]
    legs: tuple[Leg, ...]
    expires_at: int
    message: str = ""
    cool_down_ms: int = 0
    fee_bp: int = 0


def terms_fault(terms: Terms) -> str | None:
    """Why no trade can be opened on these terms, or None."""
    users = [party.user for party in terms.parties]
    if not PARTIES_MIN <= len(users) <= PARTIES_MAX:
        return f"a trade has {PARTIES_MIN} to {PARTIES_MAX} parties"
    if len(set(users)) < len(users):
        return "each party is named once"
    if terms.proposer not in users:
        return "the proposer has to be a party"
    return legs_fault(terms.legs, users) or message_fault(terms.message) or cool_down_fault(terms.cool_down_ms)


def legs_fault(legs: Sequence[Leg], users: Sequence[int]) -> str | None:
    """Why these legs can't be an offer between these parties, or None."""
    pairs = [(leg.giver, leg.receiver) for leg in legs]
    if any(giver == receiver for giver, receiver in pairs):
        return "nobody gives anything to themself"
    if not {user for pair in pairs for user in pair} <= set(users):
        return "a leg names somebody who is no party"
    if len(set(pairs)) < len(pairs):
        return "there is one leg from a giver to a receiver"
    if any(not (leg.copies or leg.money or leg.conditions) for leg in legs):
        return "a leg has copies, money or conditions"
    if {giver for giver, _ in pairs} != set(users) or {receiver for _, receiver in pairs} != set(users):
        return "each party has to give something and get something"
    return _copies_fault(legs) or _money_fault(legs)


def _copies_fault(legs: Sequence[Leg]) -> str | None:
    copies = [copy for leg in legs for copy in leg.copies]
    conditions = [condition for leg in legs for condition in leg.conditions]
    if len(copies) + len(conditions) > COPIES_MAX:
        return f"a trade has at most {COPIES_MAX} copies"
    if len(set(copies)) < len(copies):
        return "a copy is given once"
    if len(conditions) > CONDITIONS_MAX:
        return f"a trade has at most {CONDITIONS_MAX} conditions"
    if any(condition == Condition() for condition in conditions):
        return "a condition has a card, a set or a rarity"
    if not copies and not conditions:
        return "a trade has at least one copy: money alone is no trade"
    return None


def _money_fault(legs: Sequence[Leg]) -> str | None:
    if any(not 0 <= leg.money <= AMOUNT_MAX for leg in legs):
        return f"money has to be from 0 to {AMOUNT_MAX} base units"
    if any(sum_ > AMOUNT_MAX for _, sum_ in payments(legs)):
        return f"a party pays at most {AMOUNT_MAX} base units"
    paying = {(leg.giver, leg.receiver) for leg in legs if leg.money}
    if any((receiver, giver) in paying for giver, receiver in paying):
        return "between two parties money goes one way"
    return None


def draft_fault(legs: Sequence[Leg], users: Sequence[int]) -> str | None:
    """Why these legs can't be a draft, or None. A draft may be incomplete."""
    if len(legs) > PARTIES_MAX * (PARTIES_MAX - 1):
        return "there is one leg from a giver to a receiver"
    if not {user for leg in legs for user in (leg.giver, leg.receiver)} <= set(users):
        return "a leg names somebody who is no party"
    if sum(len(leg.copies) + len(leg.conditions) for leg in legs) > COPIES_MAX:
        return f"a trade has at most {COPIES_MAX} copies"
    if any(not 0 <= leg.money <= AMOUNT_MAX for leg in legs):
        return f"money has to be from 0 to {AMOUNT_MAX} base units"
    return None


def message_fault(text: str) -> str | None:
    """Why this can't be a message, or None."""
    return f"a text has at most {TEXT_MAX} characters" if len(text) > TEXT_MAX else None


def cool_down_fault(cool_down_ms: int) -> str | None:
    """Why this can't be a user's cool-down, or None."""
    return None if 0 <= cool_down_ms <= COOL_DOWN_MAX_MS else "a cool-down has at most 72 hours"


def payments(legs: Sequence[Leg]) -> tuple[tuple[int, int], ...]:
    """(user, sum) of all who pay."""
    sums: Counter[int] = Counter()
    for leg in legs:
        sums[leg.giver] += leg.money
    return tuple((user, sum_) for user, sum_ in sorted(sums.items()) if sum_)


def conditions_of(legs: Sequence[Leg], giver: int) -> list[Condition]:
    """The conditions that a giver has to meet, in the order in which they name copies."""
    return [condition for leg in legs if leg.giver == giver for condition in leg.conditions]


def fulfilled(legs: Sequence[Leg], named: dict[int, tuple[int, ...]]) -> tuple[Leg, ...]:
    """The legs with the copies that the givers have named in place of the conditions."""
    left = {giver: iter(copies) for giver, copies in named.items()}
    return tuple(_fulfilled(leg, left[leg.giver]) if leg.conditions else leg for leg in legs)


def _fulfilled(leg: Leg, named: Iterator[int]) -> Leg:
    copies = leg.copies + tuple(next(named) for _ in leg.conditions)
    return Leg(leg.giver, leg.receiver, copies, leg.money)


def terms_hash(trade: int, version: int, legs: Sequence[Leg]) -> str:
    """What a party accepts: SHA-256 of the msgpack of ``[trade, version, legs]``, in hex."""
    return hashlib.sha256(_encode((trade, version, legs))).hexdigest()
