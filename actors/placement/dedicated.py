"""Dedicated hosts: for entities whose terms request one and for hot ones, as long as the nodes have room."""

import time
from collections.abc import Callable

import structlog

from actors.hosting.ownership.ownership import Assignment
from actors.placement.control import ControlsHosts, DirectorLimits
from actors.placement.membership import DEDICATED_PREFIX, ReadsDirectory, View
from domain.placement.rules import COLD_PER_S, Candidate, Dedicated, budget, dedicated_hosts
from persistence.placement.directory import slot_of

log = structlog.get_logger()

START_WITHIN_S = 60.0
# An idle dedicated host is ended after this time.
IDLE_FOR_S = 60.0


class DedicatedHosts:
    """Promotes and demotes entities, one at a time."""

    def __init__(
        self, limits: DirectorLimits, control: ControlsHosts, directory: ReadsDirectory, notify: Callable[[str], None]
    ) -> None:
        self._limits = limits
        self._control = control
        self._directory = directory
        self._notify = notify
        self._ordered: dict[str, tuple[str, float]] = {}
        self._dedicated_since: dict[int, float] = {}
        self._cool_since: dict[int, float] = {}
        self._idle_since: dict[str, float] = {}

    async def step(self, view: View, draining: frozenset[str]) -> bool:
        """Take the next step; returns whether there was one. May raise ControlFailed."""
        now = time.monotonic()
        current = self._current(view, now)
        leaving = [host for host in view.dedicated if host.node in draining and host.entities]
        if leaving:
            await self._demote(view, leaving[0].entities[0])
            return True
        change = dedicated_hosts(self._candidates(view), current, self._dedicated_max(view, draining))
        if change.demote is not None:
            await self._demote(view, change.demote)
        elif change.promote is not None:
            return await self._promote(view, draining, change.promote, now)
        else:
            return await self._end_idle(view, now)
        return True

    def _dedicated_max(self, view: View, draining: frozenset[str]) -> int:
        if self._limits.dedicated_max is not None:
            return self._limits.dedicated_max
        return sum(budget(n.memory_bytes, n.cores) for n in view.nodes.values() if n.node_id not in draining)

    def _candidates(self, view: View) -> list[Candidate]:
        found: dict[int, Candidate] = {}
        for host_id, report in view.reports.items():
            if host_id.startswith(DEDICATED_PREFIX):
                continue
            for hot in report.hottest:
                requested = hot.entity in report.dedicated_wanted
                found[hot.entity] = Candidate(hot.entity, hot.rate, requested, round(report.orders_rate))
            for entity in report.dedicated_wanted:
                found.setdefault(entity, Candidate(entity, 0, requested=True))
        return [one for one in found.values() if one.entity not in view.dedicated_owners]

    def _current(self, view: View, now: float) -> list[Dedicated]:
        found = []
        for host in view.dedicated:
            report = view.reports[host.host_id]
            rates = {hot.entity: hot.rate for hot in report.hottest}
            for entity in host.entities:
                rate = rates.get(entity, 0)
                since = self._dedicated_since.setdefault(entity, now)
                cool_since = self._cool_since.setdefault(entity, now) if rate < COLD_PER_S else None
                if cool_since is None:
                    self._cool_since.pop(entity, None)
                cool_ms = 0 if cool_since is None else round(1000 * (now - cool_since))
                requested, ended = entity in report.dedicated_wanted, entity in report.ended
                found.append(Dedicated(entity, rate, requested, ended, round(1000 * (now - since)), cool_ms))
        there = {one.entity for one in found}
        self._dedicated_since = {a: since for a, since in self._dedicated_since.items() if a in there}
        self._cool_since = {a: since for a, since in self._cool_since.items() if a in there}
        return found

    async def _promote(self, view: View, draining: frozenset[str], entity: int, now: float) -> bool:
        free = [host for host in view.dedicated if not host.owns_something and host.node not in draining]
        if not free:
            await self._order_one(view, draining, now)
            return False
        target = free[0].host_id
        source = view.owners[slot_of(entity, self._limits.slots_total)]
        assert source is not None
        released_at = await self._control.hand_off(source, (), (entity,))
        assigned = Assignment(entities=(entity,), released_at=released_at, released_by=source)
        try:
            await self._control.acquire(target, assigned)
        except Exception:
            # It may have failed after it had acquired the entity.
            await self._control.reacquire(source, Assignment(entities=(entity,)))
            raise
        self._notify(f"entity {entity} has a dedicated host now: {target}")
        return True

    async def _demote(self, view: View, entity: int) -> None:
        source = view.dedicated_owners[entity]
        owner = view.owners[slot_of(entity, self._limits.slots_total)]
        assert source is not None
        assert owner is not None
        released_at = await self._control.hand_off(source, (), (entity,))
        assigned = Assignment(entities=(entity,), released_at=released_at, released_by=source)
        await self._control.reacquire(owner, assigned)
        self._notify(f"entity {entity} is with its slot again, on {owner}")

    async def _order_one(self, view: View, draining: frozenset[str], now: float) -> None:
        """Start another dedicated host on the node with the fewest, unless one is starting."""
        self._ordered = {
            host_id: (node, at) for host_id, (node, at) in self._ordered.items()
            if host_id not in view.living and node in view.nodes and now - at < START_WITHIN_S
        }  # fmt: skip
        coming = self._ordered or [
            host_id
            for host_id in view.registered
            if host_id.startswith(DEDICATED_PREFIX) and host_id not in view.living
        ]
        nodes = sorted(view.nodes.keys() - draining)
        if coming or not nodes:
            return
        number = 0
        while (name := f"{DEDICATED_PREFIX}{number}") in view.registered:
            number += 1
        node = min(nodes, key=lambda node_id: sum(1 for host in view.dedicated if host.node == node_id))
        await self._control.start_host(name, node)
        self._ordered[name] = (node, now)

    async def _end_idle(self, view: View, now: float) -> bool:
        idle = {host.host_id for host in view.dedicated if not host.owns_something}
        self._idle_since = {host_id: self._idle_since.get(host_id, now) for host_id in idle}
        for host_id, since in self._idle_since.items():
            if now - since >= IDLE_FOR_S:
                await self._control.end_host(host_id)
                await self._directory.remove_host(host_id)
                return True
        return False
