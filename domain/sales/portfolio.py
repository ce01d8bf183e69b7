"""What collections and sales come to. Amounts are base units, shares hundredths of a percent, days those of UTC.

The read models (``persistence/analytics/models.py``) do the same in SQL, for many rows at once.
"""

from collections.abc import Iterable

import msgspec

from domain.ledger.currencies import AMOUNT_MAX

DAY_MS = 86_400_000
WHOLE_BP = 10_000
# A card that went from a cent to a fortune: beyond this nobody compares any more.
CHANGE_BP_MAX = 1_000_000_000


class DayValue(msgspec.Struct, frozen=True):
    """What a collection was at the end of a day: ``day`` counts from 1970-01-01."""

    day: int
    copies: int
    value: int


def day_of(at_ms: int) -> int:
    """The day that this time is in."""
    return at_ms // DAY_MS


def capped(amount: int) -> int:
    """A sum, no further from zero than what every client can hold exactly."""
    return max(-AMOUNT_MAX, min(AMOUNT_MAX, amount))


def change_bp(before: int | None, after: int | None) -> int | None:
    """By how much it changed, rounded towards zero. None where there was nothing to change from."""
    if before is None or after is None or before <= 0:
        return None
    size = abs(after - before) * WHOLE_BP // before
    return min(size, CHANGE_BP_MAX) if after >= before else -size


def sell_through_bp(sold: int, offered: int) -> int | None:
    """How much of what was offered was sold; never more than all, though a second chance may be of an earlier offer."""
    return None if offered <= 0 else min(sold * WHOLE_BP // offered, WHOLE_BP)


def value_of(copies: int, price: int | None) -> int | None:
    """What so many copies come to at this price of one. None where there is no price."""
    return None if price is None else capped(copies * price)


def unrealised(copies: int, price: int | None, cost: int) -> int | None:
    """What selling them at this price would bring above their cost. What was made or given has cost nothing."""
    return None if price is None else capped(copies * price - cost)


def filled(rows: Iterable[DayValue], first: int, last: int) -> list[DayValue]:
    """Each day from ``first`` to ``last``. Rows rise by day, and each holds until the next; before them is nothing."""
    days: list[DayValue] = []
    latest = DayValue(first, 0, 0)
    for row in [*rows, DayValue(last + 1, 0, 0)]:
        while first + len(days) < min(row.day, last + 1):
            days.append(DayValue(first + len(days), latest.copies, latest.value))
        latest = row
    return days
