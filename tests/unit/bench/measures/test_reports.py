"""Every bench's report fits a terminal of 80 columns, also with large figures."""

from typing import Any

import pytest

from bench.definition import Report, Table
from bench.measures import attacks, catalog, closed_loop, density, holds, ledger, move, overload, portfolio, watch
from tests.unit.bench.terminal import WIDTH, cells, shown

SLOW = {"p50": 104.21, "p95": 812.5, "p99": 1_012.35, "max": 2_345.6}

SHAPE = {
    "accepted_per_s": 123_456.7, "refused_per_s": 12_345.0, "ack_ms": SLOW, "update_ms": SLOW,
    "updates_per_s": 123_456.7, "refused": {"overloaded": 1_000}, "lost_connections": 3, "share_of_echo": 0.254,
}  # fmt: skip
BASELINE = {"prisma": {"accepted_per_s": 343, "ack_ms": SLOW, "ratio": 123.4}}
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
WATCHED = {
    "watchers": 16_000, "bids_per_s": 200.0, "update_ms": SLOW, "frames_per_s": 123_456.0, "ack_ms": SLOW,
    "dropped": 1_234, "right": 15_999,
}  # fmt: skip

REPORTS = {
    "closed loop": Report(
        {},
        closed_loop.text({
            "echo_per_s": 32_000.0, "settings": {"socket_commands_per_s": 1_000_000},
            "spread": {**SHAPE, "baseline": BASELINE}, "long": LONG,
        }),
    ),
    "attacks": attacks.report(ATTACKS),
    "catalog": catalog.report({
        "cards": 1_000_000, "uncached": PAGES, "cached": PAGES, "imported_per_s": 11_015.0,
        "goals": {"imported_per_s": 20_000, "p95_ms": 50},
    }),
    "density": density.report({
        "sizes": [{"auctions": 10_000, "hosts_mib": 1_155.0}], "mib_per_1000": 1.8, "created_per_s": 213.0,
        "bids_per_s": 12_345.0, "hosts": 2, "first_back_s": 1.7, "recovered_s": 3.8,
        "goals": {"hosts_mib": 2_048, "recovered_s": 20.0},
    }),
    "holds": holds.report({
        "goal": 0.85,
        "shapes": {"spread": {"covered_per_s": [10_000.0, 24_000.0], "uncovered_per_s": [9.0, 24.0], "ratio": 0.79}},
    }),
    "ledger": ledger.report({
        name: {"per_s": 28_987.0, "batch": 1_000, "batch_ms": SLOW, "writers": 2, "accounts": 10_000}
        for name in ("transfers", "holds")
    } | {"goals": {"transfers_per_s": 20_000}}),
    "move": move.report({"around_ms": 100, "bar_p99_ms": 100.0, "hot": MOVED, "spread": MOVED, "dedicated": MOVED}),
    "overload": overload.report({
        "rounds": [OVERLOADED], "peak_per_s": 123_456.0, "peak_again_per_s": 123_456.0, "sockets": 100,
        "goals": {"goodput_share": 0.8},
    }),
    "portfolio": portfolio.report({
        **{name: SLOW for name, _ in portfolio.QUERIES}, "copies": 10_000, "holdings": 9_513, "rows": 240_000,
        "rows_per_s": 9_108.0, "value_days": 7_781, "values_s": 34.0, "goals": {"p95_ms": 100},
    }),
    "watch": watch.report({"rounds": [WATCHED], "ended_by": "an update", "goals": {"update_p99_ms": 100.0}}),
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


def test_the_share_with_holds_is_shown_against_its_goal():
    assert cells(shown(REPORTS["holds"]), "spread") == ["spread", "10,000–24,000", "9–24", "79%", "85%", "NO"]


def test_a_page_of_the_catalog_is_a_row_without_and_with_the_cache():
    row = cells(shown(REPORTS["catalog"]), "no filter")
    assert row == ["no filter", "104.2", "812.5", "104.2", "812.5"]


def test_a_portfolio_is_a_row_and_the_read_models_a_note():
    text: Any = shown(REPORTS["portfolio"])
    assert cells(text, "portfolio, over REST") == ["portfolio, over REST", "104.2", "812.5"]
    assert "Read models: 240,000 rows at 9,108/s" in text
