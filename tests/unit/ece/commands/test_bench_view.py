"""What the benches show to people."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from bench.measures.beside import NoRival, check_rival, with_ratio
from bench.measures.failover import summed_up
from ece.commands.bench.failover_view import print_failover
from ece.commands.bench.view import print_attacks, print_bench, print_micro


def shape(**more: Any) -> dict[str, Any]:
    return {
        "accepted_per_s": 8_123.4, "refused_per_s": 1.0, "ack_ms": {"p50": 4.04, "p99": 9.99},
        "news_ms": {"p50": None, "p99": None}, "news_per_s": 0.0, "refused": {}, "lost_connections": 0,
        "share_of_echo": 0.254, **more,
    }  # fmt: skip


def shown(result: dict[str, Any]) -> str:
    out = io.StringIO()
    print_bench(Console(file=out, width=100), {"settings": {}, "echo_per_s": 32_000.0, **result})
    return out.getvalue()


def cells(text: str, first: str) -> list[str]:
    (row,) = [line for line in text.splitlines() if re.match(rf"\s*{re.escape(first)}\s\s", line)]
    return re.split(r"\s\s+", row.strip())


def test_a_shape_is_a_row_of_rates_latencies_and_its_share_of_the_echo():
    text = shown({"hot": shape()})
    assert cells(text, "hot") == ["hot", "8,123", "1", "4.0 / 10.0", "— / —", "0", "25%"]
    assert "32,000 round trips/s" in text
    assert "hot: 1 auction × 50 bidders" in text


def test_what_would_spoil_the_figures_is_said():
    text = shown({"hot": shape(refused={"overloaded": 3}, lost_connections=2)})
    assert "hot: refused: 3 overloaded" in text
    assert "hot: 2 connections were lost" in text


def test_lifted_limits_are_said():
    assert "ECE_SOCKET_COMMANDS_PER_S=7" in shown({"hot": shape(), "settings": {"socket_commands_per_s": 7}})


def test_a_rival_stands_beside_with_the_ratio():
    rival = with_ratio(shape(), {"accepted_per_s": 343, "ack_ms": {"p50": 141, "p99": 191}})
    text = shown({"hot": shape(beside={"prisma": rival})})
    (row,) = [line for line in text.splitlines() if "prisma" in line]
    assert re.split(r"\s\s+", row.strip()) == [
        "hot",
        "prisma",
        "343",
        "141 / 191",
        "23.7 times",
    ]


def test_a_rival_that_accepts_nothing_has_no_ratio():
    assert with_ratio(shape(), {"accepted_per_s": 0})["ratio"] is None


def test_long_and_short_stand_beside_each_other():
    def auction(bids: int) -> dict[str, Any]:
        memory = {"before": 70.0, "after": 71.5}
        latencies = {"p50": 1.0, "p99": 2.0}
        return {"bids_before": bids, "built_per_s": 9_000.0, "accepted_per_s": 800.0, "ack_ms": latencies,
                "host_memory_mb": memory}  # fmt: skip

    ratio = {"ack_p50": 1.0, "ack_p99": 1.02, "accepted_per_s": 1.0}
    text = shown({"long": {"short": auction(1_000), "long": auction(1_000_000), "ratio": ratio}})
    assert cells(text, "1,000,000 bids") == ["1,000,000 bids", "9,000/s", "800", "1.0 / 2.0", "70.0 → 71.5"]
    assert "ack p50 × 1.0, p99 × 1.02" in text


def test_micro_figures_have_a_cost_each():
    out = io.StringIO()
    print_micro(Console(file=out, width=100), {"decide": {"about": "decide a bid", "us": 1.99, "per_s": 502_512.6}})
    assert cells(out.getvalue(), "decide a bid") == ["decide a bid", "1.99 µs", "502,513"]


def shown_failover(rounds: int) -> str:
    kills = [
        {"first_s": 0.4, "all_s": 0.5 + number, "after_answer_s": 0.1, "no_bid_s": 0.6, "unavailable": 1_234,
         "longest_silence_s": 0.05, "missing": number}
        for number in range(rounds)
    ]  # fmt: skip
    parts = {part: summed_up(part, kills) for part in ("host", "postgres", "valkey", "gcs_server")}
    size = {"auctions": 8, "bidders": 16, "gateways": 1, "rounds": rounds, "acknowledged": 5_000, "missing": 3}
    out = io.StringIO()
    print_failover(Console(file=out, width=80), {**size, "parts": parts})
    return out.getvalue()


def test_a_kill_is_a_row_with_its_bar_and_whether_it_is_met():
    text = shown_failover(1)
    assert cells(text, "host") == ["host", "0.40", "0.50", "0.60", "1,234", "0.05", "0", "1", "yes"]
    assert cells(text, "valkey")[-2:] == ["—", "—"]
    assert "PostgreSQL: 0.10 s from its first answer until every auction accepts; bar 1 s." in text
    assert "Of 5,000 acknowledged bids 3 are missing in the log." in text


def test_of_several_rounds_median_and_worst_are_shown_on_eighty_columns():
    text = shown_failover(3)
    assert cells(text, "host") == ["host", "0.40/0.40", "1.50/2.50", "0.60", "1,234", "0.05", "3", "1", "NO"]
    assert cells(text, "postgres")[-2:] == ["5", "yes"]


def test_a_directory_that_is_no_rival_is_refused(tmp_path):
    (tmp_path / "start.sh").touch()
    with pytest.raises(NoRival, match=r"lacks load\.js, pg\.sh, package\.json"):
        check_rival(tmp_path)


def test_attacks_stand_in_a_table_that_a_terminal_of_80_columns_shows_as_a_whole():
    figures = {
        "ack_ms": {"p50": 104.21, "p99": 1_012.35}, "times_quiet": 12.61, "rest_ms": {"p50": 104.8, "p99": 1_019.1},
        "memory_mib": 1_031.2, "dropped": {"displaced": 49_000, "silent": 312},
    }  # fmt: skip
    result = {
        "quiet_ack_ms": [{"p50": 2.5, "p99": 4.0}, {"p50": 2.4, "p99": 5.5}], "quiet_rest_ms": {"p50": 3.3, "p99": 6.0},
        "memory_mib": 102.4, "goals": {"times_quiet": 3.0},
        "attacks": {
            "unread_responses": {**figures, "health": {"200": 40}, "rest": {"200": 41}},
            "silent": {**figures, "health": {"200": 40}, "rest": {"200": 39, "503": 2}},
        },
    }  # fmt: skip
    out = io.StringIO()
    print_attacks(Console(file=out, width=80), result)
    text = out.getvalue()
    assert cells(text, "none") == ["none", "2.4 / 5.5", "3.3 / 6.0", "102"]
    assert cells(text, "unread responses") == [
        "unread responses", "104 / 1012", "12.6", "200", "105 / 1019", "1031", "49,312"
    ]  # fmt: skip
    assert cells(text, "silent")[3] == "200, 503"
