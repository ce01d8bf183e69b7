"""The load report of a host, sent with each heartbeat: for the director, for /metrics, and for operators."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

HOTTEST_MAX = 8
WANTED_MAX = 64
COMMIT_SHARE = 0.05
# Weight of the newest half second in a smoothed rate: a burst has little effect.
NEWEST_SHARE = 0.3
# Rates below this count as 0.
RATE_MIN = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class EntityRate(msgspec.Struct, frozen=True, array_like=True):
    """Orders a second of one entity."""

    entity: int
    rate: int


class LoadReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """JSON in ``hosts.load_report``. Rates are per second, times in milliseconds, memory in bytes; the rest are counts.

    ``hottest`` are the entities with the most orders; ``dedicated_wanted`` those whose terms request a dedicated host;
    ``ended`` those on this dedicated host that have ended.
    """

    pid: int = 0
    orders_rate: float = 0.0
    commit_ms: float = 0.0
    inbox: int = 0
    inbox_max: int = 0
    loading: int = 0
    entities: int = 0
    timers: int = 0
    commits: int = 0
    conflicts: int = 0
    refused_overloaded: int = 0
    rss_bytes: int = 0
    streams: int = 0
    unread_bytes: int = 0
    updates_waiting: int = 0
    updates_dropped: int = 0
    hottest: list[EntityRate] = []
    dedicated_wanted: list[int] = []
    ended: list[int] = []


_decode = msgspec.json.Decoder(LoadReport).decode
encode_load_report = msgspec.json.Encoder().encode


def load_report_of(text: bytes) -> LoadReport:
    """Decode a report. One of another version, which can't be read, gives an empty report."""
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return LoadReport()


class LoadMeter:
    """Counters and rates of one host."""

    def __init__(self) -> None:
        self.commits = 0
        self.conflicts = 0
        self.refused_overloaded = 0
        self._commit_ms = 0.0
        self._rates: dict[int, float] = {}
        self._at_ms: int | None = None

    def committed(self, took_ms: float) -> None:
        """Count one append."""
        self.commits += 1
        self._commit_ms += COMMIT_SHARE * (took_ms - self._commit_ms)

    def rates(self, orders: Mapping[int, int], now_ms: int) -> dict[int, float]:
        """Orders a second of each entity, smoothed. ``orders``: how many each had since the last call."""
        seconds = max(now_ms - (self._at_ms or now_ms), 1) / 1000
        if self._at_ms is not None:
            rates = {entity: (1 - NEWEST_SHARE) * rate for entity, rate in self._rates.items()}
            for entity, number in orders.items():
                rates[entity] = rates.get(entity, 0.0) + NEWEST_SHARE * number / seconds
            self._rates = {entity: rate for entity, rate in rates.items() if rate >= RATE_MIN}
        self._at_ms = now_ms
        return self._rates

    def forget(self, entity: int) -> None:
        """Another host owns the entity now."""
        self._rates.pop(entity, None)

    def report(self, *, dedicated_wanted: list[int], **others: Any) -> LoadReport:
        """The report, with the counters of this meter."""
        return LoadReport(
            pid=os.getpid(),
            commit_ms=round(self._commit_ms, 2),
            commits=self.commits,
            conflicts=self.conflicts,
            refused_overloaded=self.refused_overloaded,
            rss_bytes=rss_bytes(),
            dedicated_wanted=dedicated_wanted[:WANTED_MAX],
            **others,
        )


def hottest_of(rates: dict[int, float]) -> list[EntityRate]:
    """The HOTTEST_MAX entities with the highest rates, the highest first."""
    best = sorted(rates.items(), key=lambda item: -item[1])[:HOTTEST_MAX]
    return [EntityRate(entity, round(rate)) for entity, rate in best]


def rss_bytes() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * _PAGE_BYTES
