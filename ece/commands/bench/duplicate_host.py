"""A second host with the name and the slots of one that runs, for fault runs. Started by `start_duplicate_host`.

It registers, so that the other one learns that it was superseded and is started again; then there are two, and this one
believes to own its slots until it is killed. Only the fence of the log is left between them.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from pydantic import SecretStr

from actors.hosting.ownership.ownership import Assignment
from actors.runtime.host_process import HostProcess
from ece.child_processes.child import Child, Command
from ece.data_dir import DataDir, with_secrets
from ece.engine.running import RunningEngine
from ece.logs import configure_logs
from ece.processes.ray_driver import host_template
from ece.settings import Settings, load_settings
from ece.supervisor.services import server_environment
from persistence.placement.directory import Directory, HostAddress, Superseded
from persistence.postgres.pool import close_pool, open_pool


class DuplicateHost(HostProcess):
    """Believes in all that it has acquired, but has no lease that the directory did not confirm."""

    async def _beat(self) -> None:
        host, directory = self._serving()
        asked_s, now = self.clock.steady_s(), self.clock.now_ms()
        with suppress(Superseded):
            await directory.heartbeat(self.config.host_id, self._incarnation, now, self._load_report())
            host.lease.confirm(asked_s)


async def start_duplicate_host(settings: Settings, engine: RunningEngine) -> Callable[[], Awaitable[None]]:
    """Start it beside this engine, which has these settings. Returns what kills it."""
    data_dir = DataDir(settings.data_dir)
    state = data_dir.read_state()
    settings = settings.changed(
        database_url=SecretStr(engine.database_url), redis_url=SecretStr(engine.redis_url), ray_address=None
    )
    child = await Child.start(
        Command(
            [sys.executable, "-m", "ece.commands.bench.duplicate_host"],
            {**server_environment(state.instance if state else ""), **settings.child_environment()},
            data_dir.logs / "duplicate-host.log",
        )
    )

    async def kill() -> None:
        child.kill_session()
        await child.within(5.0)

    return kill


async def serve(settings: Settings) -> None:
    """Until killed. Raises StoreUnavailable."""
    config = host_template(with_secrets(settings, DataDir(settings.data_dir)))
    pool = await open_pool(config.database_url, size_max=1)
    try:
        original = max(await Directory(pool).hosts(), key=_slots)
    finally:
        await close_pool(pool)
    process = DuplicateHost(replace(config, host_id=original.host_id, node=original.node))
    await process.start()
    await process.acquire(Assignment(slots=original.slots))
    await asyncio.get_running_loop().create_future()


def _slots(host: HostAddress) -> int:
    return len(host.slots)


if __name__ == "__main__":
    configure_logs("info", "json")
    asyncio.run(serve(load_settings()))
