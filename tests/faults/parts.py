"""The parts of a running engine, as processes to be killed or stopped."""

import asyncpg
import psutil

HOST_PORTS = "SELECT DISTINCT port FROM hosts JOIN slots USING (host_id)"


async def keeper_of_slots(database_url: str) -> int:
    """The process of a host that keeps slots, not one that stands by; 0 while there is none."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        ports = {row["port"] for row in await connection.fetch(HOST_PORTS)}
    finally:
        await connection.close()
    return next((pid for pid, port in listening() if port in ports), 0)


def listening() -> list[tuple[int, int]]:
    """(process id, port) of everything on this machine that waits for connections."""
    return [
        (connection.pid, connection.laddr.port)
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.pid
    ]


def ray_server(conductor: int, name: str) -> int:
    """The process of one of Ray's own servers under this conductor, 0 while there is none."""
    try:
        return next((child.pid for child in psutil.Process(conductor).children() if child.name() == name), 0)
    except psutil.Error:
        return 0
