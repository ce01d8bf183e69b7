"""Where slots go: everyone has a living keeper, nothing moves without need, those who stand by step in."""

from hypothesis import given
from hypothesis import strategies as st

from domain.placement import plan

HOSTS = ["h0", "h1", "h2", "h3"]
owners_by_slot = st.dictionaries(st.integers(0, 40), st.none() | st.sampled_from(HOSTS), max_size=40)
living_hosts = st.lists(st.sampled_from(HOSTS), unique=True)


def test_at_the_start_slots_are_dealt_to_as_many_hosts_as_are_wanted():
    assert plan(dict.fromkeys(range(4)), ["h0", "h1", "h2"], 2) == {0: "h0", 1: "h1", 2: "h0", 3: "h1"}


def test_the_host_that_stands_by_takes_over_all_that_a_dead_one_kept():
    owners = {0: "h0", 1: "h1", 2: "h0", 3: "h1"}
    assert plan(owners, ["h1", "h2"], 2) == {0: "h2", 2: "h2"}


def test_without_one_that_stands_by_the_others_share_it():
    assert plan({0: "h0", 1: "h1", 2: "h0", 3: "h2"}, ["h1", "h2"], 3) == {0: "h1", 2: "h2"}


def test_a_host_that_comes_back_stands_by():
    assert plan({0: "h1", 1: "h1"}, ["h0", "h1"], 1) == {}


@given(owners_by_slot, living_hosts, st.integers(1, 5))
def test_afterwards_every_slot_has_a_living_keeper(owners, living, active_wanted):
    after = owners | plan(owners, living, active_wanted)
    assert not living or all(owner in living for owner in after.values())


@given(owners_by_slot, living_hosts, st.integers(1, 5))
def test_a_slot_whose_keeper_lives_never_moves(owners, living, active_wanted):
    moves = plan(owners, living, active_wanted)
    assert not [slot for slot in moves if owners[slot] in living]


@given(owners_by_slot, living_hosts, st.integers(1, 5))
def test_a_second_look_moves_nothing(owners, living, active_wanted):
    after = owners | plan(owners, living, active_wanted)
    assert plan(after, living, active_wanted) == {}


@given(st.integers(1, 60), living_hosts.filter(bool), st.integers(1, 5))
def test_from_nothing_the_slots_are_spread_evenly_over_the_wanted_hosts(slots, living, active_wanted):
    keepers = list(plan(dict.fromkeys(range(slots)), living, active_wanted).values())
    counts = [keepers.count(host) for host in sorted(living)[:active_wanted]]
    assert sum(counts) == slots
    assert max(counts) - min(counts) <= 1
