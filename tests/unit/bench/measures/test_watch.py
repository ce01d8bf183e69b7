"""What a crowd was told, judged; and when a crowd is too large."""

import io
from collections import Counter
from typing import Any

import pytest
from rich.console import Console

from bench.loads.watch import TICKS_PER_S, TIMED_EVERY, Ear, Ears, latencies
from bench.measures.watch import BROKEN_P99_MS, what_broke
from bench.wire.client import Incoming
from ece.commands.bench.view import print_watch


def ear(seq: int = 2) -> tuple[Ears, Ear]:
    ears = Ears()
    one = Ear(ears, number=0)
    one.begin(seq, {"price": 1, "minimum": 2})
    return ears, one


def event(seq: int, kind: str = "bid", **data: int) -> Incoming:
    return Incoming(channel="auction:1", seq=seq, type=kind, data=data)


def test_a_watcher_holds_what_it_was_told_last():
    ears, one = ear()
    one.hear(event(3, price=5, minimum=6))
    one.hear(event(4, "reserve_met"))
    one.hear(event(9, "state", price=7, minimum=8))
    assert (one.seq, one.price, one.minimum, ears.faults) == (9, 7, 8, 0)


@pytest.mark.parametrize(
    "told",
    [event(4, price=5, minimum=6), event(2, price=5, minimum=6), event(2, "state", price=5, minimum=6)],
    ids=["a silent gap", "again", "an old state"],
)
def test_gaps_and_repetitions_are_faults(told: Incoming):
    ears, one = ear()
    one.hear(told)
    assert ears.faults == 1


def test_every_eighth_bid_is_timed_to_the_first_frame_that_includes_it():
    sent = dict.fromkeys(range(1, 4 * TIMED_EVERY), 1.0)
    # Watcher 3 times the bids 3, 11, 19, …; the first frame has 1 to 3, the next all up to 20.
    found = latencies(sent, [(3, 0, 3, 1.5), (3, 3, 20, 2.0)])
    assert found == Counter({TICKS_PER_S // 2: 1, TICKS_PER_S: 2})


def test_each_bid_is_timed_by_one_of_neighbouring_watchers():
    sent = dict.fromkeys(range(1, 1 + TIMED_EVERY), 0.0)
    heard = [(number, 0, TIMED_EVERY, 1.0) for number in range(TIMED_EVERY)]
    assert latencies(sent, heard).total() == TIMED_EVERY


def figures(**changes: Any) -> dict[str, Any]:
    return {
        "watchers": 10, "bids_per_s": 200.0, "frames_per_s": 1_234.5, "ack_ms": {"p50": 1.0, "p99": 2.0},
        "news_ms": {"p50": 20.0, "p99": 90.0}, "dropped": 0, "right": 10, "faults": 0,
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dropped": 1}, "dropped"),
        ({"faults": 2}, "silent gap"),
        ({"right": 9}, "only 9"),
        ({"news_ms": {"p50": 1.0, "p99": BROKEN_P99_MS + 1}}, "p99"),
        ({"news_ms": {"p50": None, "p99": None}}, "p99"),
    ],
)
def test_what_breaks_a_crowd_is_named(changes: dict[str, Any], said: str):
    assert what_broke(figures()) is None
    assert said in (what_broke(figures(**changes)) or "")


def test_people_see_every_crowd_and_what_ended_it():
    out = io.StringIO()
    result = {
        "rounds": [figures(), figures(watchers=20, right=19)],
        "ended_by": "20 watchers: only 19 ended with the last state",
        "goals": {"news_p99_ms": 100.0},
    }  # fmt: skip
    print_watch(Console(file=out, width=100), result)
    text = out.getvalue()
    assert "all" in text
    assert "19" in text
    assert "It ended there: 20 watchers: only 19 ended with the last state." in text
    assert "under 100 ms" in text
