"""Verification of a hash chain: finds rows of an entity's log that were changed, are missing or out of order."""

from collections.abc import Iterator

import msgspec

from domain.log.codec import first_hash, next_hash

# Rows with wrong hashes that are kept, to find out whether they were swapped.
SUSPECTS_MAX = 32

CHANGED = "changed"
MISSING = "missing"
REORDERED = "reordered"


class LogRow(msgspec.Struct, frozen=True):
    """One row of the log."""

    seq: int
    epoch: int
    at: int
    command_key: bytes | None
    body: bytes
    hash: bytes


class Finding(msgspec.Struct, frozen=True):
    """A fault at a row. ``kind`` is stable, ``detail`` is text for people."""

    seq: int
    kind: str
    detail: str


class _Suspect(msgspec.Struct, frozen=True):
    row: LogRow
    previous: bytes

    def fits(self, previous: bytes, seq: int) -> bool:
        """Whether this row was written with this number, after this hash."""
        row = self.row
        return next_hash(previous, row.epoch, seq, row.at, row.body) == row.hash

    @property
    def computed(self) -> bytes:
        """Its hash, computed from the rest of it."""
        return next_hash(self.previous, self.row.epoch, self.row.seq, self.row.at, self.row.body)


class ChainCheck:
    """Checks rows in the order of ``seq``, in constant memory."""

    def __init__(self, kind: str, entity: int) -> None:
        # None: the row before is missing, so the next one's hash can't be checked.
        self._previous: bytes | None = first_hash(kind, entity)
        self._suspects: list[_Suspect] = []
        self.last_seq = 0

    def follow(self, row: LogRow) -> Iterator[Finding]:
        """The findings at the next row, as far as they are known yet."""
        if row.seq <= self.last_seq:
            yield Finding(row.seq, REORDERED, f"row {row.seq} comes after row {self.last_seq}")
            return
        if row.seq > self.last_seq + 1:
            yield missing_rows(self.last_seq + 1, row.seq - 1)
            self._previous = None
        self.last_seq = row.seq
        previous, self._previous = self._previous, row.hash
        if previous is None or next_hash(previous, row.epoch, row.seq, row.at, row.body) == row.hash:
            return
        if len(self._suspects) < SUSPECTS_MAX:
            self._suspects.append(_Suspect(row, previous))
        else:
            yield Finding(row.seq, CHANGED, f"row {row.seq} does not follow from the row before it")

    @property
    def sound(self) -> bool:
        """Whether every hash was right so far."""
        return not self._suspects

    def finish(self) -> Iterator[Finding]:
        """The findings at the rows with wrong hashes."""
        for suspect in self._suspects:
            if not self._follows_a_suspect(suspect):
                yield self._explained(suspect)

    def _follows_a_suspect(self, suspect: _Suspect) -> bool:
        """Whether it is unchanged, and only the row before it has a wrong hash or is out of order."""
        others = (other for other in self._suspects if other is not suspect)
        return any(
            suspect.fits(previous, suspect.row.seq) for other in others for previous in (other.row.hash, other.computed)
        )

    def _explained(self, suspect: _Suspect) -> Finding:
        seq = suspect.row.seq
        hashes = {other.previous for other in self._suspects} | {other.row.hash for other in self._suspects}
        for other in self._suspects:
            if other is not suspect and any(suspect.fits(previous, other.row.seq) for previous in hashes):
                return Finding(seq, REORDERED, f"row {seq} holds what was written as row {other.row.seq}")
        return Finding(seq, CHANGED, f"row {seq} was changed: its hash is not that of its content")


def missing_rows(first: int, last: int) -> Finding:
    """The finding for rows that are not there."""
    return Finding(
        first, MISSING, f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"
    )
