"""Placement rules: everything has a living owner, nothing moves without need, and moves come to an end."""

from hypothesis import given
from hypothesis import strategies as st

from domain.placement.rules import (
    COLD_PER_S,
    COOL_MS,
    HOT_PER_S,
    STAY_MS,
    Candidate,
    Dedicated,
    DedicatedChange,
    Move,
    PlacedHost,
    active_hosts,
    budget,
    dedicated_hosts,
    orphans,
    rebalance,
)

NODES = ("n0", "n1")
PLACES = [PlacedHost(f"h{number}", NODES[number % 2]) for number in range(6)]
NAMES = [place.host_id for place in PLACES]
H0, H1, H2, H3 = (PlacedHost(f"h{number}") for number in range(4))
GIB = 1024**3

owners_by_slot = st.dictionaries(st.integers(0, 60), st.none() | st.sampled_from(NAMES), max_size=60)
living_hosts = st.lists(st.sampled_from(PLACES), unique=True)
overrides = st.dictionaries(st.integers(0, 70), st.sampled_from([*NAMES, "stranger"]), max_size=8)


def settled(owners, hosts, per_node, *, leaving=(), requested=None, slots_max=32):
    """Where the slots are after all steps, and how many steps that took."""
    owners = owners | orphans(owners, hosts, per_node, requested)
    for steps in range(1_000):
        move = rebalance(owners, hosts, per_node, leaving=leaving, overrides=requested, slots_max=slots_max)
        if move is None:
            return owners, steps
        assert 1 <= len(move.slots) <= slots_max
        assert {owners[slot] for slot in move.slots} == {move.source}
        assert move.source != move.target
        owners = owners | dict.fromkeys(move.slots, move.target)
    raise AssertionError("it never ends")


# -- slots


def test_at_the_start_slots_are_dealt_to_as_many_hosts_as_are_wanted():
    assert orphans(dict.fromkeys(range(4)), [H0, H1, H2], 2) == {0: "h0", 1: "h1", 2: "h0", 3: "h1"}


def test_the_host_that_stands_by_takes_over_all_that_a_dead_one_kept():
    assert orphans({0: "h0", 1: "h1", 2: "h0", 3: "h1"}, [H1, H2], 2) == {0: "h2", 2: "h2"}


def test_without_one_that_stands_by_the_others_share_it():
    assert orphans({0: "h0", 1: "h1", 2: "h0", 3: "h2"}, [H1, H2], 3) == {0: "h1", 2: "h2"}


def test_a_host_that_comes_back_stands_by():
    assert orphans({0: "h1", 1: "h1"}, [H0, H1], 1) == {}
    assert rebalance({0: "h1", 1: "h1"}, [H0, H1], 1) is None


def test_a_node_that_is_added_gets_its_share():
    hosts = [PlacedHost("h0", "n0"), PlacedHost("h1", "n1")]
    assert rebalance(dict.fromkeys(range(8), "h0"), hosts, 1) == Move((0, 1, 2, 3), "h0", "h1")


def test_hosts_of_a_node_that_is_drained_hand_over_everything():
    hosts = [PlacedHost("h0", "n0"), PlacedHost("h1", "n1"), PlacedHost("h2", "n1")]
    owners = {0: "h0", 1: "h1", 2: "h2", 3: "h1"}
    after, _ = settled(owners, hosts, 2, leaving={"h1", "h2"})
    assert set(after.values()) == {"h0"}


def test_a_slot_goes_where_an_operator_wants_it_and_stays_there():
    owners = {0: "h0", 1: "h1", 2: "h0", 3: "h1"}
    assert rebalance(owners, [H0, H1], 2, overrides={0: "h1"}) == Move((0,), "h0", "h1")
    after, _ = settled(owners, [H0, H1], 2, requested={0: "h1"})
    assert after[0] == "h1"


@given(owners_by_slot, living_hosts, st.integers(1, 4), overrides)
def test_afterwards_every_slot_has_exactly_one_living_keeper(owners, living, per_node, requested):
    after = owners | orphans(owners, living, per_node, requested)
    assert after.keys() == owners.keys()
    assert not living or {*after.values()} <= {host.host_id for host in living}


@given(owners_by_slot, living_hosts, st.integers(1, 4), overrides)
def test_for_orphans_alone_no_slot_moves_whose_keeper_lives(owners, living, per_node, requested):
    names = [host.host_id for host in living]
    assert not [slot for slot in orphans(owners, living, per_node, requested) if owners[slot] in names]


@given(owners_by_slot, living_hosts.filter(bool), st.integers(1, 4), overrides, st.integers(1, 40))
def test_moving_ends_even_and_with_every_wish_that_can_be_fulfilled(owners, living, per_node, requested, slots_max):
    after, _ = settled(owners, living, per_node, requested=requested, slots_max=slots_max)
    names = {host.host_id for host in living}
    pinned = {slot for slot, host in requested.items() if host in names}
    assert all(after[slot] == requested[slot] for slot in pinned & after.keys())
    free = [after[slot] for slot in after.keys() - pinned]
    active = active_hosts({name: list(after.values()).count(name) for name in names}, living, per_node)
    counts = [free.count(name) for name in active]
    assert sum(counts) == len(free)
    assert max(counts) - min(counts) <= 1


@given(owners_by_slot, living_hosts.filter(bool), st.integers(1, 4))
def test_on_the_way_to_an_even_spread_no_slot_moves_twice(owners, living, per_node):
    moved: list[int] = []
    owners = owners | orphans(owners, living, per_node)
    while (move := rebalance(owners, living, per_node)) is not None:
        owners = owners | dict.fromkeys(move.slots, move.target)
        moved += move.slots
    assert len(moved) == len(set(moved))


@given(owners_by_slot, living_hosts.filter(bool), st.data())
def test_a_host_that_leaves_keeps_nothing_in_the_end(owners, living, data):
    leaving = data.draw(st.sets(st.sampled_from([host.host_id for host in living]), max_size=len(living) - 1))
    after, _ = settled(owners, living, 1, leaving=leaving)
    assert not leaving & set(after.values())


@given(owners_by_slot.filter(bool), living_hosts.filter(bool))
def test_while_a_slot_has_no_keeper_nothing_is_moved_for_beautys_sake(owners, living):
    lost = owners | {next(iter(owners)): None}
    assert rebalance(lost, living, 1) is None


# -- hosts of their own


def test_memory_and_cores_limit_how_many_may_have_a_host_of_their_own():
    assert [budget(24 * GIB, 2), budget(1 * GIB, 64), budget(256 * GIB, 64), budget(0, 2)] == [4, 1, 128, 0]


def test_a_hot_auction_gets_a_host_of_its_own_and_a_lukewarm_one_does_not():
    assert dedicated_hosts([Candidate(1, HOT_PER_S), Candidate(2, HOT_PER_S - 1)], [], 2) == DedicatedChange(promote=1)
    assert dedicated_hosts([Candidate(2, HOT_PER_S - 1)], [], 2) == DedicatedChange()


def test_one_among_many_that_are_as_busy_needs_no_host_of_its_own():
    assert dedicated_hosts([Candidate(1, 1_000, host_rate=4_001)], [], 2) == DedicatedChange()
    assert dedicated_hosts([Candidate(1, 1_000, host_rate=4_000)], [], 2) == DedicatedChange(promote=1)


def test_who_wishes_for_one_gets_it_before_those_who_are_hot():
    assert dedicated_hosts([Candidate(1, 9_000), Candidate(2, 0, requested=True)], [], 1) == DedicatedChange(promote=2)


def test_who_cools_down_or_has_ended_gives_it_back():
    cold = Dedicated(1, COLD_PER_S - 1, stayed_ms=STAY_MS, cool_ms=COOL_MS)
    assert dedicated_hosts([], [cold], 2) == DedicatedChange(demote=1)
    assert dedicated_hosts([], [Dedicated(1, 0, requested=True, ended=True)], 2) == DedicatedChange(demote=1)
    assert (
        dedicated_hosts([], [Dedicated(1, 0, requested=True, stayed_ms=99_000, cool_ms=99_000)], 2) == DedicatedChange()
    )


def test_a_much_hotter_one_takes_the_place_of_one_that_had_its_time():
    warm = Dedicated(1, HOT_PER_S, stayed_ms=STAY_MS)
    assert dedicated_hosts([Candidate(2, 2 * HOT_PER_S)], [warm], 1) == DedicatedChange(demote=1)
    assert dedicated_hosts([Candidate(2, 2 * HOT_PER_S - 1)], [warm], 1) == DedicatedChange()
    assert (
        dedicated_hosts([Candidate(2, 2 * HOT_PER_S)], [Dedicated(1, HOT_PER_S, stayed_ms=1_000)], 1)
        == DedicatedChange()
    )


rates = st.integers(0, 20_000)
worlds = st.dictionaries(st.integers(1, 30), st.tuples(rates, st.booleans()), max_size=20)


@given(worlds, st.integers(0, 6))
def test_with_loads_that_stay_the_same_places_are_given_once_and_then_nothing_changes(loads, places):
    """Time passes between looks; whoever is current has been so, and been cold, for ever longer."""
    since: dict[int, int] = {}
    changes, quiet_for = 0, 0
    for look in range(200):
        current = [
            Dedicated(a, *loads[a], False, age := 1_000 * (look - at), age if loads[a][0] < COLD_PER_S else 0)
            for a, at in since.items()
        ]
        change = dedicated_hosts([Candidate(a, *load) for a, load in loads.items() if a not in since], current, places)
        assert change.promote is None or change.demote is None
        if change.promote is not None:
            since[change.promote] = look
        if change.demote is not None:
            del since[change.demote]
        assert len(since) <= places
        quiet_for = 0 if change != DedicatedChange() else quiet_for + 1
        changes += change != DedicatedChange()
    assert quiet_for > 50
    # Each place is given once, and again for each that is hotter by far; nobody is sent back and forth.
    assert changes <= 3 * max(1, places)


@given(worlds, st.integers(0, 6))
def test_those_beyond_the_budget_give_their_places_back_the_least_worthy_first(loads, places):
    current = [Dedicated(a, *load) for a, load in loads.items()]
    change = dedicated_hosts([], current, places)
    assert (change.demote is not None) == (len(current) > places)
    if change.demote is not None:
        weakest = min((load[1], load[0]) for load in loads.values())
        assert (loads[change.demote][1], loads[change.demote][0]) == weakest
