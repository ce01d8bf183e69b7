"""Reserves the amounts that users may lose before a batch is appended to the log.

A batch is decided on overlays first. Where everybody can pay, which is nearly always so, the append itself reserves
what its decisions newly need and releases what is not needed any more (``plan``). Otherwise the ledger is called
first (``reserve``), in one call for all, and the rows are encoded meanwhile. For bidders who are outbid within the
batch the balance is only checked, nothing is reserved. A decision that its user can't pay for is dropped, the
decisions after it in the same entity are made again, and only those are reserved again.

Only one batch is in flight at a time, and only settlement changes these reservations besides. A reservation of a host
that died, or of a batch that was lost, is found when the entity is loaded (``check``), or by the periodic check.

Another host may own an entity by now, and its reservations may be for newer bids. So a release does not apply to a
reservation above a given amount, and reservations are compared with states only between batches, under the lease.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import structlog

from actors.hosting.commit.batch import Batch
from actors.hosting.commit.holds import Holds
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
# How often the ledger is called for one batch. A batch needs more than two rounds only where users without enough funds
# bid in several of its entities; bids that are left after the last round are answered ``unavailable``.
ROUNDS_MAX = 8


class NotReserved(Exception):
    """The batch has a leader whose funds are not reserved: an internal error, nothing may be appended."""


class Need(NamedTuple):
    """The amount that one user needs in one entity of a batch."""

    overlay: Overlay
    reserve: Reserve


class Plan(NamedTuple):
    """What the append of a batch reserves and releases in the same statement. ``arrays`` None: nothing."""

    needs: list[Need]
    releases: list[tuple[tuple[int, int], Reserve]]
    arrays: Reserves | None


class Reservations:
    """``holds`` None: nothing is reserved and nobody is refused, for a host whose entities involve no money."""

    def __init__(self, holds: Holds | None) -> None:
        self._holds = holds
        self._releases: dict[tuple[int, int], Reserve] = {}
        self._unchecked: dict[int, None] = {}

    # -- one batch

    def plan(self, batch: Batch) -> Plan | None:
        """What the append can reserve in the same statement; None: ``reserve`` has to come before it."""
        if self._holds is None:
            return Plan([], [], None)
        needs = [need for overlay in batch.overlays.values() for need in needs_of(overlay)]
        releases = list(self._releases.items())
        if not (needs or releases):
            return Plan([], [], None)
        arrays = reserves_at_once([*(release for _, release in releases), *(need.reserve for need in needs)])
        if arrays is None:
            return None
        self._note_reserved(needs)
        return Plan(needs, releases, (CURRENCY, *arrays))

    def plan_committed(self, plan: Plan) -> None:
        """The append has committed the plan."""
        self._note_released(plan.releases)

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
            log.warning("reservations_given_up", entities=len(pending))
        except StoreError as error:
            log.error("holds_failed", error=str(error))
        for overlay in pending:
            if overlay.answer_unavailable():
                self.check(overlay.entity)
        batch.encode()

    def verify(self, batch: Batch) -> None:
        """Raise NotReserved if somebody may lose more by this batch than is reserved."""
        if self._holds is None:
            return
        for overlay in batch.touched:
            for user, reservation in overlay.reserved.items():
                if overlay.held.get(user, 0) < reservation.amount:
                    raise NotReserved(f"entity {overlay.entity_id}: user {user}")

    def release(self, batch: Batch, forgotten: Iterable[int] = ()) -> None:
        """After the append: release what is not needed. ``forgotten`` entities are checked when they are loaded."""
        if self._holds is None:
            return
        gone = set(forgotten)
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
        if self._holds is not None:
            self._unchecked[entity.id] = None

    @property
    def has_releases(self) -> bool:
        """Whether releases wait for the next call."""
        return bool(self._releases)

    @property
    def unchecked(self) -> bool:
        """Whether any entity waits to be checked."""
        return bool(self._unchecked)

    async def catch_up(self) -> None:
        """Send the releases in a call of their own. Raises StoreError: then they still wait."""
        if self._releases:
            await self._reserve([])

    async def check_some(self, entities: Mapping[int, Entity], lease_valid: Callable[[], bool]) -> None:
        """Compare the reservations of some entities with their states, and correct them. Only between two batches.

        Entities that left memory are checked when they are loaded. Does nothing while ``lease_valid`` is False, since
        another host may own them. Raises StoreError: then the check is still to be done.
        """
        assert self._holds is not None
        for gone in [entity_id for entity_id in self._unchecked if entity_id not in entities]:
            del self._unchecked[gone]
        some = [entities[entity_id] for entity_id in list(self._unchecked)[:CHECKS_A_BATCH_MAX]]
        if not some or not lease_valid():
            return
        held = await self._holds.held_for([reference_of(entity) for entity in some])
        if not lease_valid():
            return
        corrections = _corrections(some, held)
        if corrections:
            for index in await self._holds.reserve(corrections):
                log.error("reservation_missing", wanted=corrections[index].at_least, next_step="ece ledger check")
        for entity in some:
            self._unchecked.pop(entity.id, None)

    async def close(self) -> None:
        """Send the releases, and close the connection to the ledger."""
        if self._holds is None:
            return
        try:
            await self.catch_up()
        except StoreError as error:
            log.warning("holds_not_released", count=len(self._releases), error=str(error))
        await self._holds.close()

    # -- calls to the ledger

    async def _reserved(self, needs: Sequence[Need], batch: Batch) -> list[tuple[Overlay, int, int]]:
        """Reserve all of it, and encode the batch meanwhile. Returns the short ones: (overlay, user, available)."""
        if not (needs or self._releases):
            batch.encode()
            return []
        reserving = asyncio.create_task(self._reserve([need.reserve for need in needs]))
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

    def _note_released(self, releases: Iterable[tuple[tuple[int, int], Reserve]]) -> None:
        for key, reserve in releases:
            if self._releases.get(key) is reserve:
                del self._releases[key]

    async def _reserve(self, wanted: Sequence[Reserve]) -> dict[int, int]:
        """Send the releases, and reserve these. Returns, by index, what is available to those who have too little."""
        assert self._holds is not None
        releases = list(self._releases.items())
        short = await self._holds.reserve([*(reserve for _, reserve in releases), *wanted])
        self._note_released(releases)
        return {number - len(releases): refusal.available or 0 for number, refusal in short.items()}

    def _release(self, entity: Entity, user: int, most: int, keep: int) -> None:
        if len(self._releases) >= RELEASES_MAX:
            self.check(entity)
            return
        known = self._releases.get((entity.id, user))
        if known is not None and known.unless_above is not None:
            most = max(most, known.unless_above)
        self._releases[entity.id, user] = Reserve(reference_of(entity), user, 0, keep, most)


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
