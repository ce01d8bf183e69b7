"""Whether memory grows: the slope of a line through the samples, with its standard error."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from statistics import fmean
from typing import Literal

import msgspec

# Samples near each other depend on each other: the line goes through the means of so many blocks of time. In an hour a
# block is 4.5 minutes: backends of PostgreSQL, the largest part of the noise, last about as long, since a pool closes a
# connection that nobody has used for five.
BLOCKS = 8
# At the beginning of a run caches fill: in an hour's run the last events of each auction (gateways), and ended auctions
# that have not left memory (hosts), within 18 to 25 minutes.
WARM_UP_SHARE = 0.4
SECONDS_MIN = 600.0
STANDARD_ERRORS = 2.0
# A slope below this share of the mean an hour is not worth a name, however certain it is.
NEGLIGIBLE_PER_H = 0.01
HOUR_S = 3600.0

Tendency = Literal["flat", "grows", "falls", "too short to tell"]
FLAT: Tendency = "flat"
GROWS: Tendency = "grows"
FALLS: Tendency = "falls"
TOO_SHORT: Tendency = "too short to tell"


class Trend(msgspec.Struct, frozen=True):
    """`per_h` and `standard_error` are in the unit of the values, an hour; a slope within `bound_per_h` is flat. `mean`
    is after the warm-up."""

    verdict: Tendency
    mean: float
    per_h: float | None = None
    standard_error: float | None = None
    bound_per_h: float | None = None


def slope_of(at: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Least squares: the slope and its standard error. At least three points, not all at one time."""
    mean_at, mean_value = fmean(at), fmean(values)
    spread = sum((x - mean_at) ** 2 for x in at)
    slope = sum((x - mean_at) * (y - mean_value) for x, y in zip(at, values, strict=True)) / spread
    rest = sum((y - mean_value - slope * (x - mean_at)) ** 2 for x, y in zip(at, values, strict=True))
    return slope, sqrt(rest / (len(at) - 2) / spread)


def trend_of(at_s: Sequence[float], values: Sequence[float]) -> Trend:
    """The trend of values that were sampled at these times, in order; `grows` where the slope is more than its noise.

    Runs below SECONDS_MIN give no verdict: what is new in memory then is the warm-up.
    """
    if len(at_s) < 2 * BLOCKS or at_s[-1] - at_s[0] < SECONDS_MIN:
        return Trend(TOO_SHORT, fmean(values) if values else 0.0)
    first = int(len(at_s) * WARM_UP_SHARE)
    at_s, values = at_s[first:], values[first:]
    slope, error = slope_of(_means(at_s), _means(values))
    per_h, error_per_h, mean = slope * HOUR_S, error * HOUR_S, fmean(values)
    bound_per_h = max(STANDARD_ERRORS * error_per_h, NEGLIGIBLE_PER_H * mean)
    verdict: Tendency = FLAT if abs(per_h) <= bound_per_h else GROWS if per_h > 0 else FALLS
    return Trend(verdict, mean, per_h, error_per_h, bound_per_h)


def _means(values: Sequence[float]) -> list[float]:
    edges = [len(values) * n // BLOCKS for n in range(BLOCKS + 1)]
    return [fmean(values[start:end]) for start, end in pairwise(edges)]
