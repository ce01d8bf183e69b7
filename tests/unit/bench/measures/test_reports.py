"""Every bench's report fits a terminal of 80 columns, also with large figures."""

from typing import Any

import pytest

from bench.definition import Report, Table
from bench.measures import attacks, closed_loop, move, overload, trades
from bench.measures.browser import command as browser
from bench.measures.browser.room import memory_figures
from bench.measures.capacity import command, scaling
from bench.measures.database import catalog, ledger, portfolio
from bench.measures.gateway import guard, logins
from tests.unit.bench.terminal import WIDTH, cells, shown

SLOW = {"p50": 104.21, "p95": 812.5, "p99": 1_012.35, "max": 2_345.6}

SHAPE = {
    "accepted_per_s": 123_456.7, "refused_per_s": 12_345.0, "ack_ms": SLOW, "update_ms": SLOW,
    "updates_per_s": 123_456.7, "refused": {"overloaded": 1_000}, "lost_connections": 3,
}  # fmt: skip
LENGTH = {
    "bids_before": 1_000_000, "built_per_s": 123_456.0, "accepted_per_s": 12_345.0, "ack_ms": SLOW,
    "host_memory_mb": {"before": 1_070.0, "after": 1_071.5},
}  # fmt: skip
LONG = {"short": LENGTH, "long": LENGTH, "ratio": {"ack_p50": 1.0, "ack_p99": 1.02}}
ATTACK = {
    "ack_ms": SLOW, "times_quiet": 12.61, "rest_ms": SLOW, "memory_mib": 1_031.2,
    "dropped": {"displaced": 49_000, "silent": 312},
}  # fmt: skip
ATTACKS = {
    "quiet_ack_ms": [{"p50": 2.5, "p99": 4.0}, {"p50": 2.4, "p99": 5.5}], "quiet_rest_ms": {"p50": 3.3, "p99": 6.0},
    "memory_mib": 102.4, "goals": {"times_quiet": 3.0},
    "attacks": {
        "unread_responses": {**ATTACK, "health": {"200": 40}, "rest": {"200": 41}},
        "silent": {**ATTACK, "health": {"200": 40}, "rest": {"200": 39, "503": 2}},
    },
}  # fmt: skip
PAGES = {name: SLOW for name, _ in catalog.QUERIES}
HELD_UP = {"p50": 8.9, "p99": 155.2, "max": 345.6}
MOVED = {
    "moves": 100, "bids_per_s": 123_456.0, "during": HELD_UP, "apart": HELD_UP, "worst_move_p99_ms": 345.6,
    "refused": {"unavailable": 1_000}, "unanswered": 10, "refused_by_the_rules": 5, "missing": 100, "met": False,
}  # fmt: skip
OVERLOADED = {
    "times": 3, "offered_per_s": 123_456.0, "accepted_per_s": 123_456.0, "share_of_peak": 1.06, "ack_ms": SLOW,
    "overloaded_ms": SLOW, "overloaded_last_ms": 1_234.5, "behind_ms": SLOW, "load_kept_up": False,
    "otherwise_refused": {"bid_too_low": 6}, "unavailable_per_s": 3.0, "unanswered": 2, "lost_connections": 1,
}  # fmt: skip
CAPACITY = {
    "kinds": {
        kind.name: {
            "unit": kind.unit, "service_level": kind.service_level, "held": 123_456, "ended_by": "246,912: too slow",
            "steps": [
                {"size": 123_456, "verdict": "held", "why": None, kind.latency: SLOW, "behind_ms": SLOW},
                {"size": 246_912, "verdict": "invalid", "why": "only 8 connected"},
            ],
        }
        for kind in command.KINDS.values()
    }
}  # fmt: skip
SCALE = {
    "plan": {"nodes": 10_000, "sockets": 1_000_000, "auctions": 100_000, "bids_per_s": 123_456.7},
    "demands": [
        {"resource": "processors of PostgreSQL", "used": 1_234.5, "available": 16.0, "unit": "cores", "share": 12.34,
         "changes": "several databases"},
    ],
    "carries_bids_per_s": 123_456.7,
    "simulated": {"acked_per_s": 123_456.7, "ack_ms": SLOW, "update_ms": {"p50": None, "p99": None},
                  "busy": {"host": 0.2, "gateway": 0.9}},
}  # fmt: skip
TRADED = {
    "trades_per_s": 1_234.5, "pairs": 500, "commands_per_s": 12_345.0, "ack_ms": SLOW, "live": 50_000, "hosts": 2,
    "hosts_mib": 1_234.5, "hosts_empty_mib": 137.1, "offers_per_s": 1_234.5, "first_back_s": 12.3,
    "recovered_s": 45.6, "goals": trades.GOALS,
}  # fmt: skip
BROWSED = {
    "interactive": {"loads": 50, "median_ms": 12_345, "worst_ms": 23_456},
    "frames": {
        "frames_per_s": 60.0, "on_time": 0.987, "worst_ms": 1_234.5, "updates_per_s": 1_234.5, "long_tasks": 1_234,
        "longest_task_ms": 1_234.5, "busy": {"task": 0.987, "script": 0.123},
    },
    "memory": {
        "minutes": 10.0, "heap_mib": [12.34, 12.4, 1_234.5], "heap_mib_per_minute": 123.4567,
        "nodes": [12_345, 123_456], "listeners": [1_234, 1_235],
    },
    "goals": browser.GOALS,
}  # fmt: skip

REPORTS = {
    "browser": browser.report(BROWSED),
    "trades": trades.report(TRADED),
    "closed loop": Report(
        {},
        closed_loop.text({
            "settings": {"socket_commands_per_s": 1_000_000}, "spread": SHAPE, "long": LONG,
        }),
    ),
    "guard": guard.report({kind: [{"acks_per_s": 123_456.7, "ack_ms": SLOW}] * 3 for kind in guard.KINDS}),
    "attacks": attacks.report(ATTACKS),
    "catalog": catalog.report({
        "cards": 1_000_000, "uncached": PAGES, "cached": PAGES, "imported_per_s": 11_015.0,
        "goals": {"imported_per_s": 20_000, "p95_ms": 50},
    }),
    "capacity": command.report(CAPACITY),
    "ledger": ledger.report({
        name: {"per_s": 28_987.0, "batch": 1_000, "batch_ms": SLOW, "writers": 2, "accounts": 10_000}
        for name in ("transfers", "holds")
    } | {"goals": {"transfers_per_s": 20_000}}),
    "logins": logins.report({
        "logins": 5_000, "succeeded": 1_000, "answers": {"200": 1_000, "503": 12_345}, "ack_ms": SLOW, "unanswered": 2,
        "quiet_ack_ms": [SLOW, SLOW], "times_quiet": 12.61, "goals": {"times_quiet": 2.0},
        "reads_per_s": {"authenticated": 12_345.6, "open": 12_345.6},
    }),
    "move": move.report({"around_ms": 100, "bar_p99_ms": 100.0, "hot": MOVED, "spread": MOVED, "dedicated": MOVED}),
    "overload": overload.report({
        "rounds": [OVERLOADED], "peak_per_s": 123_456.0, "peaks_per_s": [123_456.0] * 4, "sockets": 100,
        "goals": {"goodput_share": 0.85, "overloaded_last_ms": 150.0},
    }),
    "portfolio": portfolio.report({
        **{name: SLOW for name, _ in portfolio.QUERIES}, "copies": 10_000, "holdings": 9_513, "rows": 240_000,
        "rows_per_s": 9_108.0, "value_days": 7_781, "values_s": 34.0, "goals": {"p95_ms": 100},
    }),
    "scale": scaling.report(SCALE),
}  # fmt: skip


@pytest.mark.parametrize("name", REPORTS)
def test_no_cell_is_cut_and_no_line_is_longer_than_a_terminal(name: str):
    text = shown(REPORTS[name])
    assert "…" not in text
    assert all(part.title in text for part in REPORTS[name].text if isinstance(part, Table))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= WIDTH


def test_attacks_are_rows_after_one_without_attack():
    text = shown(REPORTS["attacks"])
    assert cells(text, "none") == ["none", "2.4 / 5.5", "3.3 / 6.0", "102"]
    assert cells(text, "unread responses") == [
        "unread responses", "104 / 1012", "12.6", "200", "104 / 1012", "1031", "49,312"
    ]  # fmt: skip
    assert cells(text, "silent")[3] == "200, 503"


def test_the_window_with_log_ins_stands_between_those_without():
    text = shown(REPORTS["logins"])
    assert cells(text, "with 5000 log-ins")[1:] == ["104 / 1012"]
    assert "the p99 is 12.61 times that of bids alone" in " ".join(text.split())


def test_a_page_of_the_catalog_is_a_row_without_and_with_the_cache():
    row = cells(shown(REPORTS["catalog"]), "no filter")
    assert row == ["no filter", "104.2", "812.5", "104.2", "812.5"]


def test_a_portfolio_is_a_row_and_the_read_models_a_note():
    text: Any = shown(REPORTS["portfolio"])
    assert cells(text, "portfolio, over REST") == ["portfolio, over REST", "104.2", "812.5"]
    assert "Read models: 240,000 rows at 9,108/s" in text


def test_a_capacity_is_shown_with_its_steps_and_what_ended_the_search():
    kinds = {"kinds": {"bids": CAPACITY["kinds"]["bids"]}}
    text: Any = shown(command.report(kinds))
    assert cells(text, "123,456") == ["123,456", "104 / 1012", "1012.4", "held"]
    assert cells(text, "246,912") == ["246,912", "—", "—", "invalid"]
    assert "Capacity: 123,456 bids/s. Ended by 246,912: too slow." in text


def test_the_scarcest_resource_of_a_cluster_is_named_with_what_to_change():
    text: Any = shown(REPORTS["scale"])
    assert cells(text, "processors of PostgreSQL")[1:] == ["1,234.50 cores", "16", "1234%"]
    assert "First: processors of PostgreSQL. Then: several databases." in " ".join(text.split())


def test_the_heap_of_a_browser_is_judged_by_its_slope_over_ten_minutes():
    calm = BROWSED | {
        "interactive": {"loads": 1, "median_ms": 900, "worst_ms": 900},
        "memory": memory_figures(
            [{"heap_mib": 8.0 + step % 2 / 10, "nodes": 500, "listeners": 90} for step in range(11)], 2.0
        ),
    }
    assert browser.report(calm).passed
    leaking = memory_figures([{"heap_mib": 8.0 + step / 8, "nodes": 500, "listeners": 90} for step in range(9)], 2.0)
    assert leaking["heap_mib_per_minute"] == 0.5
    report = browser.report(calm | {"memory": leaking})
    assert not report.passed
    assert cells(shown(report), "heap in ten minutes") == ["heap in ten minutes", "+5.00 MiB", "≤ +1 MiB", "missed"]
