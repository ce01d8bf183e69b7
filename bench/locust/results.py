"""The stream of results: each load process appends a line of JSON to a file of its own for every finished operation.

`{"at", "kind", "name", "ms", "error"}`: when it was finished (seconds since the Unix epoch), `ack`, `news`, `close` or
`rest`, what it was, its latency, and the code of its error or null. Bids also have `ack` or `refused`, the fields of
`bench.faults.recording`, so that a checker can compare them with the log afterwards.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import msgspec

from bench.faults.recording import Acked, Order, RefusedOrder

Kind = Literal["ack", "news", "close", "rest"]
KINDS: tuple[Kind, ...] = ("ack", "news", "close", "rest")
SUFFIX = ".jsonl"
BUFFER_BYTES = 1 << 18
FLUSHED_WITHIN_S = 1.0


class BidAck(msgspec.Struct, frozen=True, omit_defaults=True):
    """An acknowledged bid. `…_ns` on the steady clock of the machine."""

    auction: str
    bidder: str
    key: str
    amount: int
    sent_ns: int
    answered_ns: int
    seq: int
    at: int
    outcome: str
    price: int
    minimum: int
    ends_at: int | None = None
    duplicate: bool = False

    def acked(self) -> Acked:
        """As the checker takes it."""
        order = Order(self.auction, self.bidder, self.key, self.amount, self.sent_ns)
        return Acked(
            order, self.answered_ns, self.seq, self.at, self.outcome, self.price, self.minimum, self.ends_at,
            self.duplicate,
        )  # fmt: skip


class BidRefused(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bid that was refused, or whose outcome is unknown: then the code of the result says so."""

    auction: str
    bidder: str
    key: str
    amount: int
    sent_ns: int
    price: int | None = None
    minimum: int | None = None
    server_time: int | None = None

    def refused(self, code: str) -> RefusedOrder:
        """As the checker takes it."""
        order = Order(self.auction, self.bidder, self.key, self.amount, self.sent_ns)
        return RefusedOrder(order, code, self.price, self.minimum, self.server_time)


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finished operation."""

    at: float
    kind: Kind
    name: str
    ms: float
    error: str | None
    ack: BidAck | None = None
    refused: BidRefused | None = None


class ResultsFile:
    """Appends results. These reach the disk in blocks: within FLUSHED_WITHIN_S, and when it is closed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=BUFFER_BYTES)
        self._encode = msgspec.json.Encoder().encode
        self._flushed_at = 0.0

    def append(
        self, kind: Kind, name: str, ms: float, error: str | None, bid: BidAck | BidRefused | None = None
    ) -> None:
        """One result that is finished now."""
        ack = bid if isinstance(bid, BidAck) else None
        refused = bid if isinstance(bid, BidRefused) else None
        at = time.time()
        self._file.write(self._encode(Result(at, kind, name, round(ms, 3), error, ack, refused)) + b"\n")
        if at - self._flushed_at > FLUSHED_WITHIN_S:
            self._flushed_at = at
            self._file.flush()

    def close(self) -> None:
        """Write the rest. May be called twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_results(directory: Path) -> Iterator[Result]:
    """All results of a run, file by file. Raises msgspec.DecodeError for a line that is none.

    The last line of a process that was killed may be cut off: it is left out.
    """
    decode = msgspec.json.Decoder(Result).decode
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield decode(line)
