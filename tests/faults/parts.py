"""The parts of a running engine, as processes to be killed or stopped."""

import itertools
from collections.abc import Mapping

import asyncpg
import psutil

PARTS = ("host", "director", "raylet", "gcs_server", "gateway", "worker", "postgres", "valkey", "chain")
PAIRS = tuple(itertools.combinations(PARTS, 2))
# Those that every run of the tests has: each part is in one, and what needs the other to recover is together.
CHOSEN_PAIRS = (("host", "director"), ("host", "postgres"), ("raylet", "postgres"), ("gateway", "valkey"),
                ("gcs_server", "gateway"))  # fmt: skip
RAY_SERVERS = ("raylet", "gcs_server")
HOSTS_LISTEN_ON = "127.0.0.1"

_HOST_PORTS = "SELECT DISTINCT port FROM hosts JOIN slots USING (host_id)"


async def process_of(part: str, children: Mapping[str, int], database_url: str) -> int:
    """The process of a part, 0 while there is none. `children`: the supervisor's, by name."""
    ray_driver = children.get("ray-driver", 0)
    if part == "host":
        return await owner_of_slots(database_url)
    if part == "director":
        return next((p.pid for p in below(ray_driver, recursive=True) if "Director" in title_of(p)), 0)
    if part in RAY_SERVERS:
        return next((p.pid for p in below(ray_driver) if p.name() == part), 0)
    return children.get(part, 0)


async def owner_of_slots(database_url: str) -> int:
    """The process of a host that keeps slots, not of one that stands by; 0 while there is none."""
    try:
        connection = await asyncpg.connect(database_url, timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return 0
    try:
        ports = {row["port"] for row in await connection.fetch(_HOST_PORTS)}
    finally:
        await connection.close()
    return next((pid for pid, port in listening() if port in ports), 0)


def listening() -> list[tuple[int, int]]:
    """(process id, port) of everything on this machine that waits for connections at the address of hosts.

    Ray's nodes of other tests have addresses of their own, at which they may use the same port.
    """
    return [
        (connection.pid, connection.laddr.port)
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr.ip == HOSTS_LISTEN_ON
    ]


def below(process: int, *, recursive: bool = False) -> list[psutil.Process]:
    """The children of a process, or all that descend from it; none where it is gone."""
    try:
        return list(psutil.Process(process).children(recursive=recursive)) if process else []
    except psutil.Error:
        return []


def title_of(process: psutil.Process) -> str:
    """What an actor's process calls itself."""
    try:
        return "".join(process.cmdline()[:1])
    except psutil.Error:
        return ""
