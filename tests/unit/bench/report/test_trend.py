"""Whether memory grows."""

import random

import pytest

from bench.report.trend import FALLS, FLAT, GROWS, TOO_SHORT, slope_of, trend_of

HOUR = [float(second) for second in range(0, 3_600, 5)]


def noise(seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(0, 5) for _ in HOUR]


def test_a_line_without_noise_has_its_slope_and_no_error():
    assert slope_of([0, 1, 2, 3], [1, 3, 5, 7]) == (2.0, 0.0)


def test_the_standard_error_is_that_of_least_squares():
    slope, error = slope_of([1, 2, 3, 4, 5], [2.1, 3.9, 6.2, 7.8, 10.1])
    assert (slope, error) == (pytest.approx(1.99), pytest.approx(0.0597, abs=1e-4))


def test_noise_around_a_constant_is_flat():
    assert trend_of(HOUR, [1_000 + rest for rest in noise()]).verdict == FLAT


def test_a_leak_grows_and_its_size_is_known():
    trend = trend_of(HOUR, [1_000 + at_s / 3_600 * 60 + rest for at_s, rest in zip(HOUR, noise(), strict=True)])
    assert trend.verdict == GROWS
    assert trend.per_h == pytest.approx(60, abs=5)
    assert 0 < (trend.standard_error or 0) < 5


def test_what_falls_is_no_leak():
    assert trend_of(HOUR, [1_000 - at_s / 60 for at_s in HOUR]).verdict == FALLS


def test_the_warm_up_is_no_leak():
    assert trend_of(HOUR, [500.0 if at_s < 300 else 1_000.0 for at_s in HOUR]).verdict == FLAT


def test_less_than_one_percent_an_hour_is_flat_however_certain():
    assert trend_of(HOUR, [1_000 + at_s / 3_600 * 9 for at_s in HOUR]).verdict == FLAT


def test_a_short_run_has_no_verdict():
    trend = trend_of(HOUR[:100], [1_000 + at_s for at_s in HOUR[:100]])
    assert (trend.verdict, trend.per_h) == (TOO_SHORT, None)
