"""The server's clock follows corrections, never steps back, and is not moved by a clock that somebody sets."""

from hypothesis import given
from hypothesis import strategies as st

from actors.clock import Clock

HOUR_NS = 3600 * 10**9
START_NS = 1_790_000_000 * 10**9


class Clocks:
    """A wall clock and a steady clock that the test moves."""

    def __init__(self) -> None:
        self.wall, self.steady = START_NS, 5 * 10**9
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def pass_time(self, ns: int) -> None:
        self.wall += ns
        self.steady += ns


def test_it_starts_at_the_wall_clock_and_goes_with_it():
    clocks = Clocks()
    assert clocks.clock.now_ms() == START_NS // 10**6
    clocks.pass_time(1_500_000_000)
    assert clocks.clock.now_ms() == START_NS // 10**6 + 1_500


def test_a_small_correction_is_followed_forwards():
    clocks = Clocks()
    clocks.wall += 40_000_000
    assert clocks.clock.now_ms() == START_NS // 10**6 + 40


def test_a_small_correction_backwards_makes_it_wait_not_step_back():
    clocks = Clocks()
    before = clocks.clock.now_ms()
    clocks.wall -= 40_000_000
    assert clocks.clock.now_ms() == before
    clocks.pass_time(50_000_000)
    assert clocks.clock.now_ms() == before + 10


def test_a_wall_clock_set_by_an_hour_changes_nothing():
    for jump in (HOUR_NS, -HOUR_NS):
        clocks = Clocks()
        clocks.wall += jump
        clocks.pass_time(10**9)
        assert clocks.clock.now_ms() == START_NS // 10**6 + 1_000


def test_a_wall_clock_set_back_to_right_is_followed_again():
    clocks = Clocks()
    clocks.wall += HOUR_NS
    clocks.clock.now_ms()
    clocks.wall -= HOUR_NS - 30_000_000
    assert clocks.clock.now_ms() == START_NS // 10**6 + 30


@given(st.lists(st.tuples(st.integers(0, 10**10), st.integers(-2 * HOUR_NS, 2 * HOUR_NS)), max_size=50))
def test_whatever_the_wall_clock_does_time_goes_on_and_never_runs(steps):
    clocks = Clocks()
    now = clocks.clock.now_ms()
    for passed, jump in steps:
        clocks.pass_time(passed)
        clocks.wall += jump
        before, now = now, clocks.clock.now_ms()
        assert before <= now <= before + passed // 10**6 + 2_001 + 1
