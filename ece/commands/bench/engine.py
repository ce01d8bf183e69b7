"""Engines that a bench starts for itself."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from rich.console import Console

from bench.engine import OwnEngine
from ece.data_dir import DataDir
from ece.engine.host_memory import HostProcesses, host_memory
from ece.engine.mover import EngineMover
from ece.engine.parts import EngineParts
from ece.engine.running import running_engine
from ece.settings import Settings, load_settings
from ece.supervisor.port import free_port
from persistence.postgres.pool import close_pool, open_pool

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def own_engine(changes: Mapping[str, int | str], console: Console) -> AsyncIterator[OwnEngine]:
    """A new engine on temporary data, with these settings; both are removed at the end of the block."""
    with _temporary_settings(changes) as settings:
        async with running_engine(settings, console) as running:
            data_dir, database_url = DataDir(settings.data_dir), running.database_url
            yield OwnEngine(
                base_url=running.base_url,
                accounts=running.accounts,
                host_memory=lambda: host_memory(data_dir),
                database_url=database_url,
                redis_url=running.redis_url,
                hosts=HostProcesses(data_dir),
                parts=lambda: EngineParts.of(data_dir, database_url),
                mover=lambda: _mover(database_url, settings.slots),
            )


@contextmanager
def _temporary_settings(changes: Mapping[str, int | str]) -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="ece-bench-", ignore_cleanup_errors=True) as directory:
        # The embedded PostgreSQL of root runs as another user, who needs access.
        Path(directory).chmod(0o711)
        yield load_settings(data_dir=Path(directory) / "data", port=free_port(LOOPBACK), **changes)


@asynccontextmanager
async def _mover(database_url: str, slots: int) -> AsyncIterator[EngineMover]:
    pool = await open_pool(database_url, size_max=2)
    try:
        yield EngineMover(pool, slots)
    finally:
        await close_pool(pool)
