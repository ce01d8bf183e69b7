"""Encodes holds as the arrays that ``ledger_cover_at_once`` and ``ledger_cover`` take."""

from collections.abc import Sequence

from domain.ledger.currencies import AMOUNT_MAX
from domain.ledger.rules import Reserve

Arrays = tuple[Sequence[int | bytes | None], ...]


def reserves_at_once(wanted: Sequence[Reserve]) -> Arrays | None:
    """One hold for each (reference, owner), and the balance that each owner needs besides; None: not in one call."""
    peaks: dict[int, int] = {}
    pairs: dict[tuple[bytes, int], Reserve] = {}
    for want in wanted:
        owner = want.owner
        peak = peaks.setdefault(owner, 0)
        if want.holds_nothing:
            if want.at_least > peak:
                peaks[owner] = want.at_least
            continue
        pair = (want.reference, owner)
        before = pairs.get(pair)
        if before is not None:
            both = _one_of(before, want)
            if both is None:
                return None
            pairs[pair] = both
        elif want.at_least > want.at_most:
            return None
        else:
            pairs[pair] = want
    holds = pairs.values()
    return (
        list(peaks),
        list(peaks.values()),
        [reference for reference, _ in pairs],
        [owner for _, owner in pairs],
        [hold.at_least for hold in holds],
        [hold.at_most for hold in holds],
        [hold.unless_above for hold in holds],
    )


def reserves_in_turn(wanted: Sequence[Reserve]) -> Arrays:
    """Each owner and each (reference, owner) once; then what is wanted, with the places of these."""
    owners = sorted({want.owner for want in wanted})
    owner_places = {owner: place for place, owner in enumerate(owners, 1)}
    pairs: dict[tuple[bytes, int], int] = {}
    places = [pairs.setdefault((want.reference, owner_places[want.owner]), len(pairs) + 1) for want in wanted]
    return (
        owners,
        [reference for reference, _ in pairs],
        [owner for _, owner in pairs],
        places,
        [want.at_least for want in wanted],
        [want.at_most for want in wanted],
        [want.unless_above for want in wanted],
    )


def _one_of(first: Reserve, second: Reserve) -> Reserve | None:
    """A release of a hold and a later raise of it as one order; None for other pairs."""
    lets_go = first.at_least == 0 and first.at_most <= second.at_least
    raises = second.at_most == AMOUNT_MAX and second.unless_above is None
    if not (lets_go and raises):
        return None
    if first.unless_above is not None and first.unless_above <= second.at_least:
        # The released amount is reserved again: only a hold that is larger than both stays.
        return second
    return Reserve(first.reference, first.owner, second.at_least, second.at_least, first.unless_above)
