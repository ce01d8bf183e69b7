"""How a host is doing, reported with each heartbeat: for the director, for gateways' /metrics, and for operators."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

HOTTEST_MAX = 8
WANTED_MAX = 64
COMMIT_SHARE = 0.05
# The share of the newest half second in a rate: what lasts a second or two counts, a burst does not.
NEWEST_SHARE = 0.3
# Rates below this are nothing.
RATE_MIN = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class EntityRate(msgspec.Struct, frozen=True, array_like=True):
    """One entity's orders a second."""

    entity: int
    rate: int


class LoadReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """JSON in ``hosts.load_report``. Rates are per second, times in milliseconds, memory in bytes; the rest are counts.

    ``hottest`` are the entities with the most orders, ``dedicated_wanted`` live ones for which a dedicated host was
    asked, and ``ended`` those that have one and need it no more.
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
    """What a host reported; from a version that reports something else, nothing."""
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return LoadReport()


class LoadMeter:
    """Counts what a host does."""

    def __init__(self) -> None:
        self.commits = 0
        self.conflicts = 0
        self.refused_overloaded = 0
        self._commit_ms = 0.0
        self._rates: dict[int, float] = {}
        self._at_ms: int | None = None

    def committed(self, took_ms: float) -> None:
        """One append is done."""
        self.commits += 1
        self._commit_ms += COMMIT_SHARE * (took_ms - self._commit_ms)

    def rates(self, orders: Mapping[int, int], now_ms: int) -> dict[int, float]:
        """Orders a second of each entity, smoothed, given how many there were since the last call."""
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
        """The report, with what is counted here."""
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
    """The few entities with the most orders, hottest first."""
    best = sorted(rates.items(), key=lambda item: -item[1])[:HOTTEST_MAX]
    return [EntityRate(entity, round(rate)) for entity, rate in best]


def rss_bytes() -> int:
    """What this process has in memory."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * _PAGE_BYTES
