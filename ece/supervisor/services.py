"""The engine's processes, each as a service that the supervisor starts and restarts."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx

from ece.child_processes.child import Child, Command
from ece.child_processes.leftovers import INSTANCE_VARIABLE
from ece.data_dir import DataDir
from ece.embedded.postgres import EmbeddedPostgres
from ece.embedded.valkey import EmbeddedValkey
from ece.setting_fields import PREFIX
from ece.settings import Settings
from ece.supervisor.supervised_service import ServiceSpec

SERVER_READY_WITHIN_S = 60.0
RAY_READY_WITHIN_S = 110.0
GATEWAY_READY_WITHIN_S = 60.0
# Together they stay below the 15 s in which everything has to be gone.
GATEWAY_STOPS_WITHIN_S = 4.0
WORKER_READY_WITHIN_S = 60.0
# At the same time as the gateways.
WORKER_STOPS_WITHIN_S = 4.0
RAY_DRIVER_STOPS_WITHIN_S = 5.0
SERVER_STOPS_WITHIN_S = 4.0
PROBE_TIMEOUT_S = 2.0
RAY_DRIVER = "ray-driver"
CHAIN = "chain"


def engine_environment(settings: Settings, instance: str, name: str) -> dict[str, str]:
    """The environment of one of our own Python processes."""
    return {
        **{variable: value for variable, value in os.environ.items() if not variable.startswith(PREFIX)},
        **settings.child_environment(),
        "PYTHONUNBUFFERED": "1",
        "ECE_SERVICE": name,
        # Last on purpose: programs which set their title overwrite the beginning of their environment.
        INSTANCE_VARIABLE: instance,
    }


def ray_environment(settings: Settings) -> dict[str, str]:
    """Variables that separate the embedded Ray from a cluster and a token of the user's own."""
    if settings.ray_address is not None:
        # A cluster made by `ray start` requires a token, and a driver sends one only with this variable.
        return {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")}
    data_dir = DataDir(settings.data_dir)
    data_dir.secret("ray")
    return {
        "RAY_ADDRESS": "local",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(data_dir.secrets / "ray"),
        # Despite its name it also works on Linux: all servers of Ray and of its workers listen on the loopback address.
        # Without it Ray replaces 127.0.0.1 by the address that others reach, and listens on all.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }


def server_environment(instance: str) -> dict[str, str]:
    """The environment of a server that is not ours: nothing of the user's, and no secrets."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", INSTANCE_VARIABLE: instance}


def postgres_service(postgres: EmbeddedPostgres, instance: str, log: Path) -> ServiceSpec:
    async def command() -> Command:
        postgres.end_stale_server()
        return postgres.command(server_environment(instance))

    async def serves(child: Child) -> bool:
        return postgres.accepts(child)

    return ServiceSpec("postgres", "PostgreSQL", command, serves, log, SERVER_READY_WITHIN_S, SERVER_STOPS_WITHIN_S)


def valkey_service(valkey: EmbeddedValkey, instance: str, log: Path) -> ServiceSpec:
    async def command() -> Command:
        return valkey.command(server_environment(instance))

    async def serves(_child: Child) -> bool:
        return await valkey.answers()

    return ServiceSpec("valkey", "Valkey", command, serves, log, SERVER_READY_WITHIN_S, SERVER_STOPS_WITHIN_S)


class RayDriverService:
    """Ray and the host actors. The driver says on its standard output when the hosts serve."""

    def __init__(self, settings: Settings, instance: str, log: Path, note: Callable[[str], None]) -> None:
        self._note = note
        self._environment = {**engine_environment(settings, instance, RAY_DRIVER), **ray_environment(settings)}
        self._log = log
        self._ready = False
        self.spec = ServiceSpec(
            RAY_DRIVER,
            "Ray with the hosts",
            self._command,
            self._serves,
            log,
            RAY_READY_WITHIN_S,
            RAY_DRIVER_STOPS_WITHIN_S,
        )

    async def _command(self) -> Command:
        self._ready = False
        return Command(
            [sys.executable, "-m", "ece.processes.ray_driver"], self._environment, self._log, on_line=self._receive
        )

    async def _serves(self, _child: Child) -> bool:
        return self._ready

    def _receive(self, line: str) -> None:
        message = message_in(line)
        self._ready = self._ready or message.get("ready") is True
        if isinstance(message.get("note"), str):
            self._note(message["note"])


class _ListeningService:
    """A process that writes to its standard output when it listens.

    It counts as serving once it listens: it is not restarted because the database is unavailable.
    """

    module: ClassVar[str]
    ready_within_s: ClassVar[float]
    stops_within_s: ClassVar[float]

    def __init__(self, settings: Settings, instance: str, name: str, log: Path) -> None:
        self._environment = engine_environment(settings, instance, name)
        self._log = log
        self._listens = False
        self.spec = ServiceSpec(
            name, name.capitalize(), self._command, self._serves, log, self.ready_within_s, self.stops_within_s
        )

    async def _command(self) -> Command:
        self._listens = False
        return self._start_by()

    def _start_by(self, *arguments: str, waits: bool = False) -> Command:
        return Command(
            [sys.executable, "-m", self.module, *arguments], self._environment, self._log, on_line=self._receive,
            keep_input_open=waits,
        )  # fmt: skip

    async def _serves(self, _child: Child) -> bool:
        return self._listens

    def _receive(self, line: str) -> None:
        self._listens = self._listens or message_in(line).get("listening") is True


class ChainService(_ListeningService):
    """The local chain."""

    module = "ece.processes.chain"
    ready_within_s = SERVER_READY_WITHIN_S
    stops_within_s = SERVER_STOPS_WITHIN_S


class GatewayService(_ListeningService):
    """One of the gateways. They share a port: a probe of it could reach another one."""

    module = "ece.processes.gateway"
    ready_within_s = GATEWAY_READY_WITHIN_S
    stops_within_s = GATEWAY_STOPS_WITHIN_S

    def __init__(self, settings: Settings, instance: str, name: str, log: Path) -> None:
        super().__init__(settings, instance, name, log)
        if settings.spare_gateways:
            self.spec = replace(self.spec, spare=partial(self._start_by, "--spare", waits=True))


class WorkerService(_ListeningService):
    """One of the processes that run background jobs."""

    module = "ece.processes.worker"
    ready_within_s = WORKER_READY_WITHIN_S
    stops_within_s = WORKER_STOPS_WITHIN_S


def gateway_names(settings: Settings) -> list[str]:
    """The names of the gateways in messages, in run.json and of their logs."""
    return _names("gateway", settings.gateways)


def worker_names(settings: Settings) -> list[str]:
    """The names of the workers there."""
    return _names("worker", settings.workers)


def _names(name: str, count: int) -> list[str]:
    return [name, *(f"{name}-{number}" for number in range(2, count + 1))]


def message_in(line: str) -> dict[str, Any]:
    """The message in a line of standard output; empty for a line that Ray or a library printed."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


async def answers_200(url: str) -> bool:
    """Does an HTTP server answer a GET of this URL with 200? Certificates are not verified: nothing secret is sent."""
    try:
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=PROBE_TIMEOUT_S) as client:
            return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


def service_logs(data_dir: DataDir, settings: Settings) -> Mapping[str, Path]:
    names = ("postgres", "valkey", CHAIN, RAY_DRIVER, *gateway_names(settings), *worker_names(settings))
    return {name: data_dir.logs / f"{name}.log" for name in names}
