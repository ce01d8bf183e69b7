"""Values and profits of collections. Amounts are base units, shares hundredths of a percent, days those of UTC.

The read models (``persistence/analytics/models.py``) do the same in SQL, for many rows at once.
"""

from collections.abc import Iterable

import msgspec

from domain.ledger.currencies import AMOUNT_MAX

DAY_MS = 86_400_000
WHOLE_BP = 10_000
# Larger changes are shown as this one.
CHANGE_BP_MAX = 1_000_000_000


class DayValue(msgspec.Struct, frozen=True):
    """The size and value of a collection at the end of a day. ``day`` counts from 1970-01-01."""

    day: int
    copies: int
    value: int


def day_of(at_ms: int) -> int:
    """The day that this time is in."""
    return at_ms // DAY_MS


def capped(amount: int) -> int:
    """The amount, limited to what every client can represent exactly (2**53 - 1)."""
    return max(-AMOUNT_MAX, min(AMOUNT_MAX, amount))


def change_bp(before: int | None, after: int | None) -> int | None:
    """The relative change, rounded towards zero. None without a positive value before."""
    if before is None or after is None or before <= 0:
        return None
    size = abs(after - before) * WHOLE_BP // before
    return min(size, CHANGE_BP_MAX) if after >= before else -size


def sell_through_bp(sold: int, offered: int) -> int | None:
    """The share of the offered copies that was sold, 100 % at most: a second chance may sell an earlier offer."""
    return None if offered <= 0 else min(sold * WHOLE_BP // offered, WHOLE_BP)


def value_of(copies: int, price: int | None) -> int | None:
    """The value of these copies at this price of one. None without a price."""
    return None if price is None else capped(copies * price)


def unrealised(copies: int, price: int | None, cost: int) -> int | None:
    """The unrealised profit at this price. Copies that were made or given have no cost."""
    return None if price is None else capped(copies * price - cost)


def filled(rows: Iterable[DayValue], first: int, last: int) -> list[DayValue]:
    """Each day from ``first`` to ``last``. Rows are in order of days; each applies until the next one."""
    days: list[DayValue] = []
    latest = DayValue(first, 0, 0)
    for row in [*rows, DayValue(last + 1, 0, 0)]:
        while first + len(days) < min(row.day, last + 1):
            days.append(DayValue(first + len(days), latest.copies, latest.value))
        latest = row
    return days
