"""What a host writes beside the log, and reads to recover: snapshots and the read model.

Rows are made between commits and written by ``flush``.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from actors.hosting.commit.batch import Batch
from actors.hosting.entity.entity import Entity
from actors.hosting.entity.overlay import Overlay
from persistence.log.event_log import TAIL_PAGE, EventLog
from persistence.log.snapshots import Snapshot, SnapshotStore
from persistence.log.summaries import SummaryRow

SUMMARIES_EVERY_S = 0.5
PAGE_MAX = 500

Given = TypeVar("Given")


class Records:
    """Follows the commits: which entities' read model is behind, which snapshots are due."""

    def __init__(
        self, event_log: EventLog, snapshots: SnapshotStore, snapshot_every_events: int,
        summarised: Callable[[Entity], None],
    ) -> None:  # fmt: skip
        """``summarised`` is called with each entity whose summary row is written anew."""
        self._log = event_log
        self._store = snapshots
        self._every = snapshot_every_events
        self._behind: dict[int, Entity] = {}
        self._summaries_at = 0.0
        # What is to be written; by entity, so that a newer row replaces an older one.
        self._summaries: dict[int, SummaryRow] = {}
        self._snapshots: dict[int, Snapshot] = {}
        self._summarised = summarised

    def summaries_for(self, batch: Batch) -> list[SummaryRow]:
        """The read model's rows that go with this commit: at once where a status changed, else twice a second."""
        ready = {o.entity_id: o for o in batch.touched if o.changes_status}
        now = time.monotonic()
        if now - self._summaries_at >= SUMMARIES_EVERY_S:
            self._summaries_at = now
            for overlay in batch.touched:
                if len(ready) < PAGE_MAX:
                    ready[overlay.entity_id] = overlay
        for overlay in batch.touched:
            overlay.with_summary = overlay.entity_id in ready
        # In order of id: two writers of the same rows then can't lock each other out.
        return [ready[entity_id].summary() for entity_id in sorted(ready)]

    def committed(self, overlay: Overlay) -> None:
        """Take note that the log has what a batch made of this entity."""
        entity = overlay.entity
        if overlay.with_summary:
            self._behind.pop(entity.id, None)
            self._summaries.pop(entity.id, None)
            self._summarised(entity)
        else:
            self._behind[entity.id] = entity
        if entity.seq - entity.snapshot_seq >= self._every:
            self._take_snapshot(entity)

    def activated(self, entity: Entity) -> None:
        """The entity was loaded: what was in the log but not in the read model may be a dead host's last word."""
        if entity.seq > entity.snapshot_seq:
            self._behind[entity.id] = entity
        self._summarised(entity)

    def retire(self, entity: Entity) -> None:
        """The entity leaves memory: keep what recovery needs."""
        if entity.state is not None and entity.seq > entity.snapshot_seq:
            self._take_snapshot(entity)
        if self._behind.pop(entity.id, None) is not None:
            self._summaries[entity.id] = entity.summary()
            self._summarised(entity)

    def forget(self, entity: Entity) -> None:
        """The entity's state is not to be trusted any more."""
        self._behind.pop(entity.id, None)

    def collect_summaries(self) -> None:
        """Make the read model's rows for all that is behind. Only between commits."""
        for entity_id, entity in self._behind.items():
            self._summaries[entity_id] = entity.summary()
            self._summarised(entity)
        self._behind.clear()

    async def flush(self) -> None:
        """Write the rows made so far. Raises StoreUnavailable; what is not written is tried again next time."""
        for start in range(0, len(order := sorted(self._summaries)), PAGE_MAX):
            page_of = order[start : start + PAGE_MAX]
            summaries = [self._summaries[entity_id] for entity_id in page_of if entity_id in self._summaries]
            await self._log.write_summaries(summaries)
            for summary in summaries:
                if self._summaries.get(summary.entity) is summary:
                    del self._summaries[summary.entity]
        while self._snapshots:
            page = list(self._snapshots.values())[:PAGE_MAX]
            await self._store.save(page)
            for snapshot in page:
                if self._snapshots.get(snapshot.entity) is snapshot:
                    del self._snapshots[snapshot.entity]

    async def load(self, entities: Sequence[Entity]) -> AsyncIterator[tuple[Entity, Exception | None]]:
        """Bring new entities to where the log is, and give each once it is there; or with what is wrong with it alone.

        Snapshots come with one query, tails page by page for all that have more; no page has more than TAIL_PAGE
        rows, and an entity with a long tail holds up none with a short one. Raises StoreUnavailable for the rest.
        """
        snapshots = await self._store.load_many([entity.id for entity in entities])
        behind = []
        for entity in entities:
            snapshot = snapshots.get(entity.id)
            fault = None if snapshot is None else _fault_of(entity.restore, snapshot)
            if fault is None:
                behind.append(entity)
            else:
                yield entity, fault
        while behind:
            limit_each = max(1, TAIL_PAGE // len(behind))
            tails = await self._log.tails([(entity.id, entity.seq) for entity in behind], limit_each)
            reading, behind = behind, []
            for entity in reading:
                rows = tails.get(entity.id, [])
                fault = _fault_of(entity.replay, rows)
                if fault is None and len(rows) == limit_each:
                    behind.append(entity)
                else:
                    yield entity, fault

    def _take_snapshot(self, entity: Entity) -> None:
        entity.snapshot_seq = entity.seq
        self._snapshots[entity.id] = entity.snapshot()


def _fault_of(step: Callable[[Given], None], given: Given) -> Exception | None:
    """What one entity's step of recovery raises: that entity's trouble, and no other's."""
    try:
        step(given)
    except Exception as fault:
        return fault
    return None
