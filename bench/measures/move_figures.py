"""Figures of moves, from what the bidders and the observer of the directory recorded."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from bench.loads.move import BY_THE_RULES, BidLog
from bench.percentiles import p50_p99

# What was in flight so shortly before and after the change of the directory is counted to the move.
AROUND_S = 0.1
P99_MS_MAX = 100.0


@dataclass(frozen=True)
class Change:
    """The directory named another owner for some auctions: at this time (perf_counter) at the latest."""

    at_s: float
    what: str

    @property
    def window(self) -> tuple[float, float]:
        return self.at_s - AROUND_S, self.at_s + AROUND_S


@dataclass(frozen=True)
class Bid:
    """One bid: times are of perf_counter; `seq` None when it was refused, with this code."""

    auction: str
    key: str
    sent_s: float
    answered_s: float
    seq: int | None
    code: str | None


@dataclass
class Run:
    """The changes of one run, and from when to when it is measured."""

    from_s: float = 0.0
    to_s: float = 0.0
    changes: list[Change] = field(default_factory=list)


def bids_of(bid_log: BidLog) -> Iterator[Bid]:
    """The bids of one bidder that were answered, in order."""
    sent, answered, seqs = array("d", bid_log.sent), array("d", bid_log.answered), array("q", bid_log.seqs)
    codes = dict(bid_log.refused)
    for number, (sent_s, answered_s, seq) in enumerate(zip(sent, answered, seqs, strict=False)):
        code = codes.get(number)
        key = f"{bid_log.prefix}-{number}"
        yield Bid(bid_log.auction, key, sent_s, answered_s, None if code is not None else seq, code)


def in_windows(bids: Sequence[Bid], changes: Sequence[Change]) -> tuple[list[list[Bid]], list[Bid]]:
    """The bids that were in flight in the window of each change, and those that were in none."""
    windows = [change.window for change in changes]
    assert all(one <= other for one, other in pairwise(windows)), "changes in the order of time"
    ends = [to_s for _, to_s in windows]
    inside: list[list[Bid]] = [[] for _ in windows]
    outside = []
    for bid in bids:
        place = bisect_left(ends, bid.sent_s)
        if place == len(windows) or windows[place][0] > bid.answered_s:
            outside.append(bid)
        while place < len(windows) and windows[place][0] <= bid.answered_s:
            inside[place].append(bid)
            place += 1
    return inside, outside


def figures_of(bids: Sequence[Bid], run: Run) -> dict[str, Any]:
    """Latencies (ms) of all bids of the run: around the changes, and apart from them."""
    measured = [bid for bid in bids if run.from_s <= bid.answered_s and bid.sent_s <= run.to_s]
    inside, outside = in_windows(measured, run.changes)
    during = list({id(bid): bid for window in inside for bid in window}.values())
    each = [
        {"at_s": round(change.at_s - run.from_s, 3), "what": change.what, "bids": len(window), **latencies(window)}
        for change, window in zip(run.changes, inside, strict=True)
    ]
    return {
        "moves": len(run.changes),
        "bids": len(measured),
        "bids_per_s": round(len(measured) / (run.to_s - run.from_s), 1),
        "during": {"bids": len(during), **latencies(during)},
        "apart": {"bids": len(outside), **latencies(outside)},
        "worst_move_p99_ms": max((move["p99"] or 0.0 for move in each), default=None),
        "each_move": each,
    }


def latencies(bids: Sequence[Bid]) -> dict[str, float | None]:
    """`{"p50", "p99", "max"}` in milliseconds from sending to answer."""
    took_s = [bid.answered_s - bid.sent_s for bid in bids]
    return {**p50_p99(took_s), "max": round(1000 * max(took_s), 3) if took_s else None}


def verdict_of(bids: Sequence[Bid], run: Run, logged: dict[str, dict[str, int]], unanswered: int) -> dict[str, Any]:
    """Refusals, acknowledged bids that the log (auction, key → seq) lacks, and whether the bar is met."""
    refused = Counter(bid.code for bid in bids if bid.code is not None)
    disturbed = {code: count for code, count in sorted(refused.items()) if code not in BY_THE_RULES}
    missing = sum(1 for bid in bids if bid.seq is not None and logged[bid.auction].get(bid.key) != bid.seq)
    inside, _ = in_windows(bids, run.changes)
    in_time = all((latencies(window)["p99"] or 0.0) < P99_MS_MAX for window in inside)
    return {
        "refused": disturbed,
        "refused_by_the_rules": sum(refused[code] for code in BY_THE_RULES),
        "unanswered": unanswered,
        "acknowledged": sum(1 for bid in bids if bid.seq is not None),
        "missing": missing,
        "met": bool(inside) and in_time and not (disturbed or missing or unanswered),
    }
