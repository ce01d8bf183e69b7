from hypothesis import given
from hypothesis import strategies as st

from domain.wallets.second_factor import STEP_MS, acceptable_steps


def test_the_codes_of_now_and_of_a_step_around_it_are_accepted():
    assert acceptable_steps(1_000 * STEP_MS + 7, 0) == [999, 1_000, 1_001]


@given(st.integers(0, 2**42), st.integers(0, 2**27))
def test_no_code_is_accepted_that_is_not_newer_than_the_last_one(now_ms: int, last_step: int):
    steps = acceptable_steps(now_ms, last_step)
    assert all(step > last_step for step in steps)
    assert len(steps) <= 3
