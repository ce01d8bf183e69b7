"""An engine that is broken on purpose: the checker sees it. What is broken stands in tests/faults/sabotage."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from engines import Up

from bench.faults import checker
from tests.faults.broken import sabotaged
from tests.faults.parts import owner_of_slots
from tests.faults.scene import Scene, until

pytestmark = pytest.mark.timeout(240)


@asynccontextmanager
async def broken_engine(what: str) -> AsyncIterator[Scene]:
    """A scene on an engine of its own, of which this is broken."""
    with (
        tempfile.TemporaryDirectory(prefix="ece-broken-", ignore_cleanup_errors=True) as home,
        closing(Up(Path(home), ECE_BCRYPT_COST="4", **sabotaged(what))) as up,
    ):
        up.start()
        state = await asyncio.to_thread(up.wait_until_ready)
        secret = up.key_secrets
        async with Scene(state.url, state.database_url, secret) as scene:
            scene.start()
            yield scene
        await asyncio.to_thread(up.interrupt)


async def test_acks_that_come_before_the_commit_are_found_to_be_lost():
    async with broken_engine("ack before commit") as scene:
        await scene.more_acks(100)
        os.kill(await owner_of_slots(scene.database_url), signal.SIGKILL)
        answered = scene.answers()
        # Perhaps refusals alone: even the auctions may be lost.
        await until(lambda: scene.answers() >= answered + 50, "the next host answers")
        assert checker.LOST in {found.kind for found in await scene.verdict_of_a_broken_engine()}


async def test_gaps_that_a_gateway_forgets_to_fill_are_found():
    async with broken_engine("lost updates and forgotten gaps") as scene:
        await scene.more_acks(100)
        await until(lambda: any(seen.missed for seen in scene.recording.seen), "a watcher saw a gap")
        assert {found.kind for found in await scene.verdict_of_a_broken_engine()} == {checker.GAP}
