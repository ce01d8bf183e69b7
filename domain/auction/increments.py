"""Bid increments by current price: eBay's table, or one that the seller gives."""

import itertools
from bisect import bisect_right

from domain.money import AMOUNT_MAX, usd

IncrementTable = tuple[tuple[int, int], ...]
"""Rows ``(from_price, step)`` in base units, ascending, the first from 0."""

INCREMENT_ROWS_MAX = 32

# eBay's public table (USD): from this price on, this step.
STANDARD_INCREMENTS: IncrementTable = (
    (0, usd(0, 5)),
    (usd(1), usd(0, 25)),
    (usd(5), usd(0, 50)),
    (usd(25), usd(1)),
    (usd(100), usd(2, 50)),
    (usd(250), usd(5)),
    (usd(500), usd(10)),
    (usd(1_000), usd(25)),
    (usd(2_500), usd(50)),
    (usd(5_000), usd(100)),
)


def increment_at(table: IncrementTable, price: int) -> int:
    """The step above this price."""
    return table[bisect_right(table, (price, AMOUNT_MAX * 2)) - 1][1]


def increment_table_fault(table: IncrementTable) -> str | None:
    """Why this is no increment table, or None when it is one."""
    if not 1 <= len(table) <= INCREMENT_ROWS_MAX:
        return f"an increment table has 1 to {INCREMENT_ROWS_MAX} rows"
    if table[0][0] != 0:
        return "the first row of an increment table starts at price 0"
    for (lower, _), (upper, _) in itertools.pairwise(table):
        if upper <= lower:
            return "the prices of an increment table must rise"
    if any(not 0 < step <= AMOUNT_MAX for _, step in table):
        return f"every increment must be from 1 to {AMOUNT_MAX} base units"
    return None
