"""Which host keeps which slot. Pure: from who lives and who keeps what now, to what has to move.

Slots move only when they must: a slot whose keeper lives stays where it is. ``active_wanted`` hosts keep slots, further
ones stand by; when a keeper dies, a host that stands by takes over all that it kept.
"""

from collections.abc import Mapping, Sequence


def plan(owners: Mapping[int, str | None], hosts: Sequence[str], active_wanted: int) -> dict[int, str]:
    """Slot → host for every slot that has to move now; empty when all is well, or when no host lives.

    ``owners`` has every slot, with the host that keeps it (alive or not) or None; ``hosts`` are those that live.
    """
    living = sorted(set(hosts))
    if not living:
        return {}
    kept = dict.fromkeys(living, 0)
    orphans = []
    for slot in sorted(owners):
        owner = owners[slot]
        if owner in kept:
            kept[owner] += 1
        else:
            orphans.append(slot)
    if not orphans:
        return {}
    active = [host for host in living if kept[host]]
    standing_by = [host for host in living if not kept[host]]
    takers = standing_by[: max(0, active_wanted - len(active))] or active or standing_by
    moves = {}
    for slot in orphans:
        taker = min(takers, key=lambda host: (kept[host], host))
        moves[slot] = taker
        kept[taker] += 1
    return moves
