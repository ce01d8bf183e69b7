"""The rate limit rule against a naive bucket, which counts its tokens."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.rate_limit import Ask, Rate, Taken, per_minute, per_second, take, take_together


class NaiveBucket:
    """Tokens as a fraction, refilled by the time that has passed. It may have less than none."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self.tokens = Fraction(rate.burst)
        self._at_us = 0

    def take(self, ask: Ask, now_us: int) -> int:
        gained = Fraction(now_us - self._at_us, self._rate.interval_us)
        self.tokens = min(Fraction(self._rate.burst), self.tokens + gained) - ask.debt
        self._at_us = now_us
        granted = min(ask.most, int(self.tokens)) if self.tokens >= ask.least else 0
        self.tokens -= granted
        return granted


rates = st.builds(Rate, st.integers(1, 1_000_000), st.integers(1, 50))
asked = st.tuples(st.integers(0, 3_000_000), st.integers(1, 20), st.integers(0, 20), st.integers(0, 30))


@given(rates, st.lists(asked, max_size=60))
def test_it_grants_what_a_bucket_that_counts_its_tokens_grants(rate: Rate, steps: list[tuple[int, int, int, int]]):
    naive, full_at, now = NaiveBucket(rate), 0, 0
    for passed, least, more, debt in steps:
        now += passed
        ask = Ask("k", rate, least, least + more, debt)
        full_at, taken = take(ask, full_at, now)
        assert taken.granted == naive.take(ask, now)
        assert taken.remaining == max(0, naive.tokens.__floor__())
        assert taken.full_us == (rate.burst - naive.tokens) * rate.interval_us


@given(rates, st.lists(st.integers(0, 3_000_000), max_size=40))
def test_who_waits_as_long_as_was_said_is_granted_and_who_comes_before_is_not(rate: Rate, gaps: list[int]):
    ask, full_at, now = Ask.exactly("k", rate), 0, 0
    for gap in gaps:
        now += gap
        full_at, taken = take(ask, full_at, now)
        if taken.retry_us:
            assert take(ask, full_at, now + taken.retry_us - 1)[1].granted == 0
            assert take(ask, full_at, now + taken.retry_us)[1].granted == 1


@given(rates, st.lists(st.integers(0, 100_000), max_size=80))
def test_in_no_time_more_than_a_burst_and_the_rate_are_granted(rate: Rate, gaps: list[int]):
    ask, full_at, now, granted = Ask.exactly("k", rate), 0, 0, 0
    for gap in gaps:
        now += gap
        full_at, taken = take(ask, full_at, now)
        granted += taken.granted
    assert granted <= rate.burst + now // rate.interval_us


@given(st.lists(st.tuples(rates, st.integers(1, 60), st.integers(0, 2_000_000)), min_size=1, max_size=4))
def test_together_takes_of_all_or_of_none(buckets: list[tuple[Rate, int, int]]):
    asks = [Ask.exactly(f"k{n}", rate, cost) for n, (rate, cost, _) in enumerate(buckets)]
    before = [full_at for _, _, full_at in buckets]
    after, taken = take_together(asks, before, 1_000_000)
    alone = [take(ask, full_at, 1_000_000)[1] for ask, full_at in zip(asks, before, strict=True)]
    if all(one.granted for one in alone):
        assert taken == alone
    else:
        assert (after, [one.granted for one in taken]) == (before, [0] * len(asks))
        assert [one.retry_us for one in taken] == [one.retry_us for one in alone]


def test_what_costs_more_than_a_burst_takes_the_whole_burst():
    ask = Ask.exactly("k", per_second(10, 5), 100)
    full_at, taken = take(ask, 0, 1_000_000)
    assert taken == Taken(5, 0, 0, 500_000)
    assert take(ask, full_at, 1_000_000)[1] == Taken(0, 0, 500_000, 500_000)


def test_a_rate_says_in_what_time_a_burst_comes_back():
    assert (per_minute(10, 10).window_s, per_second(200, 400).window_s) == (60, 2)
