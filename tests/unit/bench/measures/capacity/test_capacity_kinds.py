"""What each kind calls broken, and that a late generator is never believed."""

from collections import Counter
from typing import Any

import pytest

from bench.loads.overload import RoundResult
from bench.loads.watch import TICKS_PER_S, TIMED_EVERY, Watcher, Watchers, latencies
from bench.measures.capacity import auctions, bids, sockets, watchers
from bench.measures.capacity.fitting import slope
from bench.measures.capacity.kind import BEHIND_P99_MS_MAX, judged
from bench.measures.capacity.search import Verdict
from bench.measures.capacity.usage import Spent
from bench.wire.client import Incoming

FEW = {"p50": 1.0, "p99": 2.0}


@pytest.mark.parametrize(
    ("behind_p99_ms", "broken", "verdict"),
    [
        (1.0, None, Verdict.HELD),
        (1.0, "too slow", Verdict.BROKEN),
        (BEHIND_P99_MS_MAX + 1, None, Verdict.INVALID),
        (BEHIND_P99_MS_MAX + 1, "too slow", Verdict.INVALID),
        (None, None, Verdict.INVALID),
    ],
)
def test_a_step_with_a_late_generator_is_invalid_whatever_it_shows(
    behind_p99_ms: float | None, broken: str | None, verdict: Verdict
):
    assert judged(10, {"behind_ms": {"p99": behind_p99_ms}}, broken).verdict is verdict


@pytest.mark.parametrize(("broken", "verdict"), [(None, Verdict.HELD), ("too slow", Verdict.INVALID)])
def test_what_was_read_late_excuses_a_broken_step_and_takes_nothing_from_one_that_held(
    broken: str | None, verdict: Verdict
):
    late = {"behind_ms": FEW, "reading_late_ms": {"p99": BEHIND_P99_MS_MAX + 1}}
    assert judged(10, late, broken).verdict is verdict


def round_of(**changes: Any) -> RoundResult:
    known: dict[str, Any] = {
        "window_s": 2.0, "offered": 2_000, "accepted": 2_000, "refused": {}, "unanswered": 0, "ack_ms": FEW,
        "overloaded_ms": FEW, "overloaded_last_ms": None, "behind_ms": FEW, "client_cpu": 0.5, "lost_connections": 0,
    }  # fmt: skip
    return RoundResult(**(known | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accepted": 1_900}, "100 of 2,000 bids were not accepted in time"),
        ({"refused": {"overloaded": 3}}, "3 of 2,000 bids were refused"),
        ({"unanswered": 1}, "1 bids were not answered"),
        ({"lost_connections": 3}, "3 connections"),
        ({"ack_ms": {"p50": 1.0, "p99": 101.0}}, "ack p99 was 101 ms"),
        ({"ack_ms": {"p50": None, "p99": None}}, "ack p99"),
    ],
)
def test_what_breaks_a_rate_of_bids_is_named(changes: dict[str, Any], said: str):
    assert bids.what_broke(round_of()) is None
    assert said in (bids.what_broke(round_of(**changes)) or "")


WATCHED = {
    "watchers": 10, "update_ms": {"p50": 20.0, "p99": 90.0}, "dropped": 0, "right": 10, "faults": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dropped": 1}, "dropped"),
        ({"faults": 2}, "gap"),
        ({"right": 9}, "only 9"),
        ({"update_ms": {"p50": 1.0, "p99": watchers.UPDATE_P99_MS_MAX + 1}}, "p99 was 251 ms"),
        ({"update_ms": {"p50": None, "p99": None}}, "p99"),
    ],
)
def test_what_breaks_a_crowd_is_named(changes: dict[str, Any], said: str):
    assert watchers.what_broke(WATCHED) is None
    assert said in (watchers.what_broke(WATCHED | changes) or "")


IDLE = {"sockets": 10, "answered": 10, "dropped": 0, "ping_ms": FEW}


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"dropped": 1}, "disconnected"), ({"answered": 9}, "only 9"), ({"ping_ms": {"p50": 1.0, "p99": 101.0}}, "101")],
)
def test_what_breaks_idle_sockets_is_named(changes: dict[str, Any], said: str):
    assert sockets.what_broke(IDLE) is None
    assert said in (sockets.what_broke(IDLE | changes) or "")


def test_auctions_break_by_memory_and_by_the_time_of_recovery():
    fine = {"hosts_mib": 150.0, "recovered_s": 3.0}
    assert auctions.what_broke(fine) is None
    assert "MiB" in (auctions.what_broke(fine | {"hosts_mib": 2_049.0}) or "")
    assert "20.1 s" in (auctions.what_broke(fine | {"recovered_s": 20.1}) or "")


def test_costs_are_above_what_the_idle_engine_takes():
    idle = Spent(seconds=10.0, cpu_s={"host": 1.0})
    loaded = Spent(seconds=2.0, cpu_s={"host": 0.7})
    assert loaded.us_per("host", 10_000, idle) == pytest.approx(50.0)
    assert loaded.us_per("gateway", 10_000, idle) == 0.0
    assert loaded.cores() == {"host": 0.35}


def test_the_slope_is_that_of_the_best_line():
    assert slope([(0, 68), (1, 71), (2, 74), (4, 80)]) == pytest.approx(3)
    assert slope([(0, 0), (1, 2), (2, 2), (3, 4)]) == pytest.approx(1.2)
    assert slope([(5, 3)]) == 0.0


def watcher(seq: int = 2) -> tuple[Watchers, Watcher]:
    all_of_them = Watchers()
    one = Watcher(all_of_them, number=0)
    one.begin(seq, {"price": 1, "minimum": 2})
    return all_of_them, one


def event(seq: int, kind: str = "bid", **data: int) -> Incoming:
    return Incoming(channel="auction:1", seq=seq, type=kind, data=data)


def test_a_watcher_has_the_state_that_it_received_last():
    all_of_them, one = watcher()
    one.receive(event(3, price=5, minimum=6))
    one.receive(event(4, "reserve_met"))
    one.receive(event(9, "state", price=7, minimum=8))
    assert (one.seq, one.price, one.minimum, all_of_them.faults) == (9, 7, 8, 0)


@pytest.mark.parametrize(
    "received",
    [event(4, price=5, minimum=6), event(2, price=5, minimum=6), event(2, "state", price=5, minimum=6)],
    ids=["a gap", "again", "an old state"],
)
def test_gaps_and_repetitions_are_faults(received: Incoming):
    all_of_them, one = watcher()
    one.receive(received)
    assert all_of_them.faults == 1


def test_every_eighth_bid_is_timed_to_the_first_frame_that_includes_it():
    sent = dict.fromkeys(range(1, 4 * TIMED_EVERY), 1.0)
    # Watcher 3 times the bids 3, 11, 19, …; the first frame has 1 to 3, the next all up to 20.
    found = latencies(sent, [(3, 0, 3, 1.5), (3, 3, 20, 2.0)])
    assert found == Counter({TICKS_PER_S // 2: 1, TICKS_PER_S: 2})


def test_each_bid_is_timed_by_one_of_neighbouring_watchers():
    sent = dict.fromkeys(range(1, 1 + TIMED_EVERY), 0.0)
    received = [(number, 0, TIMED_EVERY, 1.0) for number in range(TIMED_EVERY)]
    assert latencies(sent, received).total() == TIMED_EVERY


def test_the_cost_of_a_batch_is_told_from_that_of_its_bids():
    # A batch costs 100 and a bid 20: alone 120 a bid, ten together 30.
    assert bids.bid_and_batch((1.0, 120.0), (10.0, 30.0)) == (pytest.approx(20.0), pytest.approx(100.0))
    assert bids.bid_and_batch((1.0, 20.0), (1.0, 20.0)) == (20.0, 0.0)


def test_bids_of_a_commit_are_counted_without_the_commits_of_an_idle_engine():
    idle = Spent(seconds=2.0, commits=20)
    assert Spent(seconds=1.0, commits=110).per_commit(1_000, idle) == pytest.approx(10.0)
    assert Spent(seconds=1.0, commits=5).per_commit(1_000, idle) == 1.0
