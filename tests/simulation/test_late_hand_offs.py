"""A hand-off that takes longer than its source waits: the source acquires again, and two hosts never serve the same."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from actors.hosting.ownership.ownership import Assignment
from actors.hosting.ownership.releases import RETURN_AFTER_S
from persistence.postgres.errors import StoreUnavailable
from tests.auction_examples import terms
from tests.auction_requests import open_request
from tests.simulation.processes import SLOTS, RunningHost
from tests.simulation.simulation import Run, _alone
from tests.virtual_time import EPOCH_MS, until

AUCTION = 7_000_000_000_000_099


@contextmanager
def simulated(seed: int) -> Iterator[tuple[Run, Callable[[Awaitable[None]], None]]]:
    """The processes, without clients and faults; and what runs a scenario."""
    with _alone(seed, None) as (loop, noted):
        run = Run(loop, seed, None, noted, 0, seizing=False)
        try:
            yield run, loop.run_until_complete
        finally:
            loop.end()


async def owner_and_other(run: Run) -> tuple[RunningHost, RunningHost]:
    """The host that owns all slots, and the other one."""
    placement = run._placement
    await until(lambda: len(placement.serving()) == 2 and any(map(slots_of, placement.serving())))
    # Then the order that it has done so is over as well.
    await asyncio.sleep(1)
    [owner] = set((await placement.owners()).values())
    return placement.hosts[owner], next(host for name, host in placement.hosts.items() if name != owner)


def slots_of(host: RunningHost) -> frozenset[int]:
    """What it assumes that it owns."""
    assert host.engine.host is not None
    return host.engine.host.ownership.slots


@pytest.mark.parametrize("seed", range(4))
def test_a_host_that_acquires_late_does_not_serve_what_the_other_one_has_acquired_again(seed: int):
    with simulated(seed) as (run, until_done):

        async def scenario() -> None:
            source, target = await owner_and_other(run)
            slots = tuple(range(SLOTS))
            released_at = await source.ask(source.engine.hand_off(slots, ()))
            target.process.stop(RETURN_AFTER_S + 1)
            late = Assignment(slots, released_at=released_at, released_by=source.host_id)
            acquiring = asyncio.ensure_future(target.ask(target.engine.acquire(late)))
            for _ in range(12_000):
                assert not slots_of(source) & slots_of(target)
                await asyncio.sleep(0.001)
            assert isinstance(acquiring.exception(), StoreUnavailable)
            assert slots_of(source) | slots_of(target) == frozenset(slots)

        until_done(scenario())


def test_a_hand_off_whose_commit_takes_so_long_that_the_source_acquires_again_fails():
    with simulated(0) as (run, until_done):

        async def scenario() -> None:
            source, _ = await owner_and_other(run)
            database: Any = run.database
            database.slow_s, database._dice = RETURN_AFTER_S + 1, SimpleNamespace(random=lambda: 1.0)
            answers: list[Any] = []
            one = terms(auction=AUCTION, starts_at=EPOCH_MS, ends_at=EPOCH_MS + 3_600_000)
            assert source.engine.host is not None
            source.engine.host.submit(open_request(AUCTION, one), 1, lambda _, answer: answers.append(answer))
            await asyncio.sleep(0.1)
            with pytest.raises(StoreUnavailable):
                await source.ask(source.engine.hand_off(tuple(range(SLOTS)), ()))
            assert slots_of(source) == frozenset(range(SLOTS))
            assert len(answers) == 1

        until_done(scenario())
