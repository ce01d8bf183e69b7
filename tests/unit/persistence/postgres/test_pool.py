"""Pools of connections: waiting for one, and closing them."""

import asyncio
import socket

import pytest

from persistence.postgres import pool as pool_module
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.guard import guarded
from persistence.postgres.pool import Pool, close_pool, open_pool


class EndedByItsServer(Pool):
    """A pool whose good-bye fails as that of a connection does which the server has ended."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        self.terminated = False

    async def close(self) -> None:
        raise self.failure

    def terminate(self) -> None:
        self.terminated = True


@pytest.mark.parametrize("failure", [BrokenPipeError(), ConnectionResetError(), TimeoutError()])
async def test_a_pool_is_closed_also_when_its_server_has_ended_a_connection(failure: Exception):
    pool = EndedByItsServer(failure)
    await close_pool(pool)
    assert pool.terminated


async def test_who_waits_for_a_connection_does_not_wait_for_all_that_came_before(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool_module, "ACQUIRE_TIMEOUT_S", 0.2)
    # The kernel connects, and nobody answers, as where a server was stopped.
    with socket.create_server(("127.0.0.1", 0)) as stopped:
        port = stopped.getsockname()[1]
        pool = await open_pool(f"postgresql://ece@127.0.0.1:{port}/ece", size_min=0, size_max=1)
        async with asyncio.timeout(2):
            questions = [guarded(pool.fetchval("SELECT 1")) for _ in range(20)]
            answers = await asyncio.gather(*questions, return_exceptions=True)
        pool.terminate()
    assert {type(answer) for answer in answers} == {StoreUnavailable}
