"""Reserves the amounts that users may lose before a batch is appended to the log.

A batch is decided on overlays first. Where everybody can pay, which is nearly always so, the append itself reserves
what its decisions newly need and releases what is not needed any more (``plan``). Otherwise the ledger is called
first (``reserve``), in one call for all, and the rows are encoded meanwhile. For bidders who are outbid within the
batch the balance is only checked, nothing is reserved. A decision that its user can't pay for is dropped, the
decisions after it in the same entity are made again, and only those are reserved again.

A bidder who is outbid usually bids again soon, and then a release would be followed by a new reservation. So releases
wait for a moment: a reservation that is needed again meanwhile is only raised. Nobody is refused because of a release
that waits in this host, since ``reserve`` sends all of them first.

Only one batch is in flight at a time, and only settlement changes these reservations besides. A reservation of a host
that died, or of a batch that was lost, is found when the entity is loaded (``check``), or by the periodic check.

Another host may own an entity by now, and its reservations may be for newer bids. So a release does not apply to a
reservation above a given amount, and reservations are compared with states only between batches, under the lease.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

import structlog

from actors.hosting.commit.batch import Batch
from actors.hosting.commit.copy_locks import CopyLocks, CopyReservations
from actors.hosting.commit.holds import Holds
from actors.hosting.commit.lease import Lease
from actors.hosting.entity.entity import Entity
from actors.hosting.entity.overlay import Overlay
from domain.ledger.ids import held_for
from domain.ledger.rules import Reserve, balance_check
from persistence.ledger.bid_holds import CURRENCY
from persistence.ledger.reserves import reserves_at_once
from persistence.ledger.store import HeldFor
from persistence.log.event_log import Reserves
from persistence.postgres.errors import StoreError

log = structlog.get_logger()

CHECKS_A_BATCH_MAX = 500
# Beyond this, releases are not queued: their entities are checked instead.
# Together with the needs of a batch they stay below what the ledger takes in one call (``persistence.ledger.store``).
RELEASES_MAX = 5_000
# As long as it takes until watchers are notified of the bid that has outbid them.
RELEASE_AFTER_S = 0.02
# How often the ledger is called for one batch. A batch needs more than two rounds only where users without enough funds
# bid in several of its entities; bids that are left after the last round are answered ``unavailable``.
ROUNDS_MAX = 8


class NotReserved(Exception):
    """The batch has a leader whose funds are not reserved: an internal error, nothing may be appended."""


class Need(NamedTuple):
    """The amount that one user needs in one entity of a batch."""

    overlay: Overlay
    reserve: Reserve


Key = tuple[int, int]
"""(entity, user)."""


class Release(NamedTuple):
    """A release that waits until ``due_s``, in the event loop's time.

    ``until_s``, on the lease's clock: the entity is lost, and until then no other host serves it.
    """

    reserve: Reserve
    due_s: float
    until_s: float = math.inf


class Plan(NamedTuple):
    """What the append of a batch reserves and releases in the same statement. ``arrays`` None: nothing.

    ``replaced``: releases that the needs of the batch replace.
    """

    needs: list[Need]
    releases: list[tuple[Key, Release]]
    replaced: list[tuple[Key, Release]]
    arrays: Reserves | None


class Reservations:
    """``holds`` None: nothing is reserved and nobody is refused, for a host whose entities involve no money.

    ``wake`` is called when releases are due. Without a lease, what another host may have reserved is only reduced by an
    append.
    """

    def __init__(
        self, holds: Holds | None, locks: CopyLocks | None, wake: Callable[[], None], lease: Lease
    ) -> None:  # fmt: skip
        self._holds = holds
        self._copies = CopyReservations(locks, lease.runs)
        self._wake = wake
        self._lease = lease
        # In the order of their due times.
        self._releases: dict[Key, Release] = {}
        # Until when (the lease's clock) releases of lost entities may be sent.
        self._lost_until_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unchecked: dict[int, None] = {}

    # -- one batch

    async def lock_copies(self, batch: Batch) -> None:
        """Lock the copies that the decisions of this batch need. Drops decisions that can't have theirs."""
        if self._copies.concerned_by(batch):
            for entity in await self._copies.lock(batch):
                self.check(entity)

    def plan(self, batch: Batch) -> Plan | None:
        """What the append can reserve in the same statement; None: ``reserve`` has to come before it."""
        if self._holds is None:
            return Plan([], [], [], None)
        needs = [need for overlay in batch.overlays.values() for need in needs_of(overlay)]
        replaced = self._replaced_by(needs)
        releases = [one for one in self._due() if one not in replaced]
        if not (needs or releases):
            return Plan([], [], [], None)
        arrays = reserves_at_once([*(release.reserve for _, release in releases), *(need.reserve for need in needs)])
        if arrays is None:
            return None
        self._note_reserved(needs)
        for (entity, user), release in replaced:
            # What is reserved still, should this batch need less.
            held = batch.overlays[entity].held
            held[user] = max(held[user], release.reserve.unless_above or 0)
        return Plan(needs, releases, replaced, (CURRENCY, *arrays))

    def _replaced_by(self, needs: Iterable[Need]) -> list[tuple[Key, Release]]:
        if not self._releases:
            return []
        keys = [(overlay.entity_id, reserve.owner) for overlay, reserve in needs if not reserve.holds_nothing]
        return [(key, self._releases[key]) for key in keys if key in self._releases]

    def plan_committed(self, plan: Plan) -> None:
        """The append has committed the plan."""
        self._note_released([*plan.releases, *plan.replaced])

    def plan_failed(self, plan: Plan) -> None:
        """The append could not reserve all of the plan, and wrote nothing."""
        for overlay, _ in plan.needs:
            overlay.forget_held()

    async def reserve(self, batch: Batch) -> None:
        """Reserve what the decisions of this batch need, and encode it. Drops decisions without enough funds."""
        if self._holds is None:
            batch.encode()
            return
        pending = list(batch.overlays.values())
        try:
            for _ in range(ROUNDS_MAX):
                short = await self._reserved([need for overlay in pending for need in needs_of(overlay)], batch)
                if not short:
                    return
                pending = list(dict.fromkeys(overlay for overlay, _, _ in short))
                for overlay, user, available in short:
                    overlay.drop(user, available)
                # What was decided again may need other copies.
                await self.lock_copies(batch)
            log.warning("reservations_given_up", entities=len(pending))
        except StoreError as error:
            log.error("holds_failed", error=str(error))
        for overlay in pending:
            if overlay.answer_unavailable():
                self.check(overlay.entity)
        batch.encode()

    def verify(self, batch: Batch) -> None:
        """Raise NotReserved if somebody may lose more by this batch than is reserved."""
        if (missing := self._copies.missing(batch)) is not None:
            raise NotReserved(f"entity {missing.entity}: copy {missing.copy}")
        if self._holds is None:
            return
        for overlay in batch.touched:
            for user, reservation in overlay.reserved.items():
                if overlay.held.get(user, 0) < reservation.amount:
                    raise NotReserved(f"entity {overlay.entity_id}: user {user}")

    def release(self, batch: Batch, forgotten: Iterable[int] = ()) -> None:
        """After the append: release what is not needed. ``forgotten`` entities are checked when they are loaded."""
        gone = set(forgotten)
        for entity_id in self._copies.release(batch, gone):
            self.check(batch.overlays[entity_id].entity)
        if self._holds is None:
            return
        for overlay in batch.overlays.values():
            if overlay.entity_id in gone:
                continue
            kept = overlay.entity.rules.reserved(overlay.entity.state)
            for user, most in overlay.held.items():
                keep = kept[user].amount if user in kept else 0
                if most > keep:
                    self._release(overlay.entity, user, most, keep)

    # -- between batches

    def check(self, entity: Entity) -> None:
        """Queue a comparison of this entity's reservations with its state, to run between two batches."""
        if self._holds is not None or self._copies.checks(entity):
            self._unchecked[entity.id] = None

    @property
    def releases_due(self) -> bool:
        """Whether any release is due."""
        return self._copies.waiting or bool(self._due())

    @property
    def unchecked(self) -> bool:
        """Whether any entity waits to be checked."""
        return bool(self._unchecked)

    async def catch_up(self) -> None:
        """Send the releases that are due in a call of their own. Raises StoreError: then they still wait."""
        await self._copies.catch_up()
        due = self._due() if self._lease.runs() else []
        if due:
            await self._reserve([], due)

    def forget_unless(self, owned: Callable[[int], bool]) -> None:
        """Send releases of entities that are not owned before the present lease ends, or never.

        Afterwards they may be about what their owner has reserved.
        """
        lost = [key for key in self._releases if not owned(key[0])]
        if lost:
            until_s = self._lost_until_s = self._lost_until_s or self._lease.ends_at_s
            for key in lost:
                self._releases[key] = self._releases[key]._replace(until_s=until_s)
        self._copies.forget_unless(owned)

    async def check_some(self, entities: Mapping[int, Entity], now_ms: int) -> None:
        """Compare the reservations of some entities with their states, and correct them. Only between two batches.

        Entities that left memory are checked when they are loaded. Does nothing without a lease, since another host may
        own them. Raises StoreError: then the check is still to be done.
        """
        for gone in [entity_id for entity_id in self._unchecked if entity_id not in entities]:
            del self._unchecked[gone]
        some = [entities[entity_id] for entity_id in list(self._unchecked)[:CHECKS_A_BATCH_MAX]]
        if not some or not self._lease.runs():
            return
        await self._copies.check(some, now_ms)
        if self._holds is not None and self._lease.runs():
            await self._check_holds(self._holds, some)
        if not self._lease.runs():
            return
        for entity in some:
            self._unchecked.pop(entity.id, None)

    async def _check_holds(self, holds: Holds, some: list[Entity]) -> None:
        held = await holds.held_for([reference_of(entity) for entity in some])
        corrections = _corrections(some, held) if self._lease.runs() else []
        if corrections:
            for index in await holds.reserve(corrections):
                log.error("reservation_missing", wanted=corrections[index].at_least, next_step="ece ledger check")

    async def close(self) -> None:
        """Send the releases, and close the connection to the ledger."""
        await self._copies.close()
        if self._holds is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        try:
            if releases := self._sendable():
                await self._reserve([], releases)
        except StoreError as error:
            log.warning("holds_not_released", count=len(self._releases), error=str(error))
        await self._holds.close()

    # -- calls to the ledger

    async def _reserved(self, needs: Sequence[Need], batch: Batch) -> list[tuple[Overlay, int, int]]:
        """Reserve all of it, and encode the batch meanwhile. Returns the short ones: (overlay, user, available)."""
        releases = self._sendable()
        if not (needs or releases):
            batch.encode()
            return []
        reserving = asyncio.create_task(self._reserve([need.reserve for need in needs], releases))
        try:
            # Lets the call start before the encoding.
            await asyncio.sleep(0)
            batch.encode()
            available = await reserving
        finally:
            reserving.cancel()
        self._note_reserved([need for number, need in enumerate(needs) if number not in available])
        return [
            (overlay, reserve.owner, available[number])
            for number, (overlay, reserve) in enumerate(needs)
            if number in available
        ]

    @staticmethod
    def _note_reserved(needs: Iterable[Need]) -> None:
        for overlay, reserve in needs:
            if not reserve.holds_nothing:
                overlay.held[reserve.owner] = max(reserve.at_least, overlay.held.get(reserve.owner, 0))

    def _note_released(self, releases: Iterable[tuple[Key, Release]]) -> None:
        for key, release in releases:
            if self._releases.get(key) is release:
                del self._releases[key]

    async def _reserve(self, wanted: Sequence[Reserve], releases: Sequence[tuple[Key, Release]]) -> dict[int, int]:
        """Send these releases, and reserve these. Returns, by index, what is available to those who have too little."""
        assert self._holds is not None
        short = await self._holds.reserve([*(release.reserve for _, release in releases), *wanted])
        self._note_released(releases)
        return {number - len(releases): refusal.available or 0 for number, refusal in short.items()}

    def _release(self, entity: Entity, user: int, most: int, keep: int) -> None:
        if len(self._releases) >= RELEASES_MAX:
            self.check(entity)
            return
        loop = asyncio.get_running_loop()
        due_s = loop.time() + RELEASE_AFTER_S
        known = self._releases.get((entity.id, user))
        if known is not None:
            due_s, most = known.due_s, max(most, known.reserve.unless_above or 0)
        self._releases[entity.id, user] = Release(Reserve(reference_of(entity), user, 0, keep, most), due_s)
        if self._timer is None:
            self._timer = loop.call_at(due_s, self._releases_are_due)

    def _releases_are_due(self) -> None:
        self._timer = None
        if self._releases:
            self._wake()
            self._timer = asyncio.get_running_loop().call_later(RELEASE_AFTER_S, self._releases_are_due)

    def _sendable(self) -> list[tuple[Key, Release]]:
        """Those that may be sent in a call of their own, also before they are due."""
        self._forget_expired()
        return list(self._releases.items()) if self._lease.runs() else []

    def _forget_expired(self) -> None:
        if self._lost_until_s is not None and self._lease.passed(self._lost_until_s):
            self._releases = {key: one for key, one in self._releases.items() if one.until_s == math.inf}
            self._lost_until_s = None

    def _due(self) -> list[tuple[Key, Release]]:
        self._forget_expired()
        if not self._releases:
            return []
        now = asyncio.get_running_loop().time()
        return list(takewhile(lambda one: one[1].due_s <= now, self._releases.items()))


def needs_of(overlay: Overlay) -> list[Need]:
    """What the decisions of one entity newly need: for each user the highest amount that they must be able to pay.

    For users who are outbid within the batch it is only a balance check.
    """
    most: dict[int, int] = {}
    for decision in overlay.decisions:
        for user, amount in decision.required:
            most[user] = max(amount, most.get(user, 0))
    after = overlay.reserved
    for user, reservation in after.items():
        if reservation.amount > overlay.held.get(user, 0):
            most[user] = max(reservation.amount, most.get(user, 0))
    reference = reference_of(overlay.entity)
    return [
        Need(overlay, Reserve(reference, user, amount) if user in after else balance_check(reference, user, amount))
        for user, amount in most.items()
    ]


def reference_of(entity: Entity) -> bytes:
    """The reference of the holds for this entity."""
    return held_for(entity.kind.name, entity.id)


def _corrections(checked: list[Entity], held: Iterable[HeldFor]) -> list[Reserve]:
    """Orders that make the reservations for these entities match their states. Final ones are never raised."""
    wanted = {
        reference_of(entity): entity.rules.reserved(entity.state) for entity in checked if entity.state is not None
    }
    orders = []
    for hold in held:
        if hold.reference in wanted:
            reservation = wanted[hold.reference].get(hold.owner)
            keep = 0 if reservation is None else reservation.amount
            if hold.amount > keep:
                orders.append(Reserve(hold.reference, hold.owner, 0, keep, hold.amount))
    for reference, reservations in wanted.items():
        for user, reservation in reservations.items():
            if not reservation.final:
                orders.append(Reserve(reference, user, reservation.amount))
    return orders
