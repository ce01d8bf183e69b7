"""The table of faults: what each does, to what, for how long, and when the engine has to have recovered."""

from collections.abc import Sequence
from dataclasses import dataclass

PROCESSES = ("host", "director", "raylet", "gcs_server", "gateway", "worker", "minter", "postgres", "valkey", "chain")
# Connections: of clients to the gateway, of all processes to PostgreSQL and Redis, of gateways and director to hosts.
CLIENTS, DATABASE, REDIS, HOSTS = LINKS = ("clients", "database", "redis", "hosts")
# Those whose clock decides something.
CLOCKS = ("host", "gateway", "worker", "director")
DISK = "disk"
PARTS = (*PROCESSES, *LINKS, DISK)


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    `weight` is how often it comes, in shares of the sum. It lasts for a time between the two of `lasts_s`; `sizes` are
    seconds, by which a clock is set ahead, or messages and writes are late. `recovers_within_s` counts from its end.
    """

    name: str
    text: str
    parts: tuple[str, ...]
    weight: int
    recovers_within_s: float
    lasts_s: tuple[float, float] = (0.0, 0.0)
    sizes: Sequence[float] = (0.0,)


KILL = Kind("kill", "kill -9 of {}", PROCESSES, 12, 45)
PAUSE = Kind("pause", "SIGSTOP of {}", PROCESSES, 4, 45, (0.5, 6.0))
RESET = Kind("reset", "connections of {} reset", LINKS, 2, 30)
HOLD = Kind("hold", "connections of {} held back", LINKS, 2, 30, (0.2, 6.0))
DELAY = Kind("delay", "connections of {} late by {size:g} s each way", LINKS, 2, 30, (2.0, 6.0), (0.02, 0.1, 0.3))
HALF_OPEN = Kind("half_open", "connections of {} dead, with neither end told", LINKS, 2, 45)
DRIP = Kind("drip", "connections of {} limited to some bytes at a time", LINKS, 1, 30, (1.0, 4.0))
CLOCK = Kind("clock", "clock of {} set by {size:+g} s", CLOCKS, 2, 30, (3.0, 10.0), (-3600.0, -1.5, 1.5, 3600.0))
SLOW_DISK = Kind("slow_disk", "{} flushed {size:g} s late", (DISK,), 1, 30, (3.0, 8.0), (0.02, 0.1))
FULL_DISK = Kind("full_disk", "{} full", (DISK,), 1, 60, (2.0, 5.0))
DUPLICATE = Kind("duplicate_host", "a second {} with the same name and slots", ("host",), 1, 45, (8.0, 15.0))

KINDS = (KILL, PAUSE, RESET, HOLD, DELAY, HALF_OPEN, DRIP, CLOCK, SLOW_DISK, FULL_DISK, DUPLICATE)
BY_NAME = {kind.name: kind for kind in KINDS}
