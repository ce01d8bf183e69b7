"""Gateways die: clients of the other one see the same order, and a spare process takes the place of the only one."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from engines import Up

from tests.faults.scene import Scene, until


@contextmanager
def an_engine(**settings: str) -> Iterator[Up]:
    with (
        tempfile.TemporaryDirectory(prefix="ece-gateways-", ignore_cleanup_errors=True) as home,
        closing(Up(Path(home), **settings)) as mine,
    ):
        yield mine


@pytest.fixture
def up_with_two() -> Iterator[Up]:
    with an_engine(ECE_GATEWAYS="2") as mine:
        yield mine


@pytest.fixture
def up_with_spare() -> Iterator[Up]:
    with an_engine(ECE_SPARE_GATEWAYS="1") as mine:
        yield mine


def spare_of(up: Up) -> int | None:
    """The process that has loaded a gateway, and waits."""
    children = psutil.Process(up.process.pid).children()
    return next(
        (one.pid for one in children if one.cmdline()[-1:] == ["--spare"] and one.pid != up.child("gateway")), None
    )


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


@pytest.mark.timeout(240)
async def test_a_spare_process_takes_the_place_of_the_only_gateway(up_with_spare: Up):
    up_with_spare.start()
    state = await asyncio.to_thread(up_with_spare.wait_until_ready)
    async with Scene(state.url, state.database_url, up_with_spare.key_secrets) as scene:
        scene.start()
        for _ in range(2):
            await until(lambda: spare_of(up_with_spare) is not None, "there is a spare process")
            spare, gateway = spare_of(up_with_spare), up_with_spare.child("gateway")
            assert gateway is not None
            os.kill(gateway, signal.SIGKILL)
            await scene.more_acks(50)
            assert up_with_spare.child("gateway") == spare
        assert await scene.finish() == []
    assert await asyncio.to_thread(up_with_spare.interrupt) == 0
    assert up_with_spare.left_behind() == []
