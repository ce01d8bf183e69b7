from ece.supervisor.backoff import Backoff


def after(*lives_s: float) -> Backoff:
    backoff = Backoff(first_s=0.1, longest_s=1.0, quick_s=10.0, deaths_max=5)
    for lived_s in lives_s:
        backoff = backoff.after_death(lived_s)
    return backoff


def test_quick_deaths_double_the_pause_up_to_the_longest():
    assert [round(after(*[0.0] * deaths).pause_s, 3) for deaths in range(7)] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_long_life_forgives_the_deaths_before_it():
    assert after(0, 0, 0, 60).pause_s == 0.1


def test_it_gives_up_after_so_many_quick_deaths_in_a_row():
    assert [after(*[0.0] * deaths).exhausted for deaths in (4, 5)] == [False, True]
    assert not after(0, 0, 0, 60, 0, 0).exhausted
