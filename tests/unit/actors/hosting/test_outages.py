"""When the engine could take no bids, as one host knows it."""

from hypothesis import given
from hypothesis import strategies as st

from actors.hosting.ownership.outages import OUTAGES_MAX, SILENCE_MS, Outages


def working(*times: int) -> Outages:
    outages = Outages()
    for at in times:
        outages.commit_succeeded(at)
    return outages


def test_a_host_that_works_has_no_outage():
    outages = working(*range(0, 60_000, 500))
    assert outages.covering(1, 30_000, 60_000) is None


def test_a_host_that_never_worked_yet_has_no_outage():
    assert Outages().covering(1, 5, 10) is None


def test_silence_is_an_outage_while_it_lasts_and_afterwards():
    outages = working(1_000)
    now = 1_000 + SILENCE_MS + 1
    assert outages.covering(1, 2_000, now - 1) is None
    assert outages.covering(1, 2_000, now) == (1_000, now)
    outages.commit_succeeded(9_000)
    outages.commit_succeeded(9_500)
    assert outages.covering(1, 2_000, 10_000) == (1_000, 9_000)


def test_a_failed_commit_begins_an_outage_when_the_last_one_worked():
    outages = working(1_000)
    outages.commit_failed()
    assert outages.covering(1, 1_050, 1_100) == (1_000, 1_100)
    outages.commit_succeeded(1_200)
    assert outages.covering(1, 1_050, 2_000) == (1_000, 1_200)
    assert outages.covering(1, 1_500, 2_000) is None


def test_an_outage_covers_what_came_after_it_began_up_to_its_end():
    outages = working(1_000, 9_000)
    covered = [at for at in (1_000, 1_001, 9_000, 9_001) if outages.covering(1, at, 9_500)]
    assert covered == [1_001, 9_000]


def test_the_time_between_two_keepers_of_a_slot_is_an_outage_of_that_slot_alone():
    outages = Outages()
    outages.slot_acquired(7, 1_000, 5_000)
    outages.commit_succeeded(5_000)
    assert outages.covering(7, 3_000, 5_000) == (1_000, 5_000)
    assert outages.covering(8, 3_000, 5_000) is None


def test_a_slot_acquired_from_one_who_was_alive_a_moment_ago_knows_no_outage():
    outages = Outages()
    outages.slot_acquired(7, 5_000, 5_000)
    assert outages.covering(7, 5_000, 5_000) is None


def test_only_so_many_outages_are_remembered():
    outages = working(*(i * 10_000 for i in range(OUTAGES_MAX + 2)))
    now = (OUTAGES_MAX + 1) * 10_000 + 1
    assert outages.covering(1, 5_000, now) is None
    assert outages.covering(1, 15_000, now) == (10_000, 20_000)


steps = st.lists(st.tuples(st.integers(0, 5_000), st.booleans()), min_size=1, max_size=40)


@given(steps, st.integers(0, 100_000))
def test_a_span_that_is_told_holds_the_time_that_was_asked_and_nothing_of_the_future(
    steps: list[tuple[int, bool]], at: int
):
    outages, now = Outages(), 0
    for pause, fine in steps:
        now += pause
        if fine:
            outages.commit_succeeded(now)
        else:
            outages.commit_failed()
        span = outages.covering(1, at, now)
        if span is not None:
            assert span[0] < at <= span[1] <= now
