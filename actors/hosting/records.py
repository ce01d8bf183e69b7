"""What a host writes in addition to the log, and reads for recovery: snapshots and summary rows.

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
    """Tracks which entities need a new summary row or snapshot."""

    def __init__(
        self, event_log: EventLog, snapshots: SnapshotStore, snapshot_every_events: int,
        summarised: Callable[[Entity], None],
    ) -> None:  # fmt: skip
        """``summarised`` is called with each entity whose summary row is written."""
        self._log = event_log
        self._store = snapshots
        self._every = snapshot_every_events
        self._behind: dict[int, Entity] = {}
        self._summaries_at = 0.0
        # Rows to write, by entity, so that a newer row replaces an older one.
        self._summaries: dict[int, SummaryRow] = {}
        self._snapshots: dict[int, Snapshot] = {}
        self._summarised = summarised

    def summaries_for(self, batch: Batch) -> list[SummaryRow]:
        """The summary rows of this commit: those whose status changed; twice a second also the others."""
        ready = {o.entity_id: o for o in batch.touched if o.changes_status}
        now = time.monotonic()
        if now - self._summaries_at >= SUMMARIES_EVERY_S:
            self._summaries_at = now
            for overlay in batch.touched:
                if len(ready) < PAGE_MAX:
                    ready[overlay.entity_id] = overlay
        for overlay in batch.touched:
            overlay.with_summary = overlay.entity_id in ready
        # In order of id: so two writers of the same rows can't deadlock.
        return [ready[entity_id].summary() for entity_id in sorted(ready)]

    def committed(self, overlay: Overlay) -> None:
        """The changes of this overlay are in the log."""
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
        """The entity was loaded. If a host died, its summary row may lack the last events."""
        if entity.seq > entity.snapshot_seq:
            self._behind[entity.id] = entity
        self._summarised(entity)

    def retire(self, entity: Entity) -> None:
        """The entity leaves memory: keep its snapshot and summary row to write."""
        if entity.state is not None and entity.seq > entity.snapshot_seq:
            self._take_snapshot(entity)
        if self._behind.pop(entity.id, None) is not None:
            self._summaries[entity.id] = entity.summary()
            self._summarised(entity)

    def forget(self, entity: Entity) -> None:
        """The entity's state can't be trusted any more: write nothing of it."""
        self._behind.pop(entity.id, None)

    def collect_summaries(self) -> None:
        """Make the summary rows of all entities that need one. Only between commits."""
        for entity_id, entity in self._behind.items():
            self._summaries[entity_id] = entity.summary()
            self._summarised(entity)
        self._behind.clear()

    async def flush(self) -> None:
        """Write the rows made so far. Raises StoreUnavailable; the rest is written by the next call."""
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
        """Load new entities from the log; yields each when it is complete, with the error if it alone failed.

        Snapshots take one query; tails are read in pages of up to TAIL_PAGE rows for all entities that have more, so a
        long tail does not delay entities with short ones. Raises StoreUnavailable for the rest.
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
    """The exception of one entity's step of recovery, so that it concerns no other entity."""
    try:
        step(given)
    except Exception as fault:
        return fault
    return None
