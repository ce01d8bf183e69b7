"""The faults of a run."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.faults.injection.kinds import BY_NAME, CLOCK, HALF_OPEN, KILL, KINDS, PARTS, PAUSE, PROCESSES, RESET
from bench.faults.injection.schedule import Fault, schedule

SEEDS = st.integers(0, 2**31)


@given(seed=SEEDS)
def test_the_same_seed_gives_the_same_faults(seed: int):
    assert schedule(seed, 120, 5) == schedule(seed, 120, 5)


@given(seed=SEEDS, every_s=st.floats(0.5, 20))
@example(seed=1048576, every_s=2.57534255832273)  # one at 199.998 s
def test_faults_come_in_order_within_the_run_and_about_as_often_as_asked(seed: int, every_s: float):
    faults = schedule(seed, 200, every_s)
    times = [fault.at_s for fault in faults]
    assert times == sorted(times)
    assert all(0 < at < 200 for at in times)
    assert 200 / every_s / 1.3 - 2 <= len(faults) <= 200 / every_s / 0.7 + 1


@given(seed=SEEDS, parts=st.sets(st.sampled_from(PARTS), min_size=1))
def test_only_the_parts_asked_for_are_hit_and_only_by_what_can_happen_to_them(seed: int, parts: set[str]):
    for fault in schedule(seed, 300, 2, sorted(parts)):
        assert set(fault.parts) <= parts & set(BY_NAME[fault.kind].parts)
        assert len(set(fault.parts)) == len(fault.parts)


@given(seed=SEEDS)
def test_only_the_kinds_asked_for_happen(seed: int):
    faults = schedule(seed, 300, 2, kinds=[RESET, HALF_OPEN])
    assert {fault.kind for fault in faults} <= {"reset", "half_open"}


def test_every_kind_and_every_part_comes_up():
    faults = schedule(1, 3_000, 2)
    assert {fault.kind for fault in faults} == {kind.name for kind in KINDS}
    assert {part for fault in faults for part in fault.parts} == set(PARTS)
    assert {len(fault.parts) for fault in faults} == {1, 2}


def test_a_fault_that_can_happen_to_none_of_the_parts_is_refused():
    with pytest.raises(ValueError, match="can happen"):
        schedule(1, 60, 5, PROCESSES, [RESET])


def test_a_fault_says_what_it_is():
    assert str(Fault(5, KILL.name, ("host", "postgres"))) == "kill -9 of host and postgres"
    assert str(Fault(5, PAUSE.name, ("worker",), 2.44)) == "SIGSTOP of worker for 2.4 s"
    assert str(Fault(5, RESET.name, ("redis",))) == "connections of redis reset"
    assert str(Fault(5, CLOCK.name, ("host",), 3.0, -3600)) == "clock of host set by -3600 s for 3.0 s"
