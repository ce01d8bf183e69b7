"""Locks the copies that entities reserve, before a batch is appended to the log.

As for funds: a decision that can't have its copies is dropped, and those after it in the same entity are made again. A
lock that a lost batch or a dead host left behind is found when the entity is loaded, or by the periodic check. What is
locked for a trade is free with the append that ends it (docs/decisions/0074).
Only kinds whose rules say so reserve copies; batches without them cost nothing here.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple, Protocol

import structlog

from actors.hosting.commit.batch import Batch
from actors.hosting.entity.entity import Entity
from actors.hosting.entity.overlay import Overlay
from domain.entity import Reservation
from domain.ids import id_text
from persistence.postgres.errors import StoreError

log = structlog.get_logger()

# Beyond this, unlocks are not queued: their entities are checked instead.
UNLOCKS_MAX = 5_000
ROUNDS_MAX = 8


class CopyLock(NamedTuple):
    """A copy of this owner, reserved by this entity."""

    entity: int
    owner: int
    copy: int


class CopyLocks(Protocol):
    """Implemented by ``persistence.sales.copy_locks``. May raise StoreError: then it is unknown what is locked."""

    async def lock(self, wanted: Sequence[CopyLock], now_ms: int) -> set[int]:
        """Lock these copies in one call. Returns the indexes of those that are not their owner's, or not free.

        A copy that its entity has locked before is locked again, as of now.
        """

    async def unlock(self, locks: Mapping[tuple[int, int, int], int]) -> None:
        """Free these copies where these entities have them locked, and have not done so again after this time (ms)."""

    async def locked_by(self, entities: Sequence[int]) -> list[tuple[int, int, int]]:
        """(entity, owner, copy) of all that these entities have locked."""

    async def close(self) -> None:
        """Close the connection."""


class CopyReservations:
    """``locks`` None: nothing is locked and nobody is refused, for a host whose entities involve no copies.

    Without a lease (``leased``) nothing is unlocked: another host may have locked it.
    """

    def __init__(self, locks: CopyLocks | None, leased: Callable[[], bool]) -> None:
        self._locks = locks
        self._leased = leased
        # With the time of the batch that ended their reason.
        self._unlocks: dict[tuple[int, int, int], int] = {}

    @property
    def waiting(self) -> bool:
        """Whether any unlocks wait."""
        return bool(self._unlocks)

    def concerned_by(self, batch: Batch) -> bool:
        """Whether ``lock`` has anything to do."""
        if self._locks is None:
            return False
        return bool(self._unlocks) or any(overlay.reserves_copies for overlay in batch.overlays.values())

    async def lock(self, batch: Batch) -> list[Entity]:
        """Lock what the decisions of this batch newly need; drop those that can't have it.

        Returns the entities whose locks are unknown: orders of theirs that need copies are answered ``unavailable``.
        """
        assert self._locks is not None
        pending = [overlay for overlay in batch.overlays.values() if overlay.reserves_copies]
        try:
            await self.catch_up()
            for _ in range(ROUNDS_MAX):
                needs = [(overlay, lock) for overlay in pending for lock in _needs_of(overlay)]
                if not needs:
                    return []
                failed = await self._locks.lock([lock for _, lock in needs], batch.now_ms)
                pending = self._note(needs, failed)
            log.warning("copy_locks_given_up", entities=len(pending))
        except StoreError as error:
            log.error("copy_locks_failed", error=str(error))
        return [overlay.entity for overlay in pending if overlay.answer_unavailable()]

    @staticmethod
    def _note(needs: Sequence[tuple[Overlay, CopyLock]], failed: set[int]) -> list[Overlay]:
        """Note what is locked, and drop what can't be. Returns the overlays with decisions that were made again."""
        again: dict[Overlay, set[int]] = {}
        for number, (overlay, lock) in enumerate(needs):
            if number in failed:
                again.setdefault(overlay, set()).add(lock.copy)
            else:
                overlay.locked.add((lock.owner, lock.copy))
        for overlay, copies in again.items():
            overlay.drop_copies(copies)
        return list(again)

    def missing(self, batch: Batch) -> CopyLock | None:
        """A copy that the batch reserves without a lock."""
        if self._locks is None:
            return None
        reserving = (overlay for overlay in batch.touched if overlay.reserves_copies)
        return next((lock for overlay in reserving for lock in _needs_of(overlay)), None)

    def release(self, batch: Batch, forgotten: Set[int]) -> set[int]:
        """After the append: queue unlocks of what is not reserved. Returns the entities for which there is no room."""
        if self._locks is None:
            return set()
        rest = set()
        for overlay in batch.overlays.values():
            if not overlay.reserves_copies or overlay.entity_id in forgotten:
                continue
            kept = _copies(overlay.entity.rules.reserved(overlay.entity.state))
            for owner, copy in sorted((_copies(overlay.reserved_before) | overlay.locked) - kept):
                if len(self._unlocks) < UNLOCKS_MAX:
                    self._unlocks[CopyLock(overlay.entity_id, owner, copy)] = batch.now_ms
                else:
                    rest.add(overlay.entity_id)
        return rest

    def checks(self, entity: Entity) -> bool:
        """Whether ``check`` has anything to do for this entity."""
        return self._locks is not None and entity.rules.reserves_copies

    async def catch_up(self) -> None:
        """Send the unlocks that wait. Raises StoreError: then they still wait."""
        if self._locks is None or not self._unlocks or not self._leased():
            return
        sent = dict(self._unlocks)
        await self._locks.unlock(sent)
        for lock, at_ms in sent.items():
            if self._unlocks.get(lock) == at_ms:
                del self._unlocks[lock]

    def forget_unless(self, owned: Callable[[int], bool]) -> None:
        """Forget unlocks of entities that are not owned."""
        self._unlocks = {lock: at_ms for lock, at_ms in self._unlocks.items() if owned(lock[0])}

    async def check(self, entities: Sequence[Entity], now_ms: int) -> None:
        """Compare the locks of these entities with their states, and correct them. Raises StoreError."""
        reserving = [one for one in entities if one.state is not None and one.rules.reserves_copies]
        if self._locks is None or not reserving:
            return
        locked = {CopyLock(*row) for row in await self._locks.locked_by([entity.id for entity in reserving])}
        wanted, settled = set[CopyLock](), set[CopyLock]()
        for entity in reserving:
            for owner, reservation in entity.rules.reserved(entity.state).items():
                locks = {CopyLock(entity.id, owner, copy) for copy in reservation.copies}
                (settled if reservation.final else wanted).update(locks)
        if not self._leased():
            return
        await self._locks.unlock(dict[tuple[int, int, int], int].fromkeys(sorted(locked - wanted - settled), now_ms))
        missing = sorted(wanted - locked)
        if missing:
            for index in await self._locks.lock(missing, now_ms):
                lock = missing[index]
                log.error("copy_lock_missing", entity=id_text(lock.entity), copy=id_text(lock.copy))

    async def close(self) -> None:
        """Send the unlocks, and close the connection."""
        if self._locks is None:
            return
        try:
            await self.catch_up()
        except StoreError as error:
            log.warning("copies_not_unlocked", count=len(self._unlocks), error=str(error))
        await self._locks.close()


def _copies(reserved: Mapping[int, Reservation]) -> set[tuple[int, int]]:
    """(owner, copy) of all that is reserved."""
    return {(owner, copy) for owner, reservation in reserved.items() for copy in reservation.copies}


def _needs_of(overlay: Overlay) -> list[CopyLock]:
    """What the decisions of one entity newly need."""
    needed = _copies(overlay.reserved) - _copies(overlay.reserved_before) - overlay.locked
    return [CopyLock(overlay.entity_id, owner, copy) for owner, copy in sorted(needed)]
