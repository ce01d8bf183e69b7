"""The stream of results, and what is concluded from it."""

import json
from pathlib import Path

from bench.faults.recording import Acked, Order, RefusedOrder
from bench.locust.profiles import Slo
from bench.locust.results import BidAck, BidRefused, Result, ResultsFile, read_results
from bench.locust.verdicts import summary, verdicts

ACK = BidAck(
    "a", "ann", "k1", 500, sent_ns=1, answered_ns=2, seq=3, at=4, outcome="leading", price=5, minimum=6, ends_at=7
)
REFUSED = BidRefused("a", "ann", "k2", 500, sent_ns=8, price=5, minimum=6, server_time=9)


def write(path: Path) -> None:
    with ResultsFile(path) as results:
        results.append("ack", "bid", 1.23456, None, ACK)
        results.append("ack", "bid", 2.0, "bid_too_low", REFUSED)
        results.append("rest", "search", 3.0, "internal_error")


def test_a_line_is_one_finished_operation(tmp_path: Path):
    write(tmp_path / "load-1.jsonl")
    [first, second, third] = [json.loads(line) for line in (tmp_path / "load-1.jsonl").read_text().splitlines()]
    assert {**first, "at": 0} == {
        "at": 0, "kind": "ack", "name": "bid", "ms": 1.235, "error": None,
        "ack": {"auction": "a", "bidder": "ann", "key": "k1", "amount": 500, "sent_ns": 1, "answered_ns": 2, "seq": 3,
                "at": 4, "outcome": "leading", "price": 5, "minimum": 6, "ends_at": 7},
    }  # fmt: skip
    assert second["error"] == "bid_too_low"
    assert second["refused"]["server_time"] == 9
    assert {**third, "at": 0} == {"at": 0, "kind": "rest", "name": "search", "ms": 3.0, "error": "internal_error"}


def test_what_was_written_is_read_back_as_the_checker_takes_it(tmp_path: Path):
    write(tmp_path / "load-1.jsonl")
    [first, second, _] = read_results(tmp_path)
    assert first.ack is not None
    assert first.ack.acked() == Acked(Order("a", "ann", "k1", 500, 1), 2, 3, 4, "leading", 5, 6, 7)
    assert second.refused is not None
    assert second.refused.refused("bid_too_low") == RefusedOrder(
        Order("a", "ann", "k2", 500, 8), "bid_too_low", 5, 6, 9
    )


def test_all_processes_are_read_and_a_line_that_was_cut_off_is_left_out(tmp_path: Path):
    write(tmp_path / "load-1.jsonl")
    write(tmp_path / "load-2.jsonl")
    with (tmp_path / "load-2.jsonl").open("ab") as file:
        file.write(b'{"at":1,"kind":"ac')
    assert len(list(read_results(tmp_path))) == 6


def result(kind: str, ms: float, error: str | None = None) -> Result:
    return Result(1.0, kind, "x", ms, error)  # type: ignore[arg-type]


def test_refusals_by_the_rules_are_counted_apart_and_are_no_errors():
    figures = summary([result("ack", 1.0), result("ack", 2.0, "bid_too_low"), result("ack", 3.0, "internal_error")])
    ack = figures["kinds"]["ack"]
    assert (ack["count"], ack["refused"], ack["errors"]) == (1, {"bid_too_low": 1}, {"internal_error": 1})
    assert figures["errors"] == {"internal_error": 1}
    [errors] = [one for one in verdicts(Slo(), figures) if one["name"] == "error_share"]
    assert (round(errors["measured"], 3), errors["met"]) == (0.333, False)


def test_an_objective_is_judged_by_the_percentile_that_it_names():
    figures = summary([result("ack", float(ms)) for ms in range(1, 101)])
    slow, fast = verdicts(Slo(ack_p99_ms=98), figures), verdicts(Slo(ack_p99_ms=99), figures)
    assert [one for one in slow if not one["met"]] == [
        {"name": "ack_p99_ms", "bound": 98, "measured": 99.0, "met": False}
    ]
    assert all(one["met"] for one in fast)


def test_what_never_happened_meets_no_objective():
    found = verdicts(Slo(close_p99_ms=1_000), summary([]))
    assert {one["name"]: one["met"] for one in found} == {"close_p99_ms": False, "error_share": False}
