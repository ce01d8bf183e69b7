"""The search on functions that hold up to a threshold, with noise, and with a late load generator."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measures.capacity.search import Found, Range, Step, Verdict, search

SIZES = Range(first=1_000, least=10, most=1_000_000, within=1.1, steps_max=40)


async def found(holds: Callable[[int], bool], sizes: Range = SIZES) -> Found:
    async def measure(size: int) -> Step:
        return Step(size, Verdict.HELD) if holds(size) else Step(size, Verdict.BROKEN, "too slow")

    return await search(measure, sizes)


@given(st.integers(min_value=10, max_value=999_999))
async def test_the_largest_size_that_holds_is_found_within_the_resolution(limit: int):
    result = await found(lambda size: size <= limit)
    assert result.held is not None
    # Whole numbers: of the smallest sizes the next one is more than 10% larger.
    assert result.held <= limit <= max(result.held * SIZES.within, result.held + 1)
    assert result.ended_by.endswith(": too slow")


@given(st.integers(min_value=1, max_value=10**7), st.integers(min_value=1, max_value=12), st.integers())
async def test_the_number_of_steps_is_bounded_whatever_the_function_does(first: int, steps_max: int, seed: int):
    noise = random.Random(seed)
    result = await found(lambda _: noise.random() < 0.5, Range(first, 10, 1_000_000, steps_max=steps_max))
    assert 1 <= len(result.steps) <= steps_max
    assert all(10 <= step.size <= 1_000_000 for step in result.steps)


async def test_nothing_that_holds_is_said_as_none_after_the_least_size_was_tried():
    result = await found(lambda _: False)
    assert (result.held, result.steps[-1].size) == (None, SIZES.least)
    assert result.ended_by == "10: too slow"


async def test_a_function_without_a_limit_ends_at_the_largest_size():
    result = await found(lambda _: True)
    assert (result.held, result.ended_by) == (1_000_000, "the largest size asked for, 1,000,000")


async def test_one_disturbance_does_not_end_the_search():
    disturbed = {2_000}

    def holds(size: int) -> bool:
        if size in disturbed:
            disturbed.discard(size)
            return False
        return size <= 4_000

    result = await found(holds)
    assert result.held == 4_000
    assert [step.verdict for step in result.steps if step.size == 2_000] == [Verdict.BROKEN, Verdict.HELD]


@pytest.mark.parametrize("noise", [0.05, 0.15])
async def test_with_noise_near_the_limit_the_result_stays_near_it(noise: float):
    results = []
    for seed in range(40):
        dice = random.Random(seed)
        result = await found(lambda size, dice=dice: size * (1 + dice.gauss(0, noise)) <= 20_000)  # type: ignore[misc]
        results.append(result.held or 0)
    assert 20_000 / (1 + 3 * noise) < sorted(results)[20] < 20_000 * (1 + 3 * noise)


async def test_a_size_at_which_the_generator_is_late_is_never_called_held():
    async def measure(size: int) -> Step:
        if size > 3_000:
            return Step(size, Verdict.INVALID, "the load generator was late")
        return Step(size, Verdict.HELD)

    result = await search(measure, SIZES)
    assert result.held is not None
    assert 2_700 < result.held <= 3_000
    assert result.ended_by.endswith("the load generator was late")


async def test_a_size_that_cannot_shrink_is_not_bisected():
    sizes = Range(1_000, 10, 1_000_000, grows_only=True)
    result = await found(lambda size: size <= 5_000, sizes)
    assert (result.held, [step.size for step in result.steps]) == (4_000, [1_000, 2_000, 4_000, 8_000, 8_000])
