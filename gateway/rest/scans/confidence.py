"""How sure it is that a card is the one in a photograph, by the bits in which fingerprints differ.

Measured with the demo's cards (tests/unit/actors/scanning/test_scan_rates.py): the right card differs in about 20 of
256 bits, in up to 60 under bad light; pictures without a card differ in more than 90 from any card.
"""

from collections.abc import Sequence

SAME_MAX, OTHER_MIN = 32, 92
# Fewer bits between the two nearest cards say that it may be either.
APART = 16
MATCHES_MAX = 3
# Of the nearest one, before it is apart from the next.
_ALONE = 0.6


def confidences(distances: Sequence[int]) -> list[float]:
    """Of up to MATCHES_MAX cards by their distances, the nearest first; those that are too far off are left out."""
    near = [one for one in distances if one < OTHER_MIN][:MATCHES_MAX]
    if not near:
        return []
    following = distances[1] if len(distances) > 1 else OTHER_MIN
    apart = min(1.0, (following - near[0]) / APART)
    first = _closeness(near[0]) * (_ALONE + (1 - _ALONE) * apart)
    others = [_closeness(one) * _ALONE * max(0.0, 1 - (one - near[0]) / (2 * APART)) for one in near[1:]]
    return [round(one, 2) for one in (first, *others)]


def _closeness(distance: int) -> float:
    return min(1.0, (OTHER_MIN - distance) / (OTHER_MIN - SAME_MAX))
