"""Memory and processor time of groups of processes, from /proc."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

MIB = 1024 * 1024
KIB = 1024
# To read the proportional share of a process takes a millisecond and more, to look for processes still more.
PSS_EVERY_S = 5.0
FOUND_EVERY_S = 10.0


class ProcessSamples:
    """Reads the groups that `find` gives. In no thread but one at a time."""

    def __init__(self, find: Callable[[], Mapping[str, Sequence[int]]]) -> None:
        self._find = find
        self._groups: dict[str, list[psutil.Process]] = {}
        self._cpu_s: dict[tuple[int, float], float] = {}
        self._found_s = self._pss_s = self._read_s = float("-inf")

    def read(self) -> dict[str, float]:
        """`rss_mib.<group>`, `cpu.<group>` (processors since the last reading; not in the first) and, every
        PSS_EVERY_S, `pss_mib.<group>` without shared memory, `heap_mib.<group>` of it (what no file backs) and
        `shared_mib` of all; and `processes`, their number."""
        now_s = time.monotonic()
        if now_s - self._found_s >= FOUND_EVERY_S:
            self._look(now_s)
        with_pss = now_s - self._pss_s >= PSS_EVERY_S
        found: defaultdict[str, float] = defaultdict(float)
        cpu_s: dict[tuple[int, float], float] = {}
        for group, processes in self._groups.items():
            for process in processes:
                self._add(process, group, with_pss, found, cpu_s)
        self._take_cpu(now_s, cpu_s, found)
        if with_pss:
            self._pss_s = now_s
        return dict(found)

    def _look(self, now_s: float) -> None:
        self._groups = {group: _processes(pids) for group, pids in self._find().items()}
        self._found_s = now_s

    def _add(
        self, process: psutil.Process, group: str, with_pss: bool, found: dict[str, float],
        cpu_s: dict[tuple[int, float], float],
    ) -> None:  # fmt: skip
        try:
            with process.oneshot():
                times, rss = process.cpu_times(), process.memory_info().rss
            pss = _proportional(process.pid) if with_pss else None
        except (psutil.Error, OSError):
            # It has ended.
            return
        used_s = times.user + times.system
        one = (process.pid, process.create_time())
        cpu_s[one] = used_s
        found["processes"] += 1
        found[f"rss_mib.{group}"] += rss / MIB
        if pss is not None:
            found[f"pss_mib.{group}"] += pss.own / MIB
            found[f"heap_mib.{group}"] += pss.heap / MIB
            found["shared_mib"] += pss.shared / MIB
        if self._cpu_s:
            found[f"cpu.{group}"] += used_s - self._cpu_s.get(one, used_s)

    def _take_cpu(self, now_s: float, cpu_s: dict[tuple[int, float], float], found: dict[str, float]) -> None:
        passed_s = now_s - self._read_s
        for name in found:
            if name.startswith("cpu."):
                found[name] /= passed_s
        self._cpu_s, self._read_s = cpu_s, now_s


class _Proportional(NamedTuple):
    """Proportional set size in bytes. `shared`: memory that was made to be shared, as PostgreSQL's buffers are."""

    own: int
    heap: int
    shared: int


def _proportional(pid: int) -> _Proportional:
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kib = {name: int(value) for name, value, *_ in lines}
    shared = kib["Pss_Shmem:"]
    return _Proportional((kib["Pss:"] - shared) * KIB, kib["Pss_Anon:"] * KIB, shared * KIB)


def _processes(pids: Sequence[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        try:
            found.append(psutil.Process(pid))
        except psutil.Error:
            continue
    return found
