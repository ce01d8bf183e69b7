"""How a host is doing, as it says with each heartbeat: for the director, for gateways' /metrics, and for operators."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

HOTTEST_MAX = 8
WISHES_MAX = 64
COMMIT_SHARE = 0.05
# The share of the newest half second in a rate: what lasts a second or two counts, a burst does not.
NEWEST_SHARE = 0.3
# Rates below this are nothing.
RATE_MIN = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Heat(msgspec.Struct, frozen=True, array_like=True):
    """One auction's orders a second."""

    auction: int
    rate: int


class Vitals(msgspec.Struct, frozen=True, omit_defaults=True):
    """JSON in ``hosts.vitals``. Rates are per second, times in milliseconds, memory in bytes; the rest are counts.

    ``hottest`` are auctions with the most orders, ``wishes`` live ones whose seller asked for a host of their own, and
    ``finished`` those that have such a host and need it no more.
    """

    pid: int = 0
    orders_rate: float = 0.0
    commit_ms: float = 0.0
    inbox: int = 0
    inbox_max: int = 0
    loading: int = 0
    auctions: int = 0
    timers: int = 0
    commits: int = 0
    conflicts: int = 0
    refused_overloaded: int = 0
    rss_bytes: int = 0
    streams: int = 0
    unread_bytes: int = 0
    news_waiting: int = 0
    news_dropped: int = 0
    hottest: list[Heat] = []
    wishes: list[int] = []
    finished: list[int] = []


_decode = msgspec.json.Decoder(Vitals).decode
encode_vitals = msgspec.json.Encoder().encode


def vitals_of(text: bytes) -> Vitals:
    """What a host said; from a version that says something else, nothing."""
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return Vitals()


class Pulse:
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
        """Orders a second of each auction, smoothed, given how many there were since the last call."""
        seconds = max(now_ms - (self._at_ms or now_ms), 1) / 1000
        if self._at_ms is not None:
            rates = {auction: (1 - NEWEST_SHARE) * rate for auction, rate in self._rates.items()}
            for auction, number in orders.items():
                rates[auction] = rates.get(auction, 0.0) + NEWEST_SHARE * number / seconds
            self._rates = {auction: rate for auction, rate in rates.items() if rate >= RATE_MIN}
        self._at_ms = now_ms
        return self._rates

    def forget(self, auction: int) -> None:
        """The auction is kept by another host now."""
        self._rates.pop(auction, None)

    def vitals(self, *, wishes: list[int], **others: Any) -> Vitals:
        """What the host says, with what is counted here."""
        return Vitals(
            pid=os.getpid(),
            commit_ms=round(self._commit_ms, 2),
            commits=self.commits,
            conflicts=self.conflicts,
            refused_overloaded=self.refused_overloaded,
            rss_bytes=rss_bytes(),
            wishes=wishes[:WISHES_MAX],
            **others,
        )


def hottest_of(rates: dict[int, float]) -> list[Heat]:
    """The few auctions with the most orders, hottest first."""
    best = sorted(rates.items(), key=lambda item: -item[1])[:HOTTEST_MAX]
    return [Heat(auction, round(rate)) for auction, rate in best]


def rss_bytes() -> int:
    """What this process has in memory."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * _PAGE_BYTES
