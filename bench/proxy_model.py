"""The English auction with proxy bids in thirty lines: what the rules make of recorded bids, told without the engine.

A second, independent telling of the rules on purpose: a replay compares the engine's price with the recorded one and,
where they differ, with this, so that an error of the engine is not taken for an oddity of the data.
"""

from collections.abc import Iterable
from dataclasses import dataclass

USD = 1_000_000
# (below this price, step), eBay's table.
STEPS = tuple(
    (below * USD, cents * USD // 100)
    for below, cents in (
        (1, 5), (5, 25), (25, 50), (100, 100), (250, 250), (500, 500), (1_000, 1_000), (2_500, 2_500), (5_000, 5_000)
    )
)  # fmt: skip
LAST_STEP = 100 * USD


@dataclass(frozen=True)
class Expected:
    """What the rules give: price None when no bid was accepted."""

    price: int | None
    refused: int


def step_at(price: int) -> int:
    """The increment at a price, base units."""
    return next((step for below, step in STEPS if price < below), LAST_STEP)


def expected(starting_price: int, bids: Iterable[tuple[str, int]], reserve: int | None = None) -> Expected:
    """Feed (bidder, maximum) in order; a hidden reserve lifts the price once the leader's maximum reaches it."""
    price, leader, maximum, refused = starting_price, None, 0, 0
    unmet = reserve
    for bidder, amount in bids:
        if bidder == leader:
            if amount <= maximum:
                refused += 1
                continue
            maximum = amount
        elif amount < (price + step_at(price) if leader is not None else starting_price):
            refused += 1
            continue
        elif leader is None:
            leader, maximum = bidder, amount
        elif amount > maximum:
            price = max(price, min(amount, maximum + step_at(maximum)))
            leader, maximum = bidder, amount
        else:
            price = max(price, min(maximum, amount + step_at(amount)))
        if unmet is not None and maximum >= unmet:
            price, unmet = max(price, unmet), None
    return Expected(price if leader is not None else None, refused)
