"""The English auction with proxy bids in thirty lines: what the rules make of recorded bids, told without the engine.

A second, independent telling of the rules on purpose: a replay compares the engine's price with the recorded one and,
where they differ, with this, so that an error of the engine is not taken for an error of the data.
"""

from collections.abc import Iterable
from dataclasses import dataclass

USD = 1_000_000
# (from this price, step), rising.
Steps = tuple[tuple[int, int], ...]
EBAY_STEPS: Steps = tuple(
    (from_price * USD, cents * USD // 100)
    for from_price, cents in (
        (0, 5), (1, 25), (5, 50), (25, 100), (100, 250), (250, 500), (500, 1_000), (1_000, 2_500), (2_500, 5_000),
        (5_000, 10_000),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What the rules give: the price, None when no bid was accepted, and that after each bid, None when refused."""

    price: int | None
    after: tuple[int | None, ...]

    @property
    def refused(self) -> int:
        return self.after.count(None)


def step_at(price: int, steps: Steps = EBAY_STEPS) -> int:
    """The increment at a price, base units."""
    return next(step for from_price, step in reversed(steps) if price >= from_price)


def expected(
    starting_price: int, bids: Iterable[tuple[str, int]], reserve: int | None = None, steps: Steps = EBAY_STEPS
) -> Expected:
    """Feed (bidder, maximum) in order; a hidden reserve lifts the price once the leader's maximum reaches it."""
    price, leader, maximum = starting_price, None, 0
    after: list[int | None] = []
    unmet = reserve
    for bidder, amount in bids:
        if bidder == leader:
            if amount <= maximum:
                after.append(None)
                continue
            maximum = amount
        elif amount < (price + step_at(price, steps) if leader is not None else starting_price):
            after.append(None)
            continue
        elif leader is None:
            leader, maximum = bidder, amount
        elif amount > maximum:
            price = max(price, min(amount, maximum + step_at(maximum, steps)))
            leader, maximum = bidder, amount
        else:
            price = max(price, min(maximum, amount + step_at(amount, steps)))
        if unmet is not None and maximum >= unmet:
            price, unmet = max(price, unmet), None
        after.append(price)
    return Expected(price if leader is not None else None, tuple(after))
