"""The one module that imports Ray: it starts or joins a cluster, and places director and hosts on it.

Ray is for control: it starts, names, restarts and stops the actors. Bids never pass through it.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import ray
import structlog
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.hosting.ownership.ownership import Assignment
from actors.minting.pool import MintingConfig
from actors.placement.control import ControlFailed, Node
from actors.runtime.director_actor import DIRECTOR, DirectorActor, DirectorConfig, Report
from actors.runtime.host_actor import HostActor
from actors.runtime.host_process import HostConfig
from actors.runtime.minting_actor import MintingActor

log = structlog.get_logger()

CONTROL_TIMEOUT_S = 10.0
# How often Ray's control store is asked; while it does not answer, the last answer counts.
NODES_EVERY_S = 1.0
NAME_FREE_WITHIN_S = 20.0
REPORT_TIMEOUT_S = 3.0
RAY_SERVERS = ("gcs_server", "raylet")
DIRECTOR_MEMORY_BYTES = 1024 * 1024
MINTING_MEMORY_BYTES = 1024 * 1024
MINTING_PREFIX = "minting-"
MINTING_ACTORS_MAX = 16
OBJECT_STORE_BYTES = 80 * 1024 * 1024
# Options of all actors. Calls of them are control, not work: Ray would keep an event of each of the last 100,000 in the
# memory of its control store, for a dashboard.
DETACHED: dict[str, Any] = {
    "lifetime": "detached", "num_cpus": 0, "max_restarts": -1, "max_task_retries": 0, "enable_task_events": False,
}  # fmt: skip

SetUp = Callable[[str], None]


class RayUnavailable(Exception):
    """Ray could not be started or reached."""


@dataclass(frozen=True)
class RayConfig:
    """``address`` None: a local Ray of our own, whose session goes under ``temp_dir`` (a short path).

    ``namespace``: actors of one engine find each other by name within it.
    """

    address: str | None
    temp_dir: Path | None
    namespace: str


class RayControl:
    """Controls hosts from the director's process."""

    def __init__(self, template: HostConfig, set_up: SetUp) -> None:
        self._template = template
        self._set_up = set_up
        self._handles: dict[str, Any] = {}
        self._nodes: list[Node] = []
        self._known: frozenset[str] = frozenset()
        self._nodes_at = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    async def nodes(self) -> list[Node]:
        """The living nodes, as of the last refresh. Raises ControlFailed."""
        idle = self._refreshing is None or self._refreshing.done()
        if idle and time.monotonic() - self._nodes_at >= NODES_EVERY_S:
            self._refreshing = asyncio.create_task(self._refresh())
        if not self._nodes and self._refreshing is not None:
            await self._in_time(asyncio.shield(self._refreshing), "Ray's nodes")
        return self._nodes

    async def known(self) -> frozenset[str]:
        """The actors of this engine that run or start, as of the same refresh as ``nodes``."""
        return self._known

    async def start_host(self, host_id: str, node: str) -> None:
        """Start the actor. An earlier one of this name is ended first. Raises ControlFailed."""
        await self._in_time(asyncio.to_thread(self._start_host, host_id, node), host_id)

    async def end_host(self, host_id: str) -> None:
        """Drain, then end the actor for good. Raises ControlFailed."""
        handle = await self._handle(host_id)
        await self._in_time(handle.stop.remote(), host_id)
        self._handles.pop(host_id, None)
        await asyncio.to_thread(ray.kill, handle, no_restart=True)

    async def acquire(self, host_id: str, assigned: Assignment) -> None:
        """As ``HostActor.acquire``. Raises ControlFailed."""
        await self._in_time((await self._handle(host_id)).acquire.remote(assigned), host_id)

    async def reacquire(self, host_id: str, assigned: Assignment) -> None:
        """As ``HostActor.reacquire``. Raises ControlFailed."""
        await self._in_time((await self._handle(host_id)).reacquire.remote(assigned), host_id)

    async def hand_off(self, host_id: str, slots: Sequence[int], entities: Sequence[int]) -> int:
        """As ``HostActor.hand_off``. Raises ControlFailed."""
        handle = await self._handle(host_id)
        released_at: int = await self._in_time(handle.hand_off.remote(slots, entities), host_id)
        return released_at

    async def _handle(self, host_id: str) -> Any:
        handle = self._handles.get(host_id)
        if handle is None:
            handle = self._handles[host_id] = await self._in_time(asyncio.to_thread(ray.get_actor, host_id), host_id)
        return handle

    async def _in_time(self, work: Any, who: str) -> Any:
        try:
            async with asyncio.timeout(CONTROL_TIMEOUT_S):
                return await work
        except (RayError, ValueError, TimeoutError) as error:
            self._handles.pop(who, None)
            raise ControlFailed(f"{who}: {type(error).__name__}: {error}") from error

    async def _refresh(self) -> None:
        try:
            self._nodes, self._known = await asyncio.to_thread(_nodes_and_actors)
            self._nodes_at = time.monotonic()
        except Exception as error:
            log.warning("nodes_unknown", error=str(error))

    def _start_host(self, host_id: str, node: str) -> None:
        try:
            ray.kill(ray.get_actor(host_id), no_restart=True)
        except ValueError:
            pass  # The name is free.
        else:
            raise ControlFailed(f"{host_id}: an earlier actor of this name is being ended")
        config = replace(self._template, host_id=host_id, node=node)
        self._handles[host_id] = (
            ray.remote(HostActor)
            .options(
                name=host_id,
                **DETACHED,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            )
            .remote(config, self._set_up)
        )


class RayRuntime:
    """The Ray driver's connection to Ray."""

    def __init__(self, config: RayConfig) -> None:
        self._config = config
        self._director: Any = None
        self._own_servers: dict[str, psutil.Process] = {}

    @property
    def owns_ray(self) -> bool:
        """Whether this Ray lives and dies with the Ray driver."""
        return self._config.address is None

    def connect(self) -> None:
        """Start or join Ray. Raises RayUnavailable."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # By default Ray gives workers the lowest priority; these are servers, not batch jobs.
        os.environ.setdefault("RAY_worker_niceness", "0")
        options: dict[str, Any] = {
            "namespace": self._config.namespace, "logging_level": "warning", "log_to_driver": False,
        }  # fmt: skip
        if self._config.address is not None:
            options["address"] = self._config.address
        else:
            options |= {
                "include_dashboard": False,
                "num_cpus": max(2, os.cpu_count() or 1),
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": _session_parent(self._config.temp_dir),
                "_node_ip_address": "127.0.0.1",
            }
        try:
            ray.init(**options)
        except (RayError, ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise RayUnavailable(f"Ray did not start or answer: {error}") from error
        if self._config.address is None:
            children = psutil.Process().children()
            self._own_servers = {c.name(): c for c in children if c.name() in RAY_SERVERS}

    def start_director(self, config: DirectorConfig, template: HostConfig, set_up: SetUp) -> None:
        """Start the director; an earlier one is ended, since it has no state. Raises RayUnavailable."""
        deadline = time.monotonic() + NAME_FREE_WITHIN_S
        while _ended(DIRECTOR):
            if time.monotonic() > deadline:
                raise RayUnavailable("the director of an earlier Ray driver does not end")
            time.sleep(0.1)
        self._director = (
            ray.remote(DirectorActor)
            .options(
                name=DIRECTOR,
                **DETACHED,
                # On the node of the Ray driver, so that the loss of another node does not end the director. Ray
                # follows soft node affinity only for actors that request a resource.
                memory=DIRECTOR_MEMORY_BYTES,
                scheduling_strategy=NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True),
            )
            .remote(config, partial(RayControl, template, set_up), set_up)
        )

    def start_minting(self, configs: Sequence[MintingConfig], set_up: SetUp) -> None:
        """Start the minting pool; actors of an earlier Ray driver are ended first. Raises RayUnavailable."""
        deadline = time.monotonic() + NAME_FREE_WITHIN_S
        earlier = [f"{MINTING_PREFIX}{index}" for index in range(MINTING_ACTORS_MAX)]
        left = set(earlier) & set(ray.util.list_named_actors())
        while left := {name for name in left if _ended(name)}:
            if time.monotonic() > deadline:
                raise RayUnavailable("the minting actors of an earlier Ray driver do not end")
            time.sleep(0.1)
        for config in configs:
            # Its parameters name its own keys: on any node, with the same secrets and content directory.
            ray.remote(MintingActor).options(
                name=config.name, **DETACHED, memory=MINTING_MEMORY_BYTES,
                scheduling_strategy=NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True),
            ).remote(config, set_up)  # fmt: skip

    async def report(self, after: int) -> Report | None:
        """The director's report; None if it does not answer (it may be restarting)."""
        try:
            async with asyncio.timeout(REPORT_TIMEOUT_S):
                report: Report = await self._director.report.remote(after)
        except (RayError, TimeoutError):
            return None
        return report

    def lost(self) -> str | None:
        """Why this Ray can't continue, or None. Ray does not restart its own servers."""
        gone = [name for name, process in self._own_servers.items() if not _is_alive(process)]
        return f"Ray's {gone[0]} is gone" if gone else None

    def stop(self) -> None:
        """Stop the director, drain all hosts, end all actors; then leave Ray, or end it if it is our own."""
        try:
            ray.get(self._director.stop.remote(), timeout=CONTROL_TIMEOUT_S)
            actors = {name: ray.get_actor(name) for name in ray.util.list_named_actors()}
            hosts = [actor for name, actor in actors.items() if name != DIRECTOR]
            ray.get([host.stop.remote() for host in hosts], timeout=CONTROL_TIMEOUT_S)
            for actor in actors.values():
                ray.kill(actor, no_restart=True)
        except (RayError, GetTimeoutError, ValueError) as error:
            log.warning("hosts_not_drained", error=str(error))
        ray.shutdown()


def _session_parent(temp_dir: Path | None) -> str | None:
    """The directory for Ray's sessions. Ray makes them accessible to all users (0777), so the parent is private."""
    if temp_dir is None:
        return None
    temp_dir.mkdir(mode=0o700, exist_ok=True)
    return str(temp_dir / "t")


def _ended(name: str) -> bool:
    """End the actor of this name; returns whether there was one. Raises RayUnavailable."""
    try:
        ray.kill(ray.get_actor(name), no_restart=True)
    except ValueError:
        return False
    except (RayError, GetTimeoutError) as error:
        raise RayUnavailable(f"Ray does not say whether there is a {name}: {error}") from error
    return True


def _nodes_and_actors() -> tuple[list[Node], frozenset[str]]:
    """Living nodes and named actors, from Ray. Nodes without processors (`ray start --num-cpus=0`) are left out."""
    nodes = [
        Node(node["NodeID"], int(node["Resources"].get("memory", 0)), int(node["Resources"]["CPU"]))
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU")
    ]
    return nodes, frozenset(ray.util.list_named_actors())


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
