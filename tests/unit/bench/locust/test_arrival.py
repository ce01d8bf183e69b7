"""When operations are due."""

import random

import pytest

from bench.locust.arrival import ClosedLoop, OpenLoop


def test_in_open_loop_operations_are_due_at_a_fixed_rate_however_late_somebody_asks():
    arrival = OpenLoop(rate=4.0)
    dues = [arrival.next_due_s(now_s) for now_s in (100.0, 100.0, 107.0, 107.0, 107.1)]
    assert dues == [100.0, 100.25, 100.5, 100.75, 101.0]


def test_in_open_loop_rounding_does_not_change_the_rate():
    arrival = OpenLoop(rate=3.0)
    dues = [arrival.next_due_s(0.0) for _ in range(3_001)]
    assert dues[-1] == pytest.approx(1_000.0, abs=1e-9)


def test_two_processes_take_turns():
    one, other = OpenLoop(2.0, phase=0.0), OpenLoop(2.0, phase=0.5)
    assert [one.next_due_s(10.0), other.next_due_s(10.0), one.next_due_s(10.0)] == [10.0, 10.25, 10.5]


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_rate_that_is_not_positive_is_refused(rate: float):
    with pytest.raises(ValueError, match="positive"):
        OpenLoop(rate)


def test_in_closed_loop_the_next_operation_follows_the_answer_after_a_time_to_think():
    arrival = ClosedLoop((0.5, 2.0), random.Random(1))
    waits = [arrival.next_due_s(50.0) - 50.0 for _ in range(200)]
    assert 0.5 <= min(waits) < 0.7
    assert 1.8 < max(waits) <= 2.0
