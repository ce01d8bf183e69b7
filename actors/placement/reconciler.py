"""The reconciler: starts and ends hosts, so that every node has the configured number of shared and spare hosts."""

import time
from collections.abc import Callable

from actors.placement.control import ControlsHosts, DirectorLimits
from actors.placement.membership import SHARED_PREFIX, ReadsDirectory, View

# A host that was ordered and has not registered by then is ordered again.
START_WITHIN_S = 60.0


class HostReconciler:
    """Starts missing hosts, and ends those that are not needed any more."""

    def __init__(
        self, limits: DirectorLimits, control: ControlsHosts, directory: ReadsDirectory, notify: Callable[[str], None]
    ) -> None:
        self._limits = limits
        self._control = control
        self._directory = directory
        self._notify = notify
        self._expected: dict[str, str] = {}
        self._ordered: dict[str, tuple[str, float]] = {}
        self._missing_since: dict[str, float] = {}
        self._seen: set[str] = set()
        self.complete = False

    def missing_for_s(self) -> float:
        """How long the host that is missing longest has been missing; 0 if none is."""
        now = time.monotonic()
        return max((now - since for since in self._missing_since.values()), default=0.0)

    def note(self, view: View, draining: frozenset[str]) -> None:
        """Compare the expected hosts with the view."""
        now = time.monotonic()
        self._ordered = {
            host_id: (node, at) for host_id, (node, at) in self._ordered.items()
            if host_id not in view.living and node in view.nodes and now - at < START_WITHIN_S
        }  # fmt: skip
        self._expected = {
            host.host_id: host.node for host in view.registered.values()
            if host.host_id.startswith(SHARED_PREFIX) and host.node not in draining
        } | {host_id: node for host_id, (node, _) in self._ordered.items()}  # fmt: skip
        self._note_missing({host_id for host_id in self._expected if host_id not in view.living}, view, now)
        self.complete = bool(self._expected) and not self._missing_since

    async def start_missing(self, view: View, draining: frozenset[str]) -> None:
        """Start the hosts that were missing at the last ``note``. May raise ControlFailed."""
        for host_id, since in self._missing_since.items():
            if time.monotonic() - since > START_WITHIN_S:
                # Ray's restarts have failed: end the actor, and start a new one.
                self._missing_since[host_id] = time.monotonic()
                await self._order(host_id, self._expected[host_id])
        wanted = self._limits.hosts + self._limits.spare_hosts
        for node in view.nodes.keys() - draining:
            there = sum(1 for on in self._expected.values() if on == node)
            for _ in range(wanted - there):
                await self._order(self._free_name(view), node)

    async def _order(self, host_id: str, node: str) -> None:
        await self._control.start_host(host_id, node)
        self._expected[host_id] = node
        self._ordered[host_id] = (node, time.monotonic())

    async def dismiss(self, view: View, draining: frozenset[str]) -> None:
        """End one living host that owns nothing and is on a node that is drained. May raise ControlFailed."""
        for host in view.living.values():
            if host.node in draining and not host.owns_something:
                await self._control.end_host(host.host_id)
                await self._directory.remove_host(host.host_id)
                self._notify(f"{host.host_id} has been ended: its node is being drained")
                return

    def _free_name(self, view: View) -> str:
        number = 0
        while (name := f"{SHARED_PREFIX}{number}") in self._expected or name in view.living:
            number += 1
        return name

    def _note_missing(self, missing: set[str], view: View, now: float) -> None:
        for host_id in self._missing_since.keys() - missing:
            del self._missing_since[host_id]
            # Otherwise its node is gone or drained, and it is not expected any more.
            if host_id in view.living and host_id in self._seen:
                self._notify(f"{host_id} serves again")
        self._seen |= view.living.keys()
        for host_id in missing:
            self._missing_since.setdefault(host_id, now)
