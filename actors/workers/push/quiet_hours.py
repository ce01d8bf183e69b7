"""Hours in which a user wants no push messages, by their own clock."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def quiet_for_ms(now_ms: int, time_zone: str, begin: str | None, end: str | None) -> int:
    """How long the quiet hours last from now on; 0 outside of them, and where ``begin`` or ``end`` is missing.

    Both as ``22:30``; from 22:30 to 07:00 goes over midnight, and the same time twice is no quiet hour.
    """
    if begin is None or end is None or begin == end:
        return 0
    local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(time_zone))
    now, first, last = local.time(), time.fromisoformat(begin), time.fromisoformat(end)
    if not (first <= now < last if first < last else now >= first or now < last):
        return 0
    ends = datetime.combine(local.date(), last, local.tzinfo)
    if ends <= local:
        ends += timedelta(days=1)
    # The wall clock may change in between: what counts is the time that passes.
    return max(1, round((ends.astimezone(UTC) - local.astimezone(UTC)).total_seconds() * 1000))
