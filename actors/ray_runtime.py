"""The one module that imports Ray: it starts or joins a cluster, and places hosts on it.

Ray is for control: it starts, names, restarts and stops the hosts. Bids never pass through it.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import ray
import structlog
from ray.exceptions import GetTimeoutError, RayError

from actors.director import ControlFailed
from actors.host_actor import HostActor
from actors.host_process import HostConfig

log = structlog.get_logger()

NAMESPACE = "ece"
CONTROL_TIMEOUT_S = 10.0
RAY_SERVERS = ("gcs_server", "raylet")
OBJECT_STORE_BYTES = 80 * 1024 * 1024


class RayTrouble(Exception):
    """Ray could not be started or reached."""


@dataclass(frozen=True)
class RayConfig:
    """``address`` None: a local Ray of our own, whose sockets go under ``temp_dir`` (a short path)."""

    address: str | None
    temp_dir: Path | None


class RayRuntime:
    """A connection to Ray, with the hosts placed through it."""

    def __init__(self, config: RayConfig) -> None:
        self._config = config
        self._hosts: dict[str, Any] = {}
        self._own_servers: dict[str, psutil.Process] = {}

    def connect(self) -> None:
        """Start or join Ray. Raises RayTrouble."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray gives workers the lowest claim on the processor; these are the servers, not batch jobs.
        os.environ.setdefault("RAY_worker_niceness", "0")
        options: dict[str, Any] = {"namespace": NAMESPACE, "logging_level": "warning", "log_to_driver": False}
        if self._config.address is not None:
            options["address"] = self._config.address
        else:
            options |= {
                "include_dashboard": False,
                "num_cpus": max(2, os.cpu_count() or 1),
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": None if self._config.temp_dir is None else str(self._config.temp_dir),
                "_node_ip_address": "127.0.0.1",
            }
        try:
            ray.init(**options)
        except (RayError, ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise RayTrouble(f"Ray did not start or answer: {error}") from error
        if self._config.address is None:
            children = psutil.Process().children()
            self._own_servers = {c.name(): c for c in children if c.name() in RAY_SERVERS}

    def start_hosts(self, configs: Sequence[HostConfig], set_up: Callable[[str], None]) -> None:
        """Place one actor a host; Ray starts each again when its process dies. ``set_up`` prepares each process."""
        remote_class = ray.remote(HostActor)
        for config in configs:
            self._hosts[config.host_id] = remote_class.options(
                name=config.host_id, num_cpus=0, max_restarts=-1, max_task_retries=0, get_if_exists=True
            ).remote(config, set_up)

    async def take(self, host_id: str, slots: Sequence[int]) -> None:
        """Make a host keep these slots. Raises ControlFailed."""
        try:
            async with asyncio.timeout(CONTROL_TIMEOUT_S):
                await self._hosts[host_id].take.remote(slots)
        except (RayError, TimeoutError) as error:
            raise ControlFailed(f"{host_id}: {error}") from error

    def failures(self) -> list[str]:
        """Why hosts that were placed do not serve, as far as they can say."""
        said = (self._health(host_id).get("failure") for host_id in self._hosts)
        return [failure for failure in said if failure]

    def lost(self) -> str | None:
        """Why this Ray can't go on, or None. Its own servers don't come back by themselves."""
        gone = [name for name, process in self._own_servers.items() if not _lives(process)]
        return f"Ray's {gone[0]} is gone" if gone else None

    def stop(self) -> None:
        """Drain the hosts, then leave Ray (and end it, where it is ours)."""
        stops = [host.stop.remote() for host in self._hosts.values()]
        try:
            ray.get(stops, timeout=CONTROL_TIMEOUT_S)
        except (RayError, GetTimeoutError) as error:
            log.warning("hosts_not_drained", error=str(error))
        for host in self._hosts.values():
            ray.kill(host)
        ray.shutdown()

    def _health(self, host_id: str) -> dict[str, Any]:
        try:
            health: dict[str, Any] = ray.get(self._hosts[host_id].health.remote(), timeout=CONTROL_TIMEOUT_S)
        except (RayError, GetTimeoutError):
            return {}
        return health


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
