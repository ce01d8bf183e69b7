"""One entity in a host's memory: its state, as of the log, and its newest command keys.

It decides nothing: a batch decides on an overlay (``actors.hosting.entity.overlay``), whose state is installed here
after the append.
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from actors.stream.messages import Accepted, Answer, Refused, UserKey
from domain.entity import Rules
from domain.errors import KEY_REUSED
from domain.kinds import kind_of
from domain.log.codec import encode, first_hash
from domain.log.kind import Kind
from persistence.log.event_log import EventRow, KeyedRow
from persistence.log.snapshots import Snapshot
from persistence.log.summaries import SummaryRow

RECENT_KEYS_MAX = 256

Known = tuple[int | str | None, Accepted]
"""The fingerprint of a command that was accepted, and its answer."""


class BrokenChain(Exception):
    """The log's tail does not continue its snapshot: rows are missing. An operator must look (``ece verify``)."""


class Entity:
    """Memory does not grow with its events: the newest command keys stay, older ones are in the log."""

    __slots__ = (
        "_recent", "at", "complete", "epoch", "hash", "id", "kind", "last_used_ms", "placement", "rules", "seq", "slot",
        "snapshot_seq", "state",
    )  # fmt: skip

    def __init__(self, entity_id: int, kind: str | None, slot: int, epoch: int, placement: str = "shared") -> None:
        """``kind`` None: it is read from the log. Raises UnknownKind."""
        self.id = entity_id
        self.kind: Kind
        self.rules: Rules[Any, Any, Any]
        self.hash = b""
        if kind is not None:
            self._set_kind(kind)
        self.slot = slot
        self.placement = placement
        self.epoch = epoch
        self.state: Any = None
        self.seq = 0
        self.at = 0
        self.snapshot_seq = 0
        self.last_used_ms = 0
        # Whether _recent holds every key that was ever used here.
        self.complete = True
        self._recent: dict[UserKey, Known] = {}

    # -- recovery

    def restore(self, snapshot: Snapshot) -> None:
        """Start from a snapshot; the tail follows. Raises Unreadable, UnknownKind."""
        self._check_kind(snapshot.kind)
        self._set_state(self.kind.codec.decode_state(snapshot.state))
        self.seq, self.at, self.hash = snapshot.seq, snapshot.at, snapshot.hash
        self.snapshot_seq = snapshot.seq
        # Keys that were used before it are only in the log.
        self.complete = False

    def replay(self, rows: list[EventRow]) -> None:
        """Apply the log's next rows. Raises BrokenChain, Unreadable, UnknownKind."""
        for row in rows:
            self._check_kind(row.kind)
            if row.seq != self.seq + 1:
                raise BrokenChain(f"entity {self.id}: row {self.seq + 1} is missing before {row.seq}")
            event = self.kind.codec.decode_event(row.body)
            self._set_state(self.rules.apply(self.state, event))
            self.seq, self.at, self.hash = row.seq, row.at, row.hash
            receipt = self.rules.receipt(event)
            if receipt is not None:
                answer = Accepted(row.epoch, row.seq, row.at, receipt.result)
                self._remember((receipt.user, receipt.key), (receipt.fingerprint, answer))

    def _check_kind(self, kind: str) -> None:
        """The kind in the log decides; the one in the request may be wrong."""
        if self.seq == 0:
            self._set_kind(kind)
        elif kind != self.kind.name:
            raise BrokenChain(f"entity {self.id}: a row after {self.seq} is of the kind {kind}")

    def _set_kind(self, kind: str) -> None:
        self.kind = kind_of(kind)
        self.rules = self.kind.rules
        self.hash = first_hash(kind, self.id)

    def _set_state(self, state: Any) -> None:
        if self.state is None:
            self.rules = self.rules.of(state)
        self.state = state

    # -- properties

    @property
    def due_at(self) -> int | None:
        """When time alone changes this entity next (ms)."""
        return None if self.state is None else self.rules.due_at(self.state)

    @property
    def ended(self) -> bool:
        """Whether it has ended for good."""
        return self.state is not None and self.rules.ended(self.state)

    @property
    def wants_dedicated_host(self) -> bool:
        """Whether its terms request a dedicated host, and it has not ended."""
        return self.state is not None and self.rules.placement(self.state) == "dedicated" and not self.ended

    @property
    def may_be_dedicated(self) -> bool:
        """Whether it may be promoted to a dedicated host because of its load."""
        return self.state is not None and self.rules.placement(self.state) != "shared" and not self.ended

    # -- retries

    def known(self, key: UserKey) -> Known | None:
        """What memory has for this key; if anything, the command is a retry."""
        return self._recent.get(key)

    def known_answer(self, fingerprint: int | str | None, row: KeyedRow) -> Answer:
        """The answer to a retry, from the row of the first attempt."""
        receipt = self.rules.receipt(self.kind.codec.decode_event(row.body))
        assert receipt is not None, "only events with a receipt have a command key"
        answer = Accepted(row.epoch, row.seq, row.at, receipt.result)
        return repeated((receipt.fingerprint, answer), fingerprint, row.at)

    def install(self, state: Any, seq: int, at: int, digest: bytes, known: Iterable[tuple[UserKey, Known]]) -> None:
        """Replace the state by the one after event ``seq``, which is in the log."""
        self._set_state(state)
        self.seq, self.at, self.hash = seq, at, digest
        for key, answer in known:
            self._remember(key, answer)

    def _remember(self, key: UserKey, known: Known) -> None:
        self._recent[key] = known
        if len(self._recent) > RECENT_KEYS_MAX:
            del self._recent[next(iter(self._recent))]
            self.complete = False

    # -- what goes to the stores

    def snapshot(self) -> Snapshot:
        """A snapshot of the present state."""
        return Snapshot(self.id, self.kind.name, self.seq, self.epoch, self.at, self.hash, encode(self.state))

    def summary(self) -> SummaryRow:
        """Its summary row."""
        return summary_row(self, self.state, self.seq, self.at)


def repeated(known: Known, fingerprint: int | str | None, now_ms: int) -> Answer:
    """The answer to a retry. The same key with another content is refused."""
    first, answer = known
    if first != fingerprint:
        return Refused(KEY_REUSED, now_ms)
    return replace(answer, duplicate=True)


def summary_row(entity: Entity, state: Any, seq: int, at: int) -> SummaryRow:
    """The summary row of an entity in this state, after the event ``seq``."""
    rules = entity.rules
    return SummaryRow(
        entity=entity.id,
        kind=entity.kind.name,
        slot=entity.slot,
        due_at=rules.due_at(state),
        ended=rules.ended(state),
        epoch=entity.epoch,
        seq=seq,
        columns=rules.summary(state, at, entity.placement),
    )
