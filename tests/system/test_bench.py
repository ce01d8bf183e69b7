"""`ece bench` as a user runs it, for a second: the figures' shape, not their size."""

import json
import os
import subprocess
import sys

import pytest

# What a run takes on a busy machine: it ends only those that hang.
RUN_TIMEOUT_S = 240


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ECE_")}
    return subprocess.run(
        [sys.executable, "-m", "ece.cli", "bench", *arguments],
        env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
    )  # fmt: skip


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_hot_measures_accepted_bids_acks_updates_and_the_echo_of_the_same_run():
    done = bench("hot", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["bench"] == "hot"
    assert figures["accepted_per_s"] > 0
    assert figures["acks_per_s"] >= figures["accepted_per_s"]
    assert figures["lost_connections"] == 0
    assert set(figures["refused"]) <= {"bid_too_low"}
    assert 0 < figures["ack_ms"]["p50"] <= figures["ack_ms"]["p99"]
    assert 0 < figures["update_ms"]["p50"] <= figures["update_ms"]["p99"]
    assert figures["updates_per_s"] > 0
    assert figures["share_of_echo"] == pytest.approx(figures["accepted_per_s"] / figures["echo_per_s"], abs=0.001)
    assert figures["settings"] == {"socket_commands_per_s": 1_000_000, "socket_commands_burst": 1_000_000}


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_density_measures_the_memory_of_the_hosts_kills_them_and_waits_for_every_auction_to_be_back():
    done = bench("density", "--auctions", "200", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert [size["auctions"] for size in figures["sizes"]] == [0, 50, 100, 150, 200]
    # One owns them, one stands by: both are counted, and both are killed.
    assert (figures["auctions"], figures["hosts"]) == (200, 2)
    assert 20 < figures["hosts_mib"] < figures["goals"]["hosts_mib"]
    assert 0 < figures["first_back_s"] <= figures["recovered_s"] < figures["goals"]["recovered_s"]
    assert figures["mib_per_1000"] < 100


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_failover_kills_each_part_asked_for_and_every_acknowledged_bid_is_in_the_log():
    done = bench("failover", "--part", "postgres", "--part", "host", "--gateways", "2", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (list(figures["parts"]), figures["gateways"], figures["missing"]) == (["host", "postgres"], 2, 0)
    assert figures["acknowledged"] > 100
    for part in figures["parts"].values():
        assert 0 < part["first_s"]["worst"] <= part["all_s"]["worst"]
        # What was killed was needed: clients were told so meanwhile.
        assert part["unavailable"]["worst"] > 0
    assert figures["parts"]["postgres"]["after_answer_s"]["worst"] < figures["parts"]["postgres"]["all_s"]["worst"]


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_move_moves_slots_and_gives_a_hot_auction_the_dedicated_host_and_no_bid_is_refused_for_it():
    done = bench("move", "--moves", "2", "--swaps", "0", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    parts = {name: figures[name] for name in ("hot", "spread", "dedicated")}
    # The slots of 50 auctions take more than one step, and a pass is not broken off.
    assert (parts["hot"]["moves"], parts["dedicated"]["moves"]) == (2, 1)
    assert parts["spread"]["moves"] >= 2
    for part in parts.values():
        assert part["acknowledged"] > 100
        assert (part["refused"], part["unanswered"], part["missing"]) == ({}, 0, 0)
        assert 0 < part["during"]["p50"] <= part["during"]["p99"] <= part["during"]["max"]
        assert len(part["each_move"]) == part["moves"]


def test_a_part_that_there_is_not_is_refused_before_anything_starts():
    done = bench("failover", "--part", "printer")
    assert done.returncode == 1
    assert "--part printer: there is no such part. Parts are host, gateway" in done.stderr
    assert "ready" not in done.stderr


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_watch_doubles_the_crowd_and_every_watcher_ends_with_the_last_state():
    done = bench("watch", "--watchers", "50", "--up-to", "150", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert [(r["watchers"], r["right"], r["dropped"], r["faults"]) for r in figures["rounds"]] == [
        (50, 50, 0, 0), (100, 100, 0, 0),
    ]  # fmt: skip
    assert figures["watchers"] == 50
    assert 0 < figures["update_ms"]["p50"] <= figures["update_ms"]["p99"]
    assert figures["ended_by"] == "the largest crowd asked for, 150"


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_overload_offers_up_to_three_times_the_peak_and_every_bid_is_answered():
    done = bench("overload", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["sockets"] == 100
    assert [r["times"] for r in figures["rounds"]] == [1, 2, 3]
    for shown in figures["rounds"]:
        assert shown["offered_per_s"] == pytest.approx(shown["times"] * figures["peak_per_s"], rel=0.01)
        assert shown["accepted_per_s"] > 0
        assert (shown["unanswered"], shown["unavailable_per_s"], shown["lost_connections"]) == (0, 0.0, 0)
        assert set(shown["otherwise_refused"]) <= {"bid_too_low"}
    assert figures["goodput_share"] == figures["rounds"][-1]["share_of_peak"]


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_attacks_compares_bidders_and_rest_under_attack_with_quiet_windows():
    done = bench("attacks", "--only", "endless_header", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (len(figures["quiet_ack_ms"]), list(figures["attacks"])) == (2, ["endless_header"])
    attack = figures["attacks"]["endless_header"]
    assert (attack["accepted"], attack["unanswered"], attack["refused"]) == (100, 0, {})
    assert (set(attack["health"]), set(attack["rest"])) == ({"200"}, {"200"})
    assert attack["attackers"]["answers"].keys() == {"431"}
    assert attack["times_quiet"] > 0


def test_a_baseline_that_is_not_there_is_refused_before_anything_starts(tmp_path):
    done = bench("hot", "--beside", str(tmp_path))
    assert done.returncode == 1
    assert "is not a baseline stack: it lacks start.sh, load.js, pg.sh, package.json" in done.stderr
    assert "bench:" not in done.stderr


def test_help_teaches_what_is_measured():
    done = bench("--help")
    assert done.returncode == 0
    for part in (
        "closed loop",
        "share_of_echo",
        "hot",
        "spread",
        "lone",
        "long",
        "density",
        "watch",
        "overload",
        "attacks",
        "failover",
        "move",
        "micro",
    ):
        assert part in done.stdout
