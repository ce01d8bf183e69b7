"""Percentiles by nearest rank."""

import pytest

from bench.percentiles import p50_p99, percentile


@pytest.mark.parametrize(
    ("values", "share", "value"),
    [
        ([], 0.5, None),
        ([7.0], 0.0, 7.0),
        ([7.0], 0.99, 7.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([1.0, 2.0], 0.51, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 101)], 1.0, 100.0),
        ([float(n) for n in range(1, 1001)], 0.99, 990.0),
    ],
)
def test_a_percentile_is_the_least_value_that_enough_values_do_not_pass(values, share, value):
    assert percentile(values, share) == value


def test_latencies_come_out_in_milliseconds_whatever_their_order():
    assert p50_p99([0.003, 0.001, 0.0020004]) == {"p50": 2.0, "p99": 3.0}
    assert p50_p99([]) == {"p50": None, "p99": None}
