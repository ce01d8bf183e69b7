"""What a crowd received; and when a crowd is too large."""

from collections import Counter
from typing import Any

import pytest

from bench.loads.watch import TICKS_PER_S, TIMED_EVERY, Watcher, Watchers, latencies
from bench.measures.watch import BROKEN_P99_MS, report, what_broke
from bench.wire.client import Incoming
from tests.unit.bench.terminal import shown


def watcher(seq: int = 2) -> tuple[Watchers, Watcher]:
    watchers = Watchers()
    one = Watcher(watchers, number=0)
    one.begin(seq, {"price": 1, "minimum": 2})
    return watchers, one


def event(seq: int, kind: str = "bid", **data: int) -> Incoming:
    return Incoming(channel="auction:1", seq=seq, type=kind, data=data)


def test_a_watcher_has_the_state_that_it_received_last():
    watchers, one = watcher()
    one.receive(event(3, price=5, minimum=6))
    one.receive(event(4, "reserve_met"))
    one.receive(event(9, "state", price=7, minimum=8))
    assert (one.seq, one.price, one.minimum, watchers.faults) == (9, 7, 8, 0)


@pytest.mark.parametrize(
    "received",
    [event(4, price=5, minimum=6), event(2, price=5, minimum=6), event(2, "state", price=5, minimum=6)],
    ids=["a gap", "again", "an old state"],
)
def test_gaps_and_repetitions_are_faults(received: Incoming):
    watchers, one = watcher()
    one.receive(received)
    assert watchers.faults == 1


def test_every_eighth_bid_is_timed_to_the_first_frame_that_includes_it():
    sent = dict.fromkeys(range(1, 4 * TIMED_EVERY), 1.0)
    # Watcher 3 times the bids 3, 11, 19, …; the first frame has 1 to 3, the next all up to 20.
    found = latencies(sent, [(3, 0, 3, 1.5), (3, 3, 20, 2.0)])
    assert found == Counter({TICKS_PER_S // 2: 1, TICKS_PER_S: 2})


def test_each_bid_is_timed_by_one_of_neighbouring_watchers():
    sent = dict.fromkeys(range(1, 1 + TIMED_EVERY), 0.0)
    received = [(number, 0, TIMED_EVERY, 1.0) for number in range(TIMED_EVERY)]
    assert latencies(sent, received).total() == TIMED_EVERY


def figures(**changes: Any) -> dict[str, Any]:
    return {
        "watchers": 10, "bids_per_s": 200.0, "frames_per_s": 1_234.5, "ack_ms": {"p50": 1.0, "p99": 2.0},
        "update_ms": {"p50": 20.0, "p99": 90.0}, "dropped": 0, "right": 10, "faults": 0,
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dropped": 1}, "dropped"),
        ({"faults": 2}, "gap"),
        ({"right": 9}, "only 9"),
        ({"update_ms": {"p50": 1.0, "p99": BROKEN_P99_MS + 1}}, "p99"),
        ({"update_ms": {"p50": None, "p99": None}}, "p99"),
    ],
)
def test_what_breaks_a_crowd_is_named(changes: dict[str, Any], said: str):
    assert what_broke(figures()) is None
    assert said in (what_broke(figures(**changes)) or "")


def test_every_crowd_is_shown_and_what_ended_the_bench():
    result = {
        "rounds": [figures(), figures(watchers=20, right=19)],
        "ended_by": "20 watchers: only 19 ended with the last state",
        "goals": {"update_p99_ms": 100.0},
    }  # fmt: skip
    text = shown(report(result))
    assert "all" in text
    assert "19" in text
    assert "Ended by: 20 watchers: only 19 ended with the last state." in text
    assert "under 100 ms" in text
