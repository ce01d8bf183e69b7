"""Verification of an entity's log: the hash chain, and that each event follows from the rules.

The command behind each event is rebuilt from the event; ``decide`` on the state before it must give exactly the same
events at that time. Otherwise there is a finding at that row.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec

from domain.entity import Refusal, Tick
from domain.log.chain import MISSING, ChainCheck, Finding, LogRow, missing_rows
from domain.log.codec import Unreadable, command_key
from domain.log.kind import Kind

FINDINGS_MAX = 200

UNDECODABLE = "undecodable"
FIRST_ROW = "first_row"
TIME = "time"
RULES = "rules"
KEY = "key"
CLAIM = "claim"


class Claim(Protocol):
    """What another store has of the entity after the row ``seq``."""

    @property
    def seq(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def needs_state(self) -> bool:
        """Whether it can be compared only where the state by the log is known."""

    def fault(self, kind: Kind, state: Any, at_ms: int, row_hash: bytes) -> str | None:
        """How it differs from the state by the log, or None. The row was written at ``at_ms``."""


class SnapshotClaim(msgspec.Struct, frozen=True):
    """A snapshot."""

    seq: int
    hash: bytes
    state: bytes
    source: str = "the snapshot"
    needs_state: bool = True

    def fault(self, kind: Kind, state: Any, at_ms: int, row_hash: bytes) -> str | None:
        if self.hash != row_hash:
            return "its hash is not the row's"
        try:
            found = kind.codec.decode_state(self.state)
        except Unreadable:
            return "it can't be read"
        return None if found == state else f"it differs in {_differences(found, state)}"


class SummaryClaim(msgspec.Struct, frozen=True):
    """A summary row: its columns' names and values, as ``Rules.summary`` gives them."""

    seq: int
    names: tuple[str, ...]
    values: tuple[Any, ...]
    source: str = "the summary row"
    needs_state: bool = True

    def fault(self, kind: Kind, state: Any, at_ms: int, row_hash: bytes) -> str | None:
        expected = kind.rules.summary(state, at_ms, "shared")
        wrong = [
            f"{name} {found} for {right}"
            for name, found, right in zip(self.names, self.values, expected, strict=True)
            # Where it is owned is not in the log.
            if found != right and name != "placement"
        ]
        return f"it says {', '.join(wrong)}" if wrong else None


class Verdict(msgspec.Struct, frozen=True):
    """``findings`` are the first ones by row, ``found`` is the number of all. ``state`` is the state by the log.

    ``judged_to`` is the last row that could be checked against the rules: after a changed row the state is unknown.
    """

    rows: int
    last_seq: int
    judged_to: int
    found: int
    findings: tuple[Finding, ...]
    state: Any


class LogVerifier:
    """Checks the rows of one entity in the order of ``seq``, in constant memory."""

    def __init__(self, kind: Kind, entity: int, claims: Sequence[Claim] = ()) -> None:
        self._kind = kind
        self._chain = ChainCheck(kind.name, entity)
        self._rules = RuleCheck(kind, entity)
        self._claims = list(claims)
        self._findings: list[Finding] = []
        self._found = 0
        self._rows = 0

    def feed(self, row: LogRow) -> None:
        """Check the next row."""
        self._rows += 1
        before = self._chain.last_seq
        self._note(self._chain.follow(row))
        if self._chain.last_seq == before:
            return
        try:
            event = self._kind.codec.decode_event(row.body)
        except Unreadable:
            self._note([Finding(row.seq, UNDECODABLE, f"row {row.seq} is no event of this version")])
            self._rules.lose_track()
            return
        if self._chain.last_seq > before + 1:
            self._rules.lose_track()
        self._note(self._rules.follow(row, event))
        if not self._chain.sound:
            # After a changed row the rules can't be checked.
            self._rules.lose_track()
        self._note(self._against_claims(row))

    def finish(self) -> Verdict:
        """The result."""
        self._note(self._chain.finish())
        last_seq = self._chain.last_seq
        self._note(self._rules.finish(last_seq))
        beyond = [claim for claim in self._claims if claim.seq > last_seq]
        if beyond:
            known = max(beyond, key=lambda claim: claim.seq)
            gap = missing_rows(last_seq + 1, known.seq)
            self._note([Finding(gap.seq, MISSING, f"{gap.detail}: {known.source} knows of them")])
        findings = tuple(sorted(self._findings, key=lambda finding: finding.seq))
        return Verdict(self._rows, last_seq, self._rules.judged_to, self._found, findings, self._rules.state)

    def _against_claims(self, row: LogRow) -> Iterator[Finding]:
        state = self._rules.state
        known = state is not None and self._rules.on_track
        for claim in self._claims:
            if claim.seq == row.seq and (known or not claim.needs_state):
                fault = claim.fault(self._kind, state, row.at, row.hash)
                if fault is not None:
                    yield Finding(row.seq, CLAIM, f"{claim.source} is not what the log gives at row {row.seq}: {fault}")

    def _note(self, findings: Sequence[Finding] | Iterator[Finding]) -> None:
        for finding in findings:
            self._found += 1
            if len(self._findings) < FINDINGS_MAX:
                self._findings.append(finding)


class RuleCheck:
    """Checks that each event follows from the state before it, until a row is changed or missing."""

    def __init__(self, kind: Kind, entity: int) -> None:
        self._rules = kind.rules
        self._id = entity
        self.state: Any = None
        self.on_track = True
        self.judged_to = 0
        self._at = 0
        self._epoch = 0
        # Further events of the last command: these must come next, at the same time.
        self._pending: list[Any] = []

    def lose_track(self) -> None:
        """A row is missing or changed: from here on the state is unknown."""
        self.on_track = False
        self._pending = []

    def follow(self, row: LogRow, event: Any) -> list[Finding]:
        """The findings at this event; it is then applied."""
        findings: list[Finding] = []
        if self.on_track:
            findings += self._faults(row, event)
            self.judged_to = row.seq
        self._at, self._epoch = row.at, row.epoch
        if (self._rules.opening(event) is None) == (self.state is None):
            # It can't be applied: ``_faults`` has a finding for it.
            self.lose_track()
            return findings
        self.state = self._rules.apply(self.state, event)
        return findings

    def finish(self, last_seq: int) -> list[Finding]:
        """The finding if events of the last command are missing."""
        if not self._pending:
            return []
        return [Finding(last_seq + 1, MISSING, f"row {last_seq + 1} is missing: {_name(self._pending[0])} must follow")]

    def _faults(self, row: LogRow, event: Any) -> Iterator[Finding]:
        seq = row.seq
        if row.at < self._at:
            yield Finding(seq, TIME, f"row {seq} is {self._at - row.at} ms earlier than the row before it")
        if row.epoch < self._epoch:
            yield Finding(seq, TIME, f"row {seq} has epoch {row.epoch}, the row before it has {self._epoch}")
        fault = self._first_fault(event, row.at) if self.state is None else self._rule_fault(self.state, row, event)
        if fault is not None:
            yield Finding(seq, FIRST_ROW if self.state is None else RULES, f"row {seq}: {fault}")
        receipt = self._rules.receipt(event)
        if row.command_key != (None if receipt is None else command_key(receipt.user, receipt.key)):
            yield Finding(seq, KEY, f"row {seq} is found under another key than its command's")

    def _first_fault(self, event: Any, at: int) -> str | None:
        opening = self._rules.opening(event)
        if opening is None:
            return f"a log does not begin with {_name(event)}"
        entity, terms = opening
        if entity != self._id:
            return "it opens another entity"
        fault = self._rules.terms_fault(terms)
        if fault is None:
            self._pending = self._rules.open(terms, at)[1:]
        return fault

    def _rule_fault(self, state: Any, row: LogRow, event: Any) -> str | None:
        if self._pending:
            expected = self._pending.pop(0)
            if event != expected or row.at != self._at:
                self._pending = []
                return (
                    f"{_name(expected)} must come here, at the time of the row before; {_difference(event, expected)}"
                )
            return None
        command = self._rules.command_behind(state, event)
        if command is None:
            return f"{_name(event)} can't come by itself here"
        decided = self._rules.decide(state, command, row.at)
        if isinstance(decided, Refusal):
            return f"the rules refuse this {_name(event)}: {decided.code}"
        if not decided:
            return f"the rules let no time pass for {_name(event)} here"
        if decided[0] != event:
            return _difference(event, decided[0])
        # A tick is decided again at each row: opening and closing may be one tick or two.
        self._pending = [] if isinstance(command, Tick) else decided[1:]
        return None


def _difference(event: Any, expected: Any) -> str:
    if type(event) is not type(expected):
        return f"it is {_name(event)}, the rules give {_name(expected)}"
    return f"{_name(event)} differs from what the rules give: {_differences(event, expected)}"


def _differences(found: msgspec.Struct, expected: msgspec.Struct) -> str:
    """The names of the fields, with numbers where they are numbers."""
    parts = []
    for name in found.__struct_fields__:
        one, other = getattr(found, name), getattr(expected, name)
        if one != other:
            parts.append(f"{name} {one} for {other}" if isinstance(one, int) and isinstance(other, int) else name)
    return ", ".join(parts)


def _name(event: Any) -> str:
    return type(event).__name__
