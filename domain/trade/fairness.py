"""What each party of a trade gives and gets, by the prices of the cards: a hint, not a promise."""

from collections.abc import Mapping, Sequence

import msgspec

from domain.trade.terms import Leg

BASIS = 10_000
# Sales of 30 days from which on a last price is taken as good.
SALES_MANY = 3


class Price(msgspec.Struct, frozen=True):
    """A copy's value in base units, and how sure it is: ``high``, ``medium`` or ``low``."""

    value: int
    certainty: str


class Side(msgspec.Struct, frozen=True):
    """Of one party: the values of the copies, the money, and how many copies and conditions have no value."""

    copies_value: int
    money: int
    unvalued: int

    @property
    def total(self) -> int:
        return self.copies_value + self.money


class Balance(msgspec.Struct, frozen=True):
    """What one user gives and gets."""

    user: int
    gives: Side
    gets: Side


class Fairness(msgspec.Struct, frozen=True):
    """``difference_bp``: the greatest difference between what a party gives and gets, of the larger side.

    ``certainty`` is that of the least certain copy; ``none``: a copy, or a condition, has no value.
    """

    balances: tuple[Balance, ...]
    difference_bp: int
    certainty: str


_BY_CERTAINTY = ("none", "low", "medium", "high")


def price_of(last_price: int | None, floor: int | None, sales: int) -> Price | None:
    """By the last sale, or else by the floor. Surer with many sales, or where both agree within a quarter."""
    if last_price is None:
        return None if floor is None else Price(floor, "low")
    agree = floor is not None and abs(floor - last_price) * 4 <= last_price
    if sales >= SALES_MANY:
        return Price(last_price, "high" if agree or floor is None else "medium")
    return Price(last_price, "medium" if agree else "low")


def fairness(legs: Sequence[Leg], prices: Mapping[int, Price]) -> Fairness:
    """Compare the sides of all parties."""
    users = list(dict.fromkeys(user for leg in legs for user in (leg.giver, leg.receiver)))
    balances = tuple(
        Balance(
            user,
            _side([leg for leg in legs if leg.giver == user], prices),
            _side([leg for leg in legs if leg.receiver == user], prices),
        )
        for user in users
    )
    known = [prices[copy].certainty for leg in legs for copy in leg.copies if copy in prices]
    certain = ["none" if any(one.gives.unvalued for one in balances) else "high", *known]
    return Fairness(balances, max(map(_difference_bp, balances), default=0), min(certain, key=_BY_CERTAINTY.index))


def _side(legs: Sequence[Leg], prices: Mapping[int, Price]) -> Side:
    copies = [copy for leg in legs for copy in leg.copies]
    known = [prices[copy].value for copy in copies if copy in prices]
    conditions = sum(len(leg.conditions) for leg in legs)
    return Side(sum(known), sum(leg.money for leg in legs), len(copies) - len(known) + conditions)


def _difference_bp(balance: Balance) -> int:
    larger = max(balance.gives.total, balance.gets.total)
    return abs(balance.gives.total - balance.gets.total) * BASIS // larger if larger else 0
