"""The director: assigns slots and entities to living hosts, at the start, and when hosts, load or nodes change.

``domain.placement.rules`` decides what moves. Each round assigns what has no living owner; a background task moves what
has one, a step at a time. All state is in the directory and the operators' overrides, so the director can die at any
time, and its next incarnation continues.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

import structlog

from actors.hosting.ownership.ownership import Assignment
from actors.placement.control import ControlFailed, ControlsHosts, DirectorLimits
from actors.placement.dedicated import DedicatedHosts
from actors.placement.membership import MembershipMonitor, ReadsDirectory, View
from actors.placement.reconciler import HostReconciler
from domain.placement.rules import Move, orphans, rebalance
from persistence.placement.directory import slot_of
from persistence.postgres.errors import StoreError

log = structlog.get_logger()

LOOK_EVERY_S = 0.5
# At the start, wait this long for all hosts before slots are assigned to those that are there.
GATHER_S = 8.0
NODE_CHARACTERS = 12


class ReadsOverrides(Protocol):
    """Overrides of operators; may raise StoreError."""

    async def drains(self) -> frozenset[str]: ...

    async def slots(self) -> dict[int, str]: ...


class Director:
    """``run`` until cancelled. ``placed`` is set while everything has a living owner."""

    def __init__(
        self, directory: ReadsDirectory, overrides: ReadsOverrides, control: ControlsHosts, secret: bytes, *,
        limits: DirectorLimits, notify: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._directory = directory
        self._overrides = overrides
        self._control = control
        self._limits = limits
        self._notify = notify
        self._membership = MembershipMonitor(directory, secret, limits.slots_total, self._changed)
        self._hosts = HostReconciler(limits, control, directory, notify)
        self._dedicated = DedicatedHosts(limits, control, directory, notify)
        self._improving: asyncio.Task[None] | None = None
        self._gather_until = 0.0
        self._ever_placed = False
        self._nodes: frozenset[str] | None = None
        self._wake = asyncio.Event()
        self.placed = asyncio.Event()

    async def run(self) -> None:
        """Run rounds until cancelled."""
        try:
            while True:
                try:
                    await self._look()
                except StoreError as error:
                    log.warning("directory_unavailable", error=str(error))
                except ControlFailed as error:
                    log.warning("host_control_failed", error=str(error))
                # Not wait_for: before Python 3.12 it can swallow being cancelled.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            if self._improving is not None:
                self._improving.cancel()
                await asyncio.gather(self._improving, return_exceptions=True)
            self._membership.close()

    def missing_for_s(self) -> float:
        """How long the host that is missing longest has been missing; 0 if none is."""
        return self._hosts.missing_for_s()

    def _changed(self, what: str) -> None:
        self.placed.clear()
        if self._ever_placed:
            self._notify(what)
        self._wake.set()

    async def _look(self) -> None:
        nodes = await self._control.nodes()
        view = await self._membership.look(nodes, await self._control.known())
        draining = await self._overrides.drains()
        overrides = await self._overrides.slots()
        self._note_nodes(view)
        self._hosts.note(view, draining)
        if self._ever_placed or self._hosts.complete or time.monotonic() >= self._gather_until:
            await self._place(view, draining, overrides)
        # Last, since it takes time, and fails while Ray's control store is down: orphans must not wait for it.
        await self._hosts.start_missing(view, draining)

    def _note_nodes(self, view: View) -> None:
        """Report nodes that joined or left. In the first round, find out whether the engine has just started."""
        there = frozenset(view.nodes)
        if self._nodes is None:
            # If hosts are registered, an earlier director ran: don't wait, some of them may have died with it.
            self._gather_until = time.monotonic() + (0.0 if view.registered else GATHER_S)
        else:
            for node in sorted(there - self._nodes):
                self._notify(f"node {node[:NODE_CHARACTERS]} has joined")
            for node in sorted(self._nodes - there):
                self._notify(f"node {node[:NODE_CHARACTERS]} is gone")
        self._nodes = there

    async def _place(self, view: View, draining: frozenset[str], overrides: dict[int, str]) -> None:
        """Assign what has no living owner; if there is nothing of that, begin a step of improvement."""
        given = await self._assign_orphans(view, draining, overrides)
        returned = await self._return_entities(view)
        if view.all_placed:
            self._ever_placed = True
            self.placed.set()
            if self._improving is None or self._improving.done():
                self._improving = asyncio.create_task(self._improve(view, draining, overrides), name="improve")
        elif given or returned:
            self._wake.set()  # The next round sees what was just assigned.

    async def _assign_orphans(self, view: View, draining: frozenset[str], overrides: dict[int, str]) -> bool:
        """Assign slots without a living owner to living hosts; returns whether there were any."""
        moves = defaultdict(list)
        hosts = [host for host in view.shared if host.node not in draining] or view.shared
        lost = {slot: owner if owner in view.living else None for slot, owner in view.owners.items()}
        owned_by_leaving = {s: o for s, o in lost.items() if o is not None and o not in {h.host_id for h in hosts}}
        settled = {slot: owner for slot, owner in lost.items() if slot not in owned_by_leaving}
        for slot, host_id in orphans(settled, hosts, self._limits.hosts, overrides).items():
            moves[host_id].append(slot)
        # Each may have to wait for the leases of the same former owners.
        await asyncio.gather(*(self._take_over(host_id, tuple(slots)) for host_id, slots in moves.items()))
        return bool(moves)

    async def _take_over(self, host_id: str, slots: tuple[int, ...]) -> None:
        await self._control.acquire(host_id, Assignment(slots=slots))
        if self._ever_placed:
            self._notify(f"{host_id} has taken over {len(slots)} slots")

    async def _return_entities(self, view: View) -> bool:
        """Return entities whose dedicated host has died to their slots; returns whether there were any."""
        by_owner = defaultdict(list)
        for entity, dedicated in view.dedicated_owners.items():
            owner = view.owners[slot_of(entity, self._limits.slots_total)]
            if dedicated not in view.living and owner in view.living:
                by_owner[owner].append(entity)
        for owner, entities in by_owner.items():
            assert owner is not None
            await self._control.reacquire(owner, Assignment(entities=tuple(entities)))
            self._notify(f"{owner} has acquired {len(entities)} entities of a dedicated host that died")
        return bool(by_owner)

    async def _improve(self, view: View, draining: frozenset[str], overrides: dict[int, str]) -> None:
        """One step of improvement: move slots, promote or demote an entity, or end a host."""
        try:
            leaving = {h.host_id for h in view.living.values() if h.node in draining}
            move = rebalance(view.owners, view.shared, self._limits.hosts, leaving=leaving, overrides=overrides)
            if move is not None:
                await self._move(move)
                self._wake.set()
                return
            if await self._dedicated.step(view, draining):
                self._wake.set()
                return
            await self._hosts.dismiss(view, draining)
        except (StoreError, ControlFailed) as error:
            log.warning("rebalance_failed", error=str(error))
        except Exception:
            log.exception("rebalance_failed")

    async def _move(self, move: Move) -> None:
        """Move slots from a living host to another. If the target fails, the source acquires them again.

        It may have failed after it had acquired them, so the source takes them from a host that may serve.
        """
        released_at = await self._control.hand_off(move.source, move.slots, ())
        assigned = Assignment(slots=move.slots, released_at=released_at, released_by=move.source)
        try:
            await self._control.acquire(move.target, assigned)
        except ControlFailed:
            await self._control.acquire(move.source, Assignment(slots=move.slots))
            raise
        log.info("slots_moved", slots=len(move.slots), source=move.source, target=move.target)
