"""Placement rules. Pure: from the living hosts and the present owners to the moves that are needed.

Most entities share a host by their slot; some have a dedicated one. Slots in `orphans` have no living owner and must
move first. `rebalance` and `dedicated_hosts` give improvements, a few at a time; the next round never undoes them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# From HOT_PER_S orders a second an entity gets a dedicated host, if one is free. Below COLD_PER_S it returns it.
HOT_PER_S = 300
COLD_PER_S = 60
# It also needs at least this part (a quarter) of its host's orders: otherwise the host does not need relief.
HOT_PART = 4
# It returns the host after at least STAY_MS there, once it has been cold for COOL_MS.
STAY_MS = 15_000
COOL_MS = 10_000
# An entity with this many times the rate of another one replaces it.
HOTTER = 2
# Memory of a host process, as measured; the part (a tenth) of a node's memory for dedicated hosts; hosts a core.
HOST_BYTES = 64 * 1024 * 1024
MEMORY_PART = 10
HOSTS_PER_CORE = 2


@dataclass(frozen=True)
class PlacedHost:
    """A living shared host, and the node that it runs on."""

    host_id: str
    node: str = ""


@dataclass(frozen=True)
class Move:
    """Slots that move from one living host to another."""

    slots: tuple[int, ...]
    source: str
    target: str


@dataclass(frozen=True)
class Candidate:
    """A live entity on a shared host, its rate and that of its host (orders a second).

    ``requested``: its terms request a dedicated host.
    """

    entity: int
    rate: int
    requested: bool = False
    host_rate: int = 0

    @property
    def hot(self) -> bool:
        """Whether its rate justifies a dedicated host."""
        return self.rate >= HOT_PER_S and self.rate * HOT_PART >= self.host_rate


@dataclass(frozen=True)
class Dedicated:
    """An entity with a dedicated host, the time that it has had it, and the time that it has been below COLD_PER_S."""

    entity: int
    rate: int
    requested: bool = False
    ended: bool = False
    stayed_ms: int = 0
    cool_ms: int = 0


@dataclass(frozen=True)
class DedicatedChange:
    """The entity that gets a dedicated host now, or the one that returns it; never both."""

    promote: int | None = None
    demote: int | None = None


def budget(memory_bytes: int, cores: int) -> int:
    """How many dedicated hosts a node may run. Each is a process: memory and cores limit them."""
    by_memory = memory_bytes // MEMORY_PART // HOST_BYTES
    return max(0, min(by_memory, cores * HOSTS_PER_CORE))


def active_hosts(owned: Mapping[str, int], hosts: Sequence[PlacedHost], per_node: int) -> list[str]:
    """The hosts that own slots: ``per_node`` on each node, first those that own most now. The others are spare.

    ``owned`` is how many slots each host owns now.
    """
    by_node: dict[str, list[str]] = {}
    for host in hosts:
        by_node.setdefault(host.node, []).append(host.host_id)
    active = []
    for on_node in by_node.values():
        on_node.sort(key=lambda host_id: (-owned.get(host_id, 0), host_id))
        active += on_node[:per_node]
    return sorted(active)


def orphans(
    owners: Mapping[int, str | None],
    hosts: Sequence[PlacedHost],
    per_node: int,
    overrides: Mapping[int, str] | None = None,
) -> dict[int, str]:
    """Slot → host for every slot whose owner is none of these hosts; empty if there is none, or if no host lives.

    ``owners`` has every slot, with the host that owns it (alive or not) or None; ``overrides`` has the slots that an
    operator has pinned to a host.
    """
    owned = {host.host_id: 0 for host in hosts}
    lost = []
    for slot in sorted(owners):
        owner = owners[slot]
        if owner is not None and owner in owned:
            owned[owner] += 1
        else:
            lost.append(slot)
    if not (lost and hosts):
        return {}
    active = active_hosts(owned, hosts, per_node)
    moves = {}
    for slot in lost:
        wanted = (overrides or {}).get(slot)
        target = wanted if wanted in owned else min(active, key=lambda host_id: (owned[host_id], host_id))
        assert target is not None
        moves[slot] = target
        owned[target] += 1
    return moves


def rebalance(
    owners: Mapping[int, str | None],
    hosts: Sequence[PlacedHost],
    per_node: int,
    *,
    leaving: Collection[str] = (),
    overrides: Mapping[int, str] | None = None,
    slots_max: int = 32,
) -> Move | None:
    """The next step towards an even spread, or None when it is reached. Only slots with a living owner move.

    ``leaving`` are hosts that live and are to own nothing. A step moves at most ``slots_max`` slots between one pair
    of hosts, and makes the spread more even or follows an override: so a series of steps ends.
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
    targets = {host.host_id for host in staying}
    pinned = {slot: host for slot, host in (overrides or {}).items() if host in targets and slot in owners}
    requested = _override_move(owners, pinned, slots_max)
    if requested is not None:
        return requested
    active = set(active_hosts({h: len(by_host[h]) for h in targets}, staying, per_node))
    return _even_move(by_host, active, frozenset(pinned), slots_max)


def _override_move(owners: Mapping[int, str | None], pinned: Mapping[int, str], slots_max: int) -> Move | None:
    misplaced = [slot for slot in sorted(pinned) if owners[slot] != pinned[slot]]
    if not misplaced:
        return None
    source, target = owners[misplaced[0]], pinned[misplaced[0]]
    assert source is not None
    same = [slot for slot in misplaced if owners[slot] == source and pinned[slot] == target]
    return Move(tuple(same[:slots_max]), source, target)


def _even_move(
    by_host: Mapping[str, list[int]], active: set[str], pinned: frozenset[int], slots_max: int
) -> Move | None:
    free = {host: [slot for slot in slots if slot not in pinned] for host, slots in by_host.items()}
    target = min(sorted(active), key=lambda host: len(free[host]))
    leaving = [host for host in sorted(by_host) if host not in active and free[host]]
    if leaving:
        source = max(leaving, key=lambda host: len(free[host]))
        number = len(free[source])
        # Not all to one host: each of the others gets its share.
        share = -(-sum(map(len, free.values())) // len(active)) - len(free[target])
        number = min(number, max(1, share))
    else:
        source = max(sorted(active), key=lambda host: len(free[host]))
        if len(free[source]) - len(free[target]) < 2:
            return None
        # Neither host goes past its even share, so no slot has to move twice.
        even, over = divmod(sum(map(len, free.values())), len(active))
        number = min(len(free[source]) - even, even + (over > 0) - len(free[target]))
    return Move(tuple(free[source][: min(number, slots_max)]), source, target)


def dedicated_hosts(
    candidates: Sequence[Candidate], current: Sequence[Dedicated], dedicated_max: int
) -> DedicatedChange:
    """The next entity to promote to a dedicated host, or to demote; at most ``dedicated_max`` have one.

    Entities that request one go first, then those with the highest rate. An entity stays for STAY_MS at least, and
    returns the host when it has ended or been cold for COOL_MS. Before that it loses the host only to an entity that
    requests one, or to one with HOTTER times its rate.
    """
    over = [one for one in current if one.ended or _is_cold(one)]
    if over:
        return DedicatedChange(demote=min(over, key=lambda one: (not one.ended, one.rate, one.entity)).entity)
    if len(current) > dedicated_max:
        return DedicatedChange(demote=min(current, key=_priority).entity)
    eligible = [one for one in candidates if one.requested or one.hot]
    if not eligible or not dedicated_max:
        return DedicatedChange()
    best = max(eligible, key=lambda one: (one.requested, one.rate, -one.entity))
    if len(current) < dedicated_max:
        return DedicatedChange(promote=best.entity)
    weakest = min(current, key=_priority)
    if weakest.requested or weakest.stayed_ms < STAY_MS:
        return DedicatedChange()
    if best.requested or best.rate >= HOTTER * max(weakest.rate, COLD_PER_S):
        return DedicatedChange(demote=weakest.entity)
    return DedicatedChange()


def _is_cold(one: Dedicated) -> bool:
    return not one.requested and one.stayed_ms >= STAY_MS and one.cool_ms >= COOL_MS


def _priority(one: Dedicated) -> tuple[bool, int, int]:
    return one.requested, one.rate, one.entity
