"""An engine on a Ray cluster whose GCS keeps its state in Redis: the GCS may die and come back; bids go on."""

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
from tests.system.placement.ray_heads import RayHead


@pytest.fixture
def head() -> Iterator[RayHead]:
    with RayHead() as mine:
        yield mine


@pytest.fixture
def up_on_head(head: RayHead) -> Iterator[Up]:
    with (
        tempfile.TemporaryDirectory(prefix="ece-gcs-", ignore_cleanup_errors=True) as home,
        closing(Up(Path(home), ECE_RAY_ADDRESS=head.address, **head.token)) as mine,
    ):
        yield mine


@pytest.mark.timeout(240)
async def test_bids_go_on_while_the_gcs_is_dead_and_when_it_is_back_it_starts_dead_hosts_again(
    head: RayHead, up_on_head: Up
):
    up_on_head.start()
    state = await asyncio.to_thread(up_on_head.wait_until_ready)
    secret = up_on_head.key_secrets
    driver = up_on_head.child("ray-driver")
    async with Scene(state.url, state.database_url, secret) as scene:
        scene.start()
        await scene.more_acks(150)
        hosts, gcs = head.hosts(), head.gcs()
        command, environment = gcs.cmdline(), gcs.environ()
        gcs.kill()
        await scene.more_acks(150)
        head.start_again(command, environment)
        await scene.more_acks(150)
        # The same hosts all the time, under the same Ray driver, over the same connections.
        assert (head.hosts(), up_on_head.child("ray-driver")) == (hosts, driver)
        assert scene.recording.lost_connections == 0
        # What only a GCS that knows its actors can do:
        os.kill(hosts[0], signal.SIGKILL)
        await until(lambda: len(set(head.hosts()) - set(hosts)) == 1, "Ray has started the dead host again")
        await scene.more_acks(150)
        assert await scene.finish() == []
