"""Engines that a bench starts for itself."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

from rich.console import Console

from bench.engine import OwnEngine
from ece.child_processes.child import Child
from ece.commands.bench.duplicate_host import start_duplicate_host
from ece.data_dir import DataDir
from ece.embedded.postgres import EmbeddedPostgres
from ece.engine.host_memory import HostProcesses, host_memory
from ece.engine.mover import EngineMover
from ece.engine.parts import EngineParts
from ece.engine.process_groups import process_groups
from ece.engine.running import running_engine
from ece.failure import Failure
from ece.settings import Settings, load_settings
from ece.settings_list import settings_list
from ece.supervisor.port import free_port
from ece.supervisor.services import SERVER_READY_WITHIN_S, SERVER_STOPS_WITHIN_S, server_environment
from persistence.postgres.pool import close_pool, open_pool

LOOPBACK = "127.0.0.1"
POLL_S = 0.05


@asynccontextmanager
async def own_engine(
    changes: Mapping[str, int | str], console: Console, *, home: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[OwnEngine]:  # fmt: skip
    """A new engine on temporary data, with these settings; both are removed at the end of the block.

    The data is in `home`, and the engine has `environment` besides its settings. It has no spare gateway, unless
    `changes` has: loading that would disturb what is measured first.
    """
    with _temporary_settings({"spare_gateways": 0, **changes}, home) as settings:
        async with running_engine(settings, console, environment) as running:
            data_dir, database_url = DataDir(settings.data_dir), running.database_url

            async def parts(url: str | None = None) -> EngineParts:
                return await EngineParts.of(data_dir, url or database_url)

            yield OwnEngine(
                base_url=running.base_url,
                accounts=running.accounts,
                limited_accounts=running.limited_accounts,
                host_memory=lambda: host_memory(data_dir),
                database_url=database_url,
                redis_url=running.redis_url,
                rpc_url=running.rpc_url,
                hosts=HostProcesses(data_dir),
                parts=parts,
                start_duplicate=lambda: start_duplicate_host(settings, running),
                processes=lambda: process_groups(data_dir),
                settings=[(one.variable, one.value, one.source) for one in settings_list(settings)],
                mover=lambda: _mover(database_url, settings.slots),
            )


@asynccontextmanager
async def own_database(console: Console) -> AsyncIterator[str]:
    """The URL of a new embedded PostgreSQL on temporary data; both are removed at the end of the block."""
    environment = server_environment(uuid4().hex)
    with _temporary_directory() as directory:
        data_dir = DataDir(directory / "data")
        data_dir.create(0)
        postgres = EmbeddedPostgres(data_dir, directory, console.print)
        await postgres.prepare(environment)
        server = await Child.start(postgres.command(environment))
        try:
            await _until_accepting(postgres, server)
            yield postgres.url
        finally:
            await asyncio.shield(server.stop(SERVER_STOPS_WITHIN_S))


async def _until_accepting(postgres: EmbeddedPostgres, server: Child) -> None:
    """Raises Failure when it does not start."""
    ends_s = time.monotonic() + SERVER_READY_WITHIN_S
    while not postgres.accepts(server):
        if not server.alive or time.monotonic() > ends_s:
            raise Failure(f"PostgreSQL did not start: {postgres.reason()}")
        await asyncio.sleep(POLL_S)


@contextmanager
def _temporary_settings(changes: Mapping[str, int | str], home: Path | None) -> Iterator[Settings]:
    with _temporary_directory(home) as directory:
        # Several engines may start at the same time: each has ports of its own.
        yield load_settings(
            data_dir=directory / "data", port=free_port(LOOPBACK), chain_port=free_port(LOOPBACK), **changes
        )


@contextmanager
def _temporary_directory(home: Path | None = None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ece-bench-", dir=home, ignore_cleanup_errors=True) as directory:
        # The embedded PostgreSQL of root runs as another user, who needs access.
        Path(directory).chmod(0o711)
        yield Path(directory)


@asynccontextmanager
async def _mover(database_url: str, slots: int) -> AsyncIterator[EngineMover]:
    pool = await open_pool(database_url, size_max=2)
    try:
        yield EngineMover(pool, slots)
    finally:
        await close_pool(pool)
