"""Two gateways share the port: clients of both see one order, and outlive the death of one."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from engines import Up

from tests.faults.scene import Scene, until


@pytest.fixture
def up_with_two() -> Iterator[Up]:
    with (
        tempfile.TemporaryDirectory(prefix="ece-two-", ignore_cleanup_errors=True) as home,
        closing(Up(Path(home), ECE_GATEWAYS="2")) as mine,
    ):
        yield mine


@pytest.mark.timeout(240)
async def test_clients_of_two_gateways_see_one_order_and_outlive_the_death_of_one(up_with_two: Up):
    up_with_two.start()
    state = await asyncio.to_thread(up_with_two.wait_until_ready)
    secret = up_with_two.key_secrets
    async with Scene(state.url, state.database_url, secret, bidders=12) as scene:
        scene.start()
        await scene.more_acks(150)
        for name in ("gateway", "gateway-2"):
            pid = up_with_two.child(name)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await scene.more_acks(100)
            await until(lambda: up_with_two.child(name) not in (None, pid), f"a new {name} runs")  # noqa: B023
        assert await scene.finish() == []
        assert scene.recording.lost_connections > 0
    assert await asyncio.to_thread(up_with_two.interrupt) == 0
    assert up_with_two.left_behind() == []
