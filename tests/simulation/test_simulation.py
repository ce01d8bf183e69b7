"""Seeds keep all promises, and a seed is one run: the same steps, however often it is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.simulation import simulate

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 120
SEIZING_SEEDS = 60
A_TEST = 20


@pytest.mark.parametrize("first", range(0, SEEDS, A_TEST))
def test_whatever_fails_no_promise_is_broken(first: int):
    failed = {seed: found for seed in range(first, first + A_TEST) if (found := simulate(seed).findings)}
    assert failed == {}, "python -m tests.simulation --seed SEED --trace"


@pytest.mark.parametrize("first", range(0, SEIZING_SEEDS, A_TEST))
def test_whatever_fails_no_promise_is_broken_where_hosts_with_a_lease_lose_their_slots(first: int):
    seeds = range(first, first + A_TEST)
    failed = {seed: found for seed in seeds if (found := simulate(seed, seizing=True).findings)}
    assert failed == {}, "python -m tests.simulation --seizing --seed SEED --trace"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_is_found_within_its_seeds(mutant: Mutant):
    with mutant.applied():
        assert any(simulate(seed, seizing=mutant.seizing).findings for seed in mutant.tried)


def test_clients_do_something_and_faults_happen():
    results = [simulate(seed) for seed in range(4)]
    assert all(result.commands > 60 and result.acks > 20 for result in results)
    assert sum(result.faults for result in results) > 4


def test_a_seed_has_the_same_steps_whenever_and_wherever_it_is_run():
    here = [simulate(seed).digest for seed in (5, 6)]
    assert [simulate(seed).digest for seed in (5, 6)] == here
    assert here[0] != here[1]
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", "5"],
            cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert run.stdout.endswith(f"trace {here[0]}\n"), run.stdout


def test_a_trace_shows_each_step():
    lines: list[str] = []
    result = simulate(5, lines.append)
    assert len([line for line in lines if " log " not in line]) == result.steps
