"""Hosts for one auction each: those that sellers asked for and those that are hot, as long as the nodes have room."""

import time
from collections.abc import Callable

import structlog

from actors.hosting.ownership.places import Taken
from actors.placement.control import ControlsHosts, DirectorLimits
from actors.placement.fleet import SOLO_PREFIX, ReadsDirectory, View
from domain.placement.rules import COLD_PER_S, Alone, Candidate, budget, own_hosts
from persistence.placement.directory import slot_of

log = structlog.get_logger()

START_WITHIN_S = 60.0
# A host without an auction is kept for the next one, for so long.
IDLE_FOR_S = 60.0


class Solos:
    """Promotes and demotes, one at a time."""

    def __init__(
        self, limits: DirectorLimits, control: ControlsHosts, directory: ReadsDirectory, say: Callable[[str], None]
    ) -> None:
        self._limits = limits
        self._control = control
        self._directory = directory
        self._say = say
        self._ordered: dict[str, tuple[str, float]] = {}
        self._alone_since: dict[int, float] = {}
        self._cool_since: dict[int, float] = {}
        self._idle_since: dict[str, float] = {}

    async def step(self, view: View, draining: frozenset[str]) -> bool:
        """Do what is due next; whether anything was done. May raise ControlFailed."""
        now = time.monotonic()
        alone = self._alone(view, now)
        leaving = [host for host in view.solo if host.node in draining and host.auctions]
        if leaving:
            await self._demote(view, leaving[0].auctions[0])
            return True
        change = own_hosts(self._candidates(view), alone, self._places(view, draining))
        if change.demote is not None:
            await self._demote(view, change.demote)
        elif change.promote is not None:
            return await self._promote(view, draining, change.promote, now)
        else:
            return await self._end_idle(view, now)
        return True

    def _places(self, view: View, draining: frozenset[str]) -> int:
        if self._limits.dedicated_max is not None:
            return self._limits.dedicated_max
        return sum(budget(n.memory_bytes, n.cores) for n in view.nodes.values() if n.node_id not in draining)

    def _candidates(self, view: View) -> list[Candidate]:
        found: dict[int, Candidate] = {}
        for host_id, vitals in view.vitals.items():
            if host_id.startswith(SOLO_PREFIX):
                continue
            for heat in vitals.hottest:
                wished = heat.auction in vitals.wishes
                found[heat.auction] = Candidate(heat.auction, heat.rate, wished, round(vitals.orders_rate))
            for auction in vitals.wishes:
                found.setdefault(auction, Candidate(auction, 0, wished=True))
        return [one for one in found.values() if one.auction not in view.alone]

    def _alone(self, view: View, now: float) -> list[Alone]:
        found = []
        for host in view.solo:
            vitals = view.vitals[host.host_id]
            rates = {heat.auction: heat.rate for heat in vitals.hottest}
            for auction in host.auctions:
                rate = rates.get(auction, 0)
                since = self._alone_since.setdefault(auction, now)
                cool_since = self._cool_since.setdefault(auction, now) if rate < COLD_PER_S else None
                if cool_since is None:
                    self._cool_since.pop(auction, None)
                cool_ms = 0 if cool_since is None else round(1000 * (now - cool_since))
                wished, finished = auction in vitals.wishes, auction in vitals.finished
                found.append(Alone(auction, rate, wished, finished, round(1000 * (now - since)), cool_ms))
        there = {one.auction for one in found}
        self._alone_since = {a: since for a, since in self._alone_since.items() if a in there}
        self._cool_since = {a: since for a, since in self._cool_since.items() if a in there}
        return found

    async def _promote(self, view: View, draining: frozenset[str], auction: int, now: float) -> bool:
        free = [host for host in view.solo if not host.keeps_something and host.node not in draining]
        if not free:
            await self._order_one(view, draining, now)
            return False
        target = free[0].host_id
        source = view.owners[slot_of(auction, self._limits.slots_total)]
        assert source is not None
        released_at = await self._control.release(source, (), (auction,))
        taken = Taken(auctions=(auction,), released_at=released_at)
        try:
            await self._control.take(target, taken)
        except Exception:
            await self._control.take_back(source, taken)
            raise
        self._say(f"auction {auction} has a host of its own now: {target}")
        return True

    async def _demote(self, view: View, auction: int) -> None:
        source = view.alone[auction]
        keeper = view.owners[slot_of(auction, self._limits.slots_total)]
        assert source is not None
        assert keeper is not None
        released_at = await self._control.release(source, (), (auction,))
        await self._control.take_back(keeper, Taken(auctions=(auction,), released_at=released_at))
        self._say(f"auction {auction} is with its slot again, on {keeper}")

    async def _order_one(self, view: View, draining: frozenset[str], now: float) -> None:
        """Have another one started, where the fewest are, unless one is on its way."""
        self._ordered = {
            host_id: (node, at) for host_id, (node, at) in self._ordered.items()
            if host_id not in view.living and node in view.nodes and now - at < START_WITHIN_S
        }  # fmt: skip
        coming = self._ordered or [
            h for h in view.registered.values() if h.host_id.startswith(SOLO_PREFIX) and h.host_id not in view.living
        ]
        nodes = sorted(view.nodes.keys() - draining)
        if coming or not nodes:
            return
        number = 0
        while (name := f"{SOLO_PREFIX}{number}") in view.registered:
            number += 1
        node = min(nodes, key=lambda node_id: sum(1 for host in view.solo if host.node == node_id))
        await self._control.start_host(name, node)
        self._ordered[name] = (node, now)

    async def _end_idle(self, view: View, now: float) -> bool:
        idle = {host.host_id for host in view.solo if not host.keeps_something}
        self._idle_since = {host_id: self._idle_since.get(host_id, now) for host_id in idle}
        for host_id, since in self._idle_since.items():
            if now - since >= IDLE_FOR_S:
                await self._control.end_host(host_id)
                await self._directory.remove_host(host_id)
                return True
        return False
