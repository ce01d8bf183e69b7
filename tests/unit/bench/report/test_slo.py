"""Verdicts on the bounds of a profile."""

from dataclasses import replace

from reports import NOTHING_WRONG, SECONDS, stored, tally

from bench.faults.checker import LOST, Violation
from bench.locust.profiles import PROFILES, Slo
from bench.report.check import Checked
from bench.report.measure import report
from bench.report.slo import verdicts
from bench.report.trend import trend_of

SMOKE = PROFILES["smoke"]
LOSS = Checked(40, 1, 0, 3, 50, 1, {LOST: 1}, [Violation(LOST, "05v3k8g0g4000", "an acknowledged bid is missing")])


def met(slo: Slo, rate: float | None = None, checked: Checked = NOTHING_WRONG) -> dict[str, bool | None]:
    made, profile = tally(), replace(SMOKE, slo=slo, rate=rate)
    return {one.name: one.met for one in verdicts(profile, SECONDS, made.by_kind(), made.errors(), checked, {})}


def test_each_bound_of_the_profile_has_its_verdict():
    assert met(Slo(ack_p99_ms=15, update_p99_ms=14.9, error_share=0)) == {
        "lost": True, "violations": True, "ack_p99_ms": True, "update_p99_ms": False, "error_share": True,
    }  # fmt: skip


def test_a_bound_on_what_never_happened_is_not_met(tmp_path):
    made = tally()
    found = verdicts(SMOKE, SECONDS, [made.of_kind("ack")], {}, NOTHING_WRONG, {})
    assert {one.name for one in found if one.met is None} == {"update_p99_ms", "close_p99_ms", "rest_p95_ms"}


def test_refusals_by_the_rules_are_no_failures_and_others_are():
    made = tally()
    for codes, share in (({"bid_too_low": 3}, 0.0), ({"bid_too_low": 3, "unavailable": 8}, 8 / 161)):
        [found] = [
            one.measured
            for one in verdicts(SMOKE, SECONDS, made.by_kind(), {"ack": codes}, NOTHING_WRONG, {})
            if one.name == "error_share"
        ]
        assert found == share


def test_an_open_loop_that_did_not_reach_its_rate_is_another_load():
    """81 operations in 20 s."""
    assert met(Slo(), rate=4.2)["rate"] is True
    assert met(Slo(), rate=5)["rate"] is False


def test_memory_that_grows_is_missed():
    at_s = [float(second) for second in range(3_600)]
    made, memory = tally(), {"engine": trend_of(at_s, [1_000 + second / 30 for second in at_s])}
    [found] = [
        one
        for one in verdicts(SMOKE, SECONDS, made.by_kind(), made.errors(), NOTHING_WRONG, memory)
        if one.name == "memory_mib_per_h"
    ]
    assert (found.met, round(found.measured or 0)) == (False, 120)


def test_a_lost_bid_fails_the_report_and_says_so(tmp_path):
    shown = report(stored(LOSS), tmp_path / "report.html")
    assert (shown.passed, shown.figures["lost"], shown.figures["violations_count"]) == (False, 1, 1)
    assert shown.figures["violations"] == [
        {"kind": "lost", "auction": "05v3k8g0g4000", "detail": "an acknowledged bid is missing"}
    ]
    assert next(one for one in shown.figures["slo"] if one["name"] == "lost")["met"] is False
    assert report(stored(), tmp_path / "report.html").passed
