"""Acks sorted by auction and sequence number, on disk: an hour's do not fit into memory."""

import heapq
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.locust.results import BidAck

RUN_MAX = 100_000
# Each takes a file descriptor when they are merged.
RUNS_MAX = 500


def _place(ack: BidAck) -> tuple[str, int]:
    return ack.auction, ack.seq


class SortedAcks:
    """Add all, then iterate: runs are sorted in memory, written, and merged (an external merge sort)."""

    def __init__(self, directory: Path, run_max: int = RUN_MAX) -> None:
        self._directory = directory
        self._run_max = run_max
        self._run: list[BidAck] = []
        self._files: list[Path] = []
        self._encode = msgspec.json.Encoder().encode
        self.count = 0

    def add(self, ack: BidAck) -> None:
        self._run.append(ack)
        self.count += 1
        if len(self._run) >= self._run_max:
            self._write()

    def __iter__(self) -> Iterator[BidAck]:
        self._run.sort(key=_place)
        return heapq.merge(*map(_read, self._files), self._run, key=_place)

    def by_auction(self) -> Iterator[tuple[str, Iterator[BidAck]]]:
        """Each auction with its acks, to be used up before the next one is asked for."""
        return itertools.groupby(self, key=lambda ack: ack.auction)

    def _write(self) -> None:
        assert len(self._files) < RUNS_MAX, f"more than {RUNS_MAX * self._run_max:,} acks"
        path = self._directory / f"acks-{len(self._files):04}"
        self._run.sort(key=_place)
        with path.open("wb") as lines:
            lines.writelines(self._encode(ack) + b"\n" for ack in self._run)
        self._files.append(path)
        self._run = []


def _read(path: Path) -> Iterator[BidAck]:
    decode = msgspec.json.Decoder(BidAck).decode
    with path.open("rb") as lines:
        for line in lines:
            yield decode(line)
