"""The engine's processes, each as a service that a guard can keep alive."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import httpx

from ece.data_dir import DataDir
from ece.embedded.postgres import EmbeddedPostgres
from ece.embedded.valkey import EmbeddedValkey
from ece.settings import PREFIX, Settings
from ece.supervisor.guard import Service
from ece.supervisor.leftovers import INSTANCE_VARIABLE
from ece.supervisor.processes import Child, Command

SERVER_READY_WITHIN_S = 60.0
RAY_READY_WITHIN_S = 110.0
GATEWAY_READY_WITHIN_S = 60.0
# Together they stay below the 15 s in which everything has to be gone.
GATEWAY_STOPS_WITHIN_S = 4.0
WORKER_READY_WITHIN_S = 60.0
# At the same time as the gateways.
WORKER_STOPS_WITHIN_S = 4.0
CONDUCTOR_STOPS_WITHIN_S = 5.0
SERVER_STOPS_WITHIN_S = 4.0
PROBE_TIMEOUT_S = 2.0


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
    """What makes the embedded Ray ours alone: the user's own cluster and token have nothing to do with it."""
    if settings.ray_address is not None:
        # `ray start` asks every caller for a token, but who joins sends one only when told to.
        return {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")}
    data_dir = DataDir(settings.data_dir)
    data_dir.secret("ray")
    return {
        "RAY_ADDRESS": "local",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(data_dir.secrets / "ray"),
        # Despite its name it also keeps a Ray on Linux to itself: all its servers, and those of its workers, listen on
        # the loopback address. Without it Ray takes 127.0.0.1 for the address that others reach, and listens on all.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }


def server_environment(instance: str) -> dict[str, str]:
    """The environment of a server that is not ours: nothing of the user's, and no secrets."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", INSTANCE_VARIABLE: instance}


def postgres_service(postgres: EmbeddedPostgres, instance: str, log: Path) -> Service:
    async def command() -> Command:
        postgres.end_stale_server()
        return postgres.command(server_environment(instance))

    async def serves(child: Child) -> bool:
        return postgres.accepts(child)

    return Service("postgres", "PostgreSQL", command, serves, log, SERVER_READY_WITHIN_S, SERVER_STOPS_WITHIN_S)


def valkey_service(valkey: EmbeddedValkey, instance: str, log: Path) -> Service:
    async def command() -> Command:
        return valkey.command(server_environment(instance))

    async def serves(_child: Child) -> bool:
        return await valkey.answers()

    return Service("valkey", "Valkey", command, serves, log, SERVER_READY_WITHIN_S, SERVER_STOPS_WITHIN_S)


class ConductorService:
    """Ray and the host actors. The conductor says on its standard output when the hosts serve."""

    def __init__(self, settings: Settings, instance: str, log: Path, note: Callable[[str], None]) -> None:
        self._note = note
        self._environment = {**engine_environment(settings, instance, "conductor"), **ray_environment(settings)}
        self._log = log
        self._ready = False
        self.service = Service(
            "conductor",
            "Ray with the auction hosts",
            self._command,
            self._serves,
            log,
            RAY_READY_WITHIN_S,
            CONDUCTOR_STOPS_WITHIN_S,
        )

    async def _command(self) -> Command:
        self._ready = False
        return Command(
            [sys.executable, "-m", "ece.processes.conductor"], self._environment, self._log, on_line=self._heard
        )

    async def _serves(self, _child: Child) -> bool:
        return self._ready

    def _heard(self, line: str) -> None:
        message = message_in(line)
        self._ready = self._ready or message.get("ready") is True
        if isinstance(message.get("note"), str):
            self._note(message["note"])


class _ListeningService:
    """A process that says on its standard output when it listens.

    Alive, not ready, is what counts: it isn't started anew because the database is away.
    """

    module: ClassVar[str]
    ready_within_s: ClassVar[float]
    stops_within_s: ClassVar[float]

    def __init__(self, settings: Settings, instance: str, name: str, log: Path) -> None:
        self._environment = engine_environment(settings, instance, name)
        self._log = log
        self._listens = False
        self.service = Service(
            name, name.capitalize(), self._command, self._serves, log, self.ready_within_s, self.stops_within_s
        )

    async def _command(self) -> Command:
        self._listens = False
        return Command([sys.executable, "-m", self.module], self._environment, self._log, on_line=self._heard)

    async def _serves(self, _child: Child) -> bool:
        return self._listens

    def _heard(self, line: str) -> None:
        self._listens = self._listens or message_in(line).get("listening") is True


class GatewayService(_ListeningService):
    """One of the gateways. They share a port, so asking there is no use."""

    module = "ece.processes.gateway"
    ready_within_s = GATEWAY_READY_WITHIN_S
    stops_within_s = GATEWAY_STOPS_WITHIN_S


class WorkerService(_ListeningService):
    """One of the processes that run background jobs."""

    module = "ece.processes.worker"
    ready_within_s = WORKER_READY_WITHIN_S
    stops_within_s = WORKER_STOPS_WITHIN_S


def gateway_names(settings: Settings) -> list[str]:
    """What the gateways are called in messages, in run.json and in the names of their logs."""
    return _names("gateway", settings.gateways)


def worker_names(settings: Settings) -> list[str]:
    """What the workers are called there."""
    return _names("worker", settings.workers)


def _names(name: str, count: int) -> list[str]:
    return [name, *(f"{name}-{number}" for number in range(2, count + 1))]


def message_in(line: str) -> dict[str, Any]:
    """What the conductor says in this line, if it isn't something that Ray printed."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


async def answers_200(url: str) -> bool:
    """Does an HTTP server answer a GET of this URL with 200?"""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=PROBE_TIMEOUT_S) as client:
            return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


def service_logs(data_dir: DataDir, settings: Settings) -> Mapping[str, Path]:
    names = ("postgres", "valkey", "conductor", *gateway_names(settings), *worker_names(settings))
    return {name: data_dir.logs / f"{name}.log" for name in names}
