"""Pools of connections: closing them."""

import pytest

from persistence.postgres.pool import Pool, close_pool


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
