"""What users may lose is reserved of their balances before a batch is in the log.

A batch is decided on overlays first; the ledger reserves what its decisions newly need in one call for all,
and the rows are encoded meanwhile. Whoever is outbid within the batch has to have what they offered, but nothing of it
is reserved. A decision that its author can't pay for is dropped, what followed in the same entity is decided again,
and only that is reserved again. What is not needed any more is released once the log has the batch: with the next
call, or at once where there is none.

Only one batch at a time is at work, and nothing else touches these reservations but the end of a sale. One that was
made by a host that died, or for a batch that was lost, is found when the entity is loaded (``check``), or in time, by
a check of all.

Another host may own an entity by now, and its reservations be for newer bids. So a release names the most that it is
about, and what is reserved is compared with a state only between batches, and while the directory vouches for us.
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
from persistence.ledger.store import HeldFor
from persistence.postgres.errors import StoreError

log = structlog.get_logger()

CHECKS_A_BATCH_MAX = 500
# Beyond this, what is to be released waits in the entities themselves: they are checked.
RELEASES_MAX = 10_000
# How often the ledger is called for one batch. A batch needs more than two rounds only where users without enough funds
# bid in several of its entities; bids that are left after the last round are answered ``unavailable``.
ROUNDS_MAX = 8


class NotReserved(Exception):
    """A leader whose funds are not reserved was about to be written: a fault of ours, and nothing may be written."""


class Need(NamedTuple):
    """What one user needs in one entity of a batch."""

    overlay: Overlay
    reserve: Reserve


class Reservations:
    """Without ``holds`` nothing is reserved, and nobody refused: for a host whose entities are about no money."""

    def __init__(self, holds: Holds | None) -> None:
        self._holds = holds
        self._releases: dict[tuple[int, int], Reserve] = {}
        self._unchecked: dict[int, None] = {}

    # -- one batch

    async def reserve(self, batch: Batch) -> None:
        """Reserve what the decisions of this batch need, and encode it. Those that can't be paid for are dropped."""
        if self._holds is None:
            batch.encode()
            return
        asking = list(batch.overlays.values())
        try:
            for _ in range(ROUNDS_MAX):
                short = await self._reserved([need for overlay in asking for need in needs_of(overlay)], batch)
                if not short:
                    return
                asking = list(dict.fromkeys(overlay for overlay, _, _ in short))
                for overlay, user, available in short:
                    overlay.drop(user, available)
            log.warning("reservations_given_up", entities=len(asking))
        except StoreError as error:
            log.error("holds_failed", error=str(error))
        for overlay in asking:
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
        """What the batch decided stands: release the rest. ``forgotten`` entities are checked when they are loaded."""
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
        """Have what is reserved for this entity compared with what its log says, between two batches."""
        if self._holds is not None:
            self._unchecked[entity.id] = None

    @property
    def behind(self) -> bool:
        """Whether there is something to release that no batch has taken along yet."""
        return bool(self._releases)

    @property
    def unchecked(self) -> bool:
        """Whether there is an entity to check."""
        return bool(self._unchecked)

    async def catch_up(self) -> None:
        """Release, apart from any batch. Raises StoreError: then it is still to be done."""
        if self._releases:
            await self._reserve([])

    async def check_some(self, entities: Mapping[int, Entity], vouched_for: Callable[[], bool]) -> None:
        """Compare what is reserved for some entities with their states, and bring it there. Only between two batches.

        Those that are no longer in memory are checked when they are loaded; nothing is done while ``vouched_for`` says
        no, for another host may have moved on. Raises StoreError: then it is still to be done.
        """
        assert self._holds is not None
        for gone in [entity_id for entity_id in self._unchecked if entity_id not in entities]:
            del self._unchecked[gone]
        some = [entities[entity_id] for entity_id in list(self._unchecked)[:CHECKS_A_BATCH_MAX]]
        if not some or not vouched_for():
            return
        held = await self._holds.held_for([reference_of(entity) for entity in some])
        if not vouched_for():
            return
        corrections = _corrections(some, held)
        if corrections:
            for index in await self._holds.reserve(corrections):
                log.error("reservation_missing", wanted=corrections[index].at_least, next_step="ece ledger check")
        for entity in some:
            self._unchecked.pop(entity.id, None)

    async def close(self) -> None:
        """Release what there is to release, and close the way to the ledger."""
        if self._holds is None:
            return
        try:
            await self.catch_up()
        except StoreError as error:
            log.warning("holds_left", count=len(self._releases), error=str(error))
        await self._holds.close()

    # -- asking

    async def _reserved(self, needs: Sequence[Need], batch: Batch) -> list[tuple[Overlay, int, int]]:
        """Reserve all of it, and encode the batch meanwhile. Returns who has too little where: (…, user, available)."""
        if not (needs or self._releases):
            batch.encode()
            return []
        reserving = asyncio.create_task(self._reserve([need.reserve for need in needs]))
        try:
            # It is on its way before the work begins.
            await asyncio.sleep(0)
            batch.encode()
            available = await reserving
        finally:
            reserving.cancel()
        short = []
        for number, (overlay, reserve) in enumerate(needs):
            if number in available:
                short.append((overlay, reserve.owner, available[number]))
            elif not reserve.holds_nothing:
                overlay.held[reserve.owner] = max(reserve.at_least, overlay.held.get(reserve.owner, 0))
        return short

    async def _reserve(self, wanted: Sequence[Reserve]) -> dict[int, int]:
        """Release what there is to release, and reserve these. Returns, by number, what those have who lack it."""
        assert self._holds is not None
        releases = list(self._releases.items())
        short = await self._holds.reserve([*(reserve for _, reserve in releases), *wanted])
        for key, reserve in releases:
            if self._releases.get(key) is reserve:
                del self._releases[key]
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
    """What the decisions of one entity newly need: for each user the most that they must be able to pay.

    For who is outbid within the batch the balance is only checked; what stays reserved after the batch is reserved.
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
    """What names the holds of this entity's users."""
    return held_for(entity.kind.name, entity.id)


def _corrections(checked: list[Entity], held: Iterable[HeldFor]) -> list[Reserve]:
    """What brings the reservations for these entities to what their states say. What is final is never raised."""
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
