"""Reports of the closed-loop benches."""

from typing import Any

from bench.definition import Report
from bench.measures import closed_loop
from tests.unit.bench.terminal import cells, shown


def shape(**more: Any) -> dict[str, Any]:
    return {
        "accepted_per_s": 8_123.4, "refused_per_s": 1.0, "ack_ms": {"p50": 4.04, "p99": 9.99},
        "update_ms": {"p50": None, "p99": None}, "updates_per_s": 0.0, "refused": {}, "lost_connections": 0, **more,
    }  # fmt: skip


def reported(result: dict[str, Any]) -> str:
    return shown(Report({}, closed_loop.text({"settings": {}, **result})))


def test_a_shape_is_a_row_of_rates_and_latencies():
    text = reported({"hot": shape()})
    assert cells(text, "hot") == ["hot", "8,123", "1", "4.0 / 10.0", "— / —", "0"]
    assert "hot: 1 auction × 50 bidders" in text


def test_what_makes_the_figures_unreliable_is_shown():
    text = reported({"hot": shape(refused={"overloaded": 3}, lost_connections=2)})
    assert "hot: refused: 3 overloaded" in text
    assert "hot: 2 connections were lost" in text


def test_lifted_limits_are_shown():
    assert "ECE_SOCKET_COMMANDS_PER_S=7" in reported({"hot": shape(), "settings": {"socket_commands_per_s": 7}})


def test_the_long_and_the_short_auction_are_rows_of_one_table():
    def auction(bids: int) -> dict[str, Any]:
        memory = {"before": 70.0, "after": 71.5}
        latencies = {"p50": 1.0, "p99": 2.0}
        return {"bids_before": bids, "built_per_s": 9_000.0, "accepted_per_s": 800.0, "ack_ms": latencies,
                "host_memory_mb": memory}  # fmt: skip

    ratio = {"ack_p50": 1.0, "ack_p99": 1.02, "accepted_per_s": 1.0}
    text = reported({"long": {"short": auction(1_000), "long": auction(1_000_000), "ratio": ratio}})
    assert cells(text, "1,000,000 bids") == ["1,000,000 bids", "9,000/s", "800", "1.0 / 2.0", "70.0 → 71.5"]
    assert "ack p50 × 1.0, p99 × 1.02" in text
