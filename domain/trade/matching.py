"""Finds trades of two and three users in what they want and what they are open to trade.

A cycle of the graph "has a copy that the other one wants", through one user, is a trade in which each gives one copy
and gets one. Every step is bounded, so that much in demand costs no more than a page.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice, product

import msgspec

# Of one user for another, of which the best fit is taken.
COPIES_A_PAIR_MAX = 5
CYCLES_MAX = 5_000
BASIS = 10_000


class Match(msgspec.Struct, frozen=True):
    """``giver`` is open to trade this copy, and ``receiver`` wants it. ``value``: base units, None if unknown."""

    giver: int
    receiver: int
    copy: int
    card: int
    value: int | None


class Proposal(msgspec.Struct, frozen=True):
    """A trade that each of its users could want. ``difference_bp``: of the highest value to the lowest one."""

    legs: tuple[Match, ...]
    difference_bp: int | None


def proposals(user: int, matches: Sequence[Match], limit: int) -> list[Proposal]:
    """The trades of this user, those with the most equal values first, then those of fewer users."""
    by_pair: dict[int, dict[int, list[Match]]] = defaultdict(lambda: defaultdict(list))
    for match in matches:
        copies = by_pair[match.giver][match.receiver]
        if len(copies) < COPIES_A_PAIR_MAX and all(match.copy != one.copy for one in copies):
            copies.append(match)
    found = [_fairest(cycle) for cycle in islice(_cycles(user, by_pair), CYCLES_MAX)]
    return sorted(found, key=_order)[:limit]


def _cycles(user: int, by_pair: dict[int, dict[int, list[Match]]]) -> Iterator[list[list[Match]]]:
    """The copies that can be given on each leg of each cycle of two, and then of three."""
    to_others = by_pair.get(user, {})
    for other, given in to_others.items():
        back = by_pair.get(other, {}).get(user)
        if back:
            yield [given, back]
    for second, given in to_others.items():
        for third, passed in by_pair.get(second, {}).items():
            back = by_pair.get(third, {}).get(user) if third != user else None
            if back:
                yield [given, passed, back]


def _fairest(cycle: list[list[Match]]) -> Proposal:
    return min((Proposal(legs, _difference(legs)) for legs in product(*cycle)), key=_order)


def _difference(legs: Sequence[Match]) -> int | None:
    values = [leg.value for leg in legs if leg.value is not None]
    if len(values) < len(legs) or not max(values):
        return None
    return (max(values) - min(values)) * BASIS // max(values)


def _order(proposal: Proposal) -> tuple[bool, int, int, tuple[int, ...]]:
    difference = proposal.difference_bp
    return difference is None, difference or 0, len(proposal.legs), tuple(leg.copy for leg in proposal.legs)
