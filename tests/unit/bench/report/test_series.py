"""Latencies over time."""

import random

import pytest
from reports import BEGAN_S, tally

from bench.locust.results import Result
from bench.percentiles import Histogram, percentile
from bench.report.series import NAMES_MAX, POINTS_MAX, Tally


def test_a_histogram_gives_each_percentile_within_one_64th_above_the_exact_one():
    chance = random.Random(3)
    values = sorted(chance.lognormvariate(2, 1.5) for _ in range(5_000))
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for share in (0.001, 0.5, 0.9, 0.99, 0.999, 1.0):
        exact = percentile(values, share)
        assert exact is not None
        assert exact <= (histogram.percentile(share) or 0) <= exact * (1 + 1 / 64)
    assert (histogram.count, histogram.max_ms) == (5_000, values[-1])


def test_histograms_add_up():
    one, other, both = Histogram(), Histogram(), Histogram()
    for value in (1.0, 2.0, 30.0):
        one.add(value)
        both.add(value)
    for value in (0.0, 700.0):
        other.add(value)
        both.add(value)
    one.merge(other)
    assert [one.percentile(share / 10) for share in range(11)] == [both.percentile(share / 10) for share in range(11)]
    assert one.percentile(1) == 700.0


def test_nothing_has_no_percentile():
    assert Histogram().percentile(0.5) is None


def test_each_interval_has_its_own_rate_and_percentiles():
    series = tally().over_time()
    assert (series.step_s, sorted(series.kinds)) == (1, ["ack", "close", "news", "rest"])
    acks = series.kinds["ack"]
    assert acks.per_s == [2.0] * 20
    assert acks.errors_per_s == [0.0] * 3 + [1.0] + [0.0] * 16
    assert acks.max_ms == [15.0] * 20
    assert acks.p50_ms[0] == pytest.approx(5.0, rel=1 / 64)


def test_failures_are_counted_by_code_and_have_no_latency():
    made = tally()
    assert made.errors() == {"ack": {"bid_too_low": 1}}
    acks = made.of_kind("ack")
    assert (acks.count, acks.errors, acks.max_ms) == (40, 1, 15.0)


def test_an_hour_has_no_more_points_than_can_be_drawn_and_what_is_late_counts_in_the_last_one():
    made = Tally(BEGAN_S, 3_600)
    made.add(Result(BEGAN_S + 3_605, "ack", "bid", 1.0, None))
    acks = made.over_time().kinds["ack"]
    assert (made.step_s, len(acks.per_s)) == (6, POINTS_MAX)
    assert acks.per_s[-1] == pytest.approx(1 / 6, abs=0.01)


def test_endless_names_and_codes_are_counted_together():
    made = Tally(BEGAN_S, 10)
    for number in range(3 * NAMES_MAX):
        made.add(Result(BEGAN_S, "rest", f"name {number}", 1.0, f"code {number}"))
    assert len(made.by_name()) == NAMES_MAX + 1
    assert made.errors()["rest"]["other"] == 2 * NAMES_MAX
