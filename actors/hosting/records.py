"""What a host writes beside the log, and reads to recover: snapshots and the read model.

Rows are made between commits and written by ``flush``.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from actors.hosting.commit.batch import Batch
from actors.hosting.entity.keeper import Keeper
from actors.hosting.entity.overlay import Overlay
from persistence.log.event_log import TAIL_PAGE, EventLog, HeadRow
from persistence.log.snapshots import Snapshot, SnapshotStore

HEADS_EVERY_S = 0.5
PAGE_MAX = 500

Given = TypeVar("Given")


class Records:
    """Follows the commits: which auctions' read model is behind, which snapshots are due."""

    def __init__(self, event_log: EventLog, snapshots: SnapshotStore, snapshot_every_events: int) -> None:
        self._log = event_log
        self._store = snapshots
        self._every = snapshot_every_events
        self._behind: dict[int, Keeper] = {}
        self._heads_at = 0.0
        # What is to be written; by auction, so that a newer row replaces an older one.
        self._heads: dict[int, HeadRow] = {}
        self._snapshots: dict[int, Snapshot] = {}
        # Auctions of cards whose rows have changed: what the catalog says of those is behind.
        self._moved: set[int] = set()

    def take_moved(self) -> set[int]:
        """The auctions of cards whose rows in the read model have changed since this was last asked."""
        moved, self._moved = self._moved, set()
        return moved

    def heads_for(self, batch: Batch) -> list[HeadRow]:
        """The read model's rows that go with this commit: at once where a status changed, else twice a second."""
        ready = {o.auction_id: o for o in batch.touched if o.changes_status}
        now = time.monotonic()
        if now - self._heads_at >= HEADS_EVERY_S:
            self._heads_at = now
            for overlay in batch.touched:
                if len(ready) < PAGE_MAX:
                    ready[overlay.auction_id] = overlay
        for overlay in ready.values():
            overlay.with_head = True
        # In order of id: two writers of the same rows then can't lock each other out.
        return [ready[auction].head() for auction in sorted(ready)]

    def committed(self, overlay: Overlay) -> None:
        """Take note that the log has what a batch made of this auction."""
        keeper = overlay.keeper
        if overlay.with_head:
            self._behind.pop(keeper.auction_id, None)
            self._heads.pop(keeper.auction_id, None)
            self._note_moved(keeper)
        else:
            self._behind[keeper.auction_id] = keeper
        if keeper.seq - keeper.snapshot_seq >= self._every:
            self._take_snapshot(keeper)

    def activated(self, keeper: Keeper) -> None:
        """The keeper was loaded: what was in the log but not in the read model may be a dead host's last word."""
        if keeper.seq > keeper.snapshot_seq:
            self._behind[keeper.auction_id] = keeper
        self._note_moved(keeper)

    def retire(self, keeper: Keeper) -> None:
        """The keeper leaves memory: keep what recovery needs."""
        if keeper.auction is not None and keeper.seq > keeper.snapshot_seq:
            self._take_snapshot(keeper)
        if self._behind.pop(keeper.auction_id, None) is not None:
            self._heads[keeper.auction_id] = keeper.head()
            self._note_moved(keeper)

    def forget(self, keeper: Keeper) -> None:
        """The keeper's state is not to be trusted any more."""
        self._behind.pop(keeper.auction_id, None)

    def collect_heads(self) -> None:
        """Make the read model's rows for all that is behind. Only between commits."""
        for auction, keeper in self._behind.items():
            self._heads[auction] = keeper.head()
            self._note_moved(keeper)
        self._behind.clear()

    async def flush(self) -> None:
        """Write the rows made so far. Raises StoreUnavailable; what is not written is tried again next time."""
        for start in range(0, len(order := sorted(self._heads)), PAGE_MAX):
            heads = [self._heads[auction] for auction in order[start : start + PAGE_MAX] if auction in self._heads]
            await self._log.write_heads(heads)
            for head in heads:
                if self._heads.get(head.auction) is head:
                    del self._heads[head.auction]
        while self._snapshots:
            page = list(self._snapshots.values())[:PAGE_MAX]
            await self._store.save(page)
            for snapshot in page:
                if self._snapshots.get(snapshot.auction) is snapshot:
                    del self._snapshots[snapshot.auction]

    async def load(self, keepers: Sequence[Keeper]) -> AsyncIterator[tuple[Keeper, Exception | None]]:
        """Bring new keepers to where the log is, and give each once it is there; or with what is wrong with it alone.

        Snapshots come with one query, tails page by page for all that have more; no page has more than TAIL_PAGE
        rows, and an auction with a long tail holds up none with a short one. Raises StoreUnavailable for the rest.
        """
        snapshots = await self._store.load_many([keeper.auction_id for keeper in keepers])
        behind = []
        for keeper in keepers:
            snapshot = snapshots.get(keeper.auction_id)
            fault = None if snapshot is None else _fault_of(keeper.restore, snapshot)
            if fault is None:
                behind.append(keeper)
            else:
                yield keeper, fault
        while behind:
            limit_each = max(1, TAIL_PAGE // len(behind))
            tails = await self._log.tails([(keeper.auction_id, keeper.seq) for keeper in behind], limit_each)
            reading, behind = behind, []
            for keeper in reading:
                rows = tails.get(keeper.auction_id, [])
                fault = _fault_of(keeper.replay, rows)
                if fault is None and len(rows) == limit_each:
                    behind.append(keeper)
                else:
                    yield keeper, fault

    def _note_moved(self, keeper: Keeper) -> None:
        if keeper.auction is not None and keeper.auction.terms.copies:
            self._moved.add(keeper.auction_id)

    def _take_snapshot(self, keeper: Keeper) -> None:
        keeper.snapshot_seq = keeper.seq
        self._snapshots[keeper.auction_id] = keeper.snapshot()


def _fault_of(step: Callable[[Given], None], given: Given) -> Exception | None:
    """What one auction's step of recovery raises: that auction's trouble, and no other's."""
    try:
        step(given)
    except Exception as fault:
        return fault
    return None
