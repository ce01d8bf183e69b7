"""`ece bench` as a user runs it, for a second: the figures' shape, not their size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# What a run takes on a busy machine: it ends only those that hang.
RUN_TIMEOUT_S = 240


def bench(*arguments: str, timeout_s: float = RUN_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ECE_")}
    return subprocess.run(
        [sys.executable, "-m", "ece.cli", "bench", *arguments],
        env=environment, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_hot_measures_accepted_bids_acks_and_updates():
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
    assert figures["settings"] == {"socket_commands_per_s": 1_000_000, "socket_commands_burst": 1_000_000}


@pytest.mark.alone
@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_capacity_measures_rates_of_bids_until_one_does_not_hold_or_the_steps_are_used_up(tmp_path: Path):
    picture, saved = tmp_path / "curve.svg", tmp_path / "figures.json"
    done = bench(
        "capacity", "--kind", "bids", "--first", "100", "--up-to", "200", "--steps", "4", "--seconds", "1", "--json",
        "--picture", str(picture), "--save", str(saved),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    found = figures["kinds"]["bids"]
    assert 1 <= len(found["steps"]) <= 4
    for step in found["steps"]:
        assert step["offered_per_s"] == pytest.approx(step["size"], rel=0.05)
        assert step["verdict"] != "held" or step["behind_ms"]["p99"] <= 25.0
        assert 0 < step["ack_ms"]["p50"] <= step["ack_ms"]["p99"]
        assert step["log_bytes_per_bid"] > 100
    assert found["held"] in (None, *(step["size"] for step in found["steps"] if step["verdict"] == "held"))
    assert figures["costs"]["gateway_us_per_bid"] > 0
    assert "<svg" in picture.read_text()
    assert json.loads(saved.read_text())["kinds"]["bids"] == found


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_capacity_for_auctions_kills_the_hosts_and_waits_for_every_auction_to_be_back():
    done = bench("capacity", "--kind", "auctions", "--first", "100", "--up-to", "200", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["kinds"]["auctions"]
    assert (found["held"], [step["auctions"] for step in found["steps"]]) == (200, [100, 200])
    for step in found["steps"]:
        # One owns them, one stands by: both are counted, and both are killed.
        assert step["hosts"] == 2
        assert 20 < step["hosts_mib"] < 2_048
        assert 0 < step["first_back_s"] <= step["recovered_s"] < 20
        assert step["ended_per_s"] > 0


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_capacity_for_sockets_connects_more_until_all_that_were_asked_for_are_there():
    done = bench("capacity", "--kind", "sockets", "--first", "100", "--up-to", "300", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    # On a busy machine a step may be invalid or slow; none may lose a socket.
    assert all(
        (step["answered"], step["dropped"]) == (step["sockets"], 0) for step in figures["kinds"]["sockets"]["steps"]
    )
    assert 0 < figures["costs"]["socket_bytes"] < 500_000


def test_scale_needs_no_engine():
    done = bench("scale", "--nodes", "3", "--sockets", "300", "--auctions", "30", "--bids", "300", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["simulated"]["acked_per_s"] == pytest.approx(300, rel=0.05)
    shares = [demand["share"] for demand in figures["demands"]]
    assert shares == sorted(shares, reverse=True)


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


@pytest.mark.alone
@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_move_moves_slots_and_gives_a_hot_auction_the_dedicated_host_and_no_bid_is_refused_for_it():
    done = bench("move", "--moves", "2", "--swaps", "0", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    parts = {name: figures[name] for name in ("hot", "spread", "dedicated")}
    # The slots of 50 auctions take more than one step, and a pass is not broken off.
    assert parts["hot"]["moves"] == 2
    assert parts["spread"]["moves"] >= 2
    # On a busy machine the loads of the two auctions swing, and the dedicated host may change hands again.
    assert parts["dedicated"]["moves"] >= 1
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


@pytest.mark.alone
@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_capacity_for_watchers_ends_every_step_with_all_watchers_at_the_last_state():
    done = bench(
        "capacity", "--kind", "watchers", "--first", "50", "--up-to", "100", "--steps", "3", "--seconds", "1", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["kinds"]["watchers"]
    assert found["steps"][0]["size"] == 50
    for step in found["steps"]:
        assert (step["right"], step["dropped"], step["faults"]) == (step["watchers"], 0, 0)
        assert 0 < step["update_ms"]["p50"] <= step["update_ms"]["p99"]


@pytest.mark.alone
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
    assert len(figures["peaks_per_s"]) == 4


@pytest.mark.alone
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


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_mint_counts_what_is_on_the_chain():
    done = bench("mint", "--nfts", "40", "--actors", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["minted"], figures["lost"], figures["doubled"]) == (40, 0, 0)
    assert list(figures["nfts_per_s"]) == ["1"]
    assert 3 < figures["nfts_per_transaction"] <= 4
    assert 0 < figures["lamports_per_nft"] < figures["lamports_per_nft_alone"]
    assert figures["share_of_svm"] > 0
    assert list(figures["claim_ms"]) == ["2000", "100000"]


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_trades_counts_executed_trades_and_waits_for_every_open_one_to_be_back():
    done = bench("trades", "--seconds", "1", "--pairs", "8", "--live", "200", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["trades_per_s"] > 0
    assert figures["commands_per_s"] >= 3 * figures["trades_per_s"]
    assert 0 < figures["ack_ms"]["p50"] <= figures["ack_ms"]["p99"]
    # One owns them, one stands by: both are counted, and both are killed.
    assert (figures["live"], figures["hosts"]) == (200, 2)
    assert 20 < figures["hosts_empty_mib"] <= figures["hosts_mib"] < 1_000
    assert 0 < figures["first_back_s"] <= figures["recovered_s"] < 20


def test_help_teaches_what_is_measured():
    done = bench("--help")
    assert done.returncode == 0
    for part in (
        "closed loop",
        "hot",
        "spread",
        "lone",
        "long",
        "compare",
        "capacity",
        "scale",
        "overload",
        "attacks",
        "failover",
        "move",
        "micro",
        "mint",
        "trades",
    ):
        assert part in done.stdout
