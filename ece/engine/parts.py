"""The processes of one running engine by name: for a bench that kills them."""

import asyncio
from collections import Counter

import psutil

from bench.measures.failover import DIRECTOR, GCS, HOST, RAYLET
from ece.child_processes.leftovers import of_engine
from ece.data_dir import DataDir
from ece.engine.host_memory import HostProcesses
from persistence.placement.directory import Directory, HostAddress
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool, probe

# How Ray titles the processes of actors.
ACTOR_TITLES = {"ray::Director": DIRECTOR, "ray::Minting": "minter"}


class EngineParts:
    """The engine that runs on this data directory. Make it by `of`, while all its processes run."""

    def __init__(self, data_dir: DataDir, database_url: str) -> None:
        self._data_dir = data_dir
        self._database_url = database_url
        self._hosts = HostProcesses(data_dir)
        self._complete: Counter[str] = Counter()

    @classmethod
    async def of(cls, data_dir: DataDir, database_url: str) -> "EngineParts":
        """Count the processes: `whole` compares with this."""
        parts = cls(data_dir, database_url)
        parts._complete = await parts._count()
        return parts

    async def find(self, part: str) -> int | None:
        """The process of this part; of the hosts the one with the most slots."""
        if part == HOST:
            hosts = await self._serving_hosts()
            return max(hosts, key=lambda pid: len(hosts[pid].slots), default=None)
        return (await asyncio.to_thread(self._processes)).get(part)

    async def whole(self) -> bool:
        """Whether as many processes run as at the beginning, and every host is registered where it listens."""
        return not self._complete - await self._count()

    async def answers(self) -> bool:
        """Whether PostgreSQL takes a connection and answers a query."""
        try:
            pool = await open_pool(self._database_url, size_max=1)
        except StoreError:
            return False
        try:
            await probe(pool)
        except StoreError:
            return False
        finally:
            await close_pool(pool)
        return True

    async def _count(self) -> Counter[str]:
        processes = await asyncio.to_thread(self._processes)
        return Counter({**dict.fromkeys(processes, 1), HOST: len(await self._serving_hosts())})

    async def _serving_hosts(self) -> dict[int, HostAddress]:
        """The hosts by process: those that are in the directory and listen there."""
        try:
            pool = await open_pool(self._database_url, size_max=1)
        except StoreError:
            return {}
        try:
            entered = {host.port: host for host in await Directory(pool).hosts()}
        except StoreError:
            return {}
        finally:
            await close_pool(pool)
        ports = await asyncio.to_thread(self._hosts.ports)
        return {pid: entered[port] for port, pid in ports.items() if port in entered}

    def _processes(self) -> dict[str, int]:
        """Every other running part."""
        state = self._data_dir.read_state()
        if state is None:
            return {}
        found = {name: pid for name, pid in state.children.items() if _is_alive(pid)}
        for process in of_engine(state.instance, state.children.values()):
            try:
                name, title = process.name(), " ".join(process.cmdline())
                lives = process.status() != psutil.STATUS_ZOMBIE
            except psutil.Error:
                continue
            actor = next((part for start, part in ACTOR_TITLES.items() if title.startswith(start)), None)
            part = name if name in (RAYLET, GCS) else actor
            if part is not None and lives:
                found[part] = process.pid
        return found


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
