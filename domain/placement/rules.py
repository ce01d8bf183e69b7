"""Who owns what. Pure: from who lives and who owns what now, to what has to move.

Most entities share a host by their slot; some have a dedicated one. `orphans` must move at once, since nobody owns
them; `rebalance` and `dedicated_hosts` are improvements, a few at a time, and never such that the next look would undo
them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# An entity with so many orders a second gets a dedicated host, where one is left, and gives it back below the other.
HOT_PER_S = 300
COLD_PER_S = 60
# ... and if it is at least such a part (a quarter) of what its host has to do: else the host has no need of relief.
HOT_PART = 4
# ... once it has had it for so long, and has been cold for so long.
STAY_MS = 15_000
COOL_MS = 10_000
# One that is so much hotter takes the place of another.
HOTTER = 2
# A host's process, measured; the part of a node's memory that they may have (a tenth); how many a core can feed.
HOST_BYTES = 64 * 1024 * 1024
MEMORY_PART = 10
HOSTS_PER_CORE = 2


@dataclass(frozen=True)
class HostPlace:
    """A living host that owns slots, or could. ``node``: where it runs."""

    host_id: str
    node: str = ""


@dataclass(frozen=True)
class Move:
    """Slots that go from one living host to another."""

    slots: tuple[int, ...]
    source: str
    target: str


@dataclass(frozen=True)
class Candidate:
    """A live entity that is owned with its slot, and all orders of its host a second.

    ``wished``: a dedicated host was asked for it.
    """

    entity: int
    rate: int
    wished: bool = False
    host_rate: int = 0

    @property
    def hot(self) -> bool:
        """Whether it, and those beside it, would be better off if it had a dedicated host."""
        return self.rate >= HOT_PER_S and self.rate * HOT_PART >= self.host_rate


@dataclass(frozen=True)
class Dedicated:
    """An entity with a dedicated host, for so long, and below COLD_PER_S for so long."""

    entity: int
    rate: int
    wished: bool = False
    ended: bool = False
    stayed_ms: int = 0
    cool_ms: int = 0


@dataclass(frozen=True)
class DedicatedChange:
    """Which entity gets a dedicated host now, and which gives it back; one each at most, not both."""

    promote: int | None = None
    demote: int | None = None


def budget(memory_bytes: int, cores: int) -> int:
    """How many entities of one node may have a dedicated host. Each is a process: memory and cores limit them."""
    by_memory = memory_bytes // MEMORY_PART // HOST_BYTES
    return max(0, min(by_memory, cores * HOSTS_PER_CORE))


def active_hosts(kept: Mapping[str, int], hosts: Sequence[HostPlace], per_node: int) -> list[str]:
    """Who is to own slots: on each node so many, first those that own most already. The others stand by.

    ``kept`` has how many slots each host owns now.
    """
    by_node: dict[str, list[str]] = {}
    for host in hosts:
        by_node.setdefault(host.node, []).append(host.host_id)
    active = []
    for on_node in by_node.values():
        on_node.sort(key=lambda host_id: (-kept.get(host_id, 0), host_id))
        active += on_node[:per_node]
    return sorted(active)


def orphans(
    owners: Mapping[int, str | None], hosts: Sequence[HostPlace], per_node: int, wishes: Mapping[int, str] | None = None
) -> dict[int, str]:
    """Slot → host for every slot whose owner is none of these hosts; empty when all is well, or when no host lives.

    ``owners`` has every slot, with the host that owns it (alive or not) or None; ``wishes`` the slots that an operator
    wants on a certain host.
    """
    kept = {host.host_id: 0 for host in hosts}
    lost = []
    for slot in sorted(owners):
        owner = owners[slot]
        if owner is not None and owner in kept:
            kept[owner] += 1
        else:
            lost.append(slot)
    if not (lost and hosts):
        return {}
    active = active_hosts(kept, hosts, per_node)
    moves = {}
    for slot in lost:
        wanted = (wishes or {}).get(slot)
        taker = wanted if wanted in kept else min(active, key=lambda host_id: (kept[host_id], host_id))
        assert taker is not None
        moves[slot] = taker
        kept[taker] += 1
    return moves


def rebalance(
    owners: Mapping[int, str | None],
    hosts: Sequence[HostPlace],
    per_node: int,
    *,
    leaving: Collection[str] = (),
    wishes: Mapping[int, str] | None = None,
    slots_max: int = 32,
) -> Move | None:
    """The next step towards an even spread, or None when it is reached. Only slots with a living owner move.

    ``leaving`` are hosts that live and are to own nothing. A step moves at most ``slots_max`` slots between one pair
    of hosts, and makes the spread more even or fulfils a wish: so a series of steps ends, and stays where it ended.
    """
    staying = [host for host in hosts if host.host_id not in leaving]
    alive = {host.host_id for host in hosts}
    if not staying or any(owner not in alive for owner in owners.values()):
        return None
    by_host: dict[str, list[int]] = {host.host_id: [] for host in hosts}
    for slot in sorted(owners):
        owner = owners[slot]
        assert owner is not None
        by_host[owner].append(slot)
    takers = {host.host_id for host in staying}
    pinned = {slot: host for slot, host in (wishes or {}).items() if host in takers and slot in owners}
    wished = _wished(owners, pinned, slots_max)
    if wished is not None:
        return wished
    active = set(active_hosts({h: len(by_host[h]) for h in takers}, staying, per_node))
    return _evener(by_host, active, frozenset(pinned), slots_max)


def _wished(owners: Mapping[int, str | None], pinned: Mapping[int, str], slots_max: int) -> Move | None:
    misplaced = [slot for slot in sorted(pinned) if owners[slot] != pinned[slot]]
    if not misplaced:
        return None
    source, target = owners[misplaced[0]], pinned[misplaced[0]]
    assert source is not None
    same = [slot for slot in misplaced if owners[slot] == source and pinned[slot] == target]
    return Move(tuple(same[:slots_max]), source, target)


def _evener(by_host: Mapping[str, list[int]], active: set[str], pinned: frozenset[int], slots_max: int) -> Move | None:
    free = {host: [slot for slot in slots if slot not in pinned] for host, slots in by_host.items()}
    target = min(sorted(active), key=lambda host: len(free[host]))
    leavers = [host for host in sorted(by_host) if host not in active and free[host]]
    if leavers:
        source = max(leavers, key=lambda host: len(free[host]))
        number = len(free[source])
        # Not all to one: the others are to have their share, too.
        share = -(-sum(map(len, free.values())) // len(active)) - len(free[target])
        number = min(number, max(1, share))
    else:
        source = max(sorted(active), key=lambda host: len(free[host]))
        if len(free[source]) - len(free[target]) < 2:
            return None
        # Down to the even share, or up to it, but past it for neither: so no slot has to move twice.
        even, over = divmod(sum(map(len, free.values())), len(active))
        number = min(len(free[source]) - even, even + (over > 0) - len(free[target]))
    return Move(tuple(free[source][: min(number, slots_max)]), source, target)


def dedicated_hosts(candidates: Sequence[Candidate], current: Sequence[Dedicated], places: int) -> DedicatedChange:
    """The next change of who has a dedicated host, of which there are so many ``places``.

    Wishes go first, then heat. Whoever got a place keeps it for STAY_MS, gives it back when it has ended or been cold
    for COOL_MS, and loses it before only to a wish, or to one that is HOTTER times as hot.
    """
    over = [one for one in current if one.ended or _is_cold(one)]
    if over:
        return DedicatedChange(demote=min(over, key=lambda one: (not one.ended, one.rate, one.entity)).entity)
    if len(current) > places:
        return DedicatedChange(demote=min(current, key=_least_worth).entity)
    worthy = [one for one in candidates if one.wished or one.hot]
    if not worthy or not places:
        return DedicatedChange()
    best = max(worthy, key=lambda one: (one.wished, one.rate, -one.entity))
    if len(current) < places:
        return DedicatedChange(promote=best.entity)
    weakest = min(current, key=_least_worth)
    if weakest.wished or weakest.stayed_ms < STAY_MS:
        return DedicatedChange()
    if best.wished or best.rate >= HOTTER * max(weakest.rate, COLD_PER_S):
        return DedicatedChange(demote=weakest.entity)
    return DedicatedChange()


def _is_cold(one: Dedicated) -> bool:
    return not one.wished and one.stayed_ms >= STAY_MS and one.cool_ms >= COOL_MS


def _least_worth(one: Dedicated) -> tuple[bool, int, int]:
    return one.wished, one.rate, one.entity
