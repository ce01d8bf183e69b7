"""Engines for system tests: the real command, real servers, temporary data, a free port."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from chain.wallets.key_files import WalletSecrets
from ece.child_processes.leftovers import of_engine
from ece.data_dir import DataDir, RunState
from ece.supervisor.port import free_port

READY_WITHIN_S = 90.0
# Bidders of tests are faster than people: on a quick machine the limits meant for those would be what is tested.
LIFTED = {"ECE_SOCKET_COMMANDS_PER_S": "100000", "ECE_SOCKET_COMMANDS_BURST": "100000"}
# Seconds; but a step of a start that is under way, such as making a database, is waited for: long on a busy machine.
STOPPED_WITHIN_S = 60.0


def until(condition: Callable[[], object], within_s: float, what: str) -> None:
    """Wait for a condition; fail, naming it, when the time is up."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)


class Up:
    """One run of `ece up` on a data directory, as a user would start it in a terminal."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.data_dir = DataDir(home / "data")
        self.port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "ece.cli", "up"]
        self._output = home / "up.txt"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ECE_")},
            "ECE_DATA_DIR": str(self.data_dir.path),
            "ECE_PORT": str(self.port),
            "ECE_CHAIN_PORT": str(free_port("127.0.0.1")),
            # Each takes a start of the engine some seconds of a processor.
            "ECE_SPARE_GATEWAYS": "0",
            **LIFTED,
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._instances: dict[str, set[int]] = {}

    @classmethod
    def by_script(cls, home: Path, **environment: str) -> "Up":
        """`scripts/up` with nothing of this process's environment, as cron or a container starts it."""
        mine = cls(home, **environment)
        kept = {name: value for name, value in mine._environment.items() if name.startswith("ECE_")}
        mine._environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), **kept}
        mine._command = [str(Path(__file__).parents[2] / "scripts/up")]
        return mine

    def set(self, **environment: str) -> None:
        """Further settings for the next start."""
        self._environment |= environment

    def start(self) -> None:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def output(self) -> str:
        return self._output.read_text()

    def state(self) -> RunState | None:
        """What run.json says of this very run."""
        state = self.data_dir.read_state()
        if state is None or state.pid != self.process.pid:
            return None
        self._instances.setdefault(state.instance, set()).update(state.children.values())
        return state

    def child(self, name: str) -> int | None:
        state = self.state()
        return None if state is None else state.children.get(name)

    def wait_until_ready(self) -> RunState:
        def ready() -> bool:
            assert self.process.poll() is None, f"it ended before it was ready:\n{self.output}"
            state = self.state()
            return state is not None and state.status == "ready"

        until(ready, READY_WITHIN_S, "the engine is ready")
        state = self.state()
        assert state is not None
        return state

    @property
    def key_secrets(self) -> WalletSecrets:
        """What encrypts the keys that sign access tokens."""
        return WalletSecrets(self.data_dir.secrets / "wallets")

    def says(self, text: str, within_s: float = 60.0) -> None:
        until(lambda: text in self.output, within_s, f"`up` says {text!r}; it said:\n{self.output}")

    def left_behind(self) -> list[str]:
        """Processes of this engine that still live."""
        left = [process for instance, pids in self._instances.items() for process in of_engine(instance, pids)]
        named = []
        for process in left:
            try:
                named.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
            except psutil.Error:
                continue  # it ended while we looked
        return named

    def interrupt(self) -> int:
        """Ctrl-C; the exit code. Fails if it takes longer than promised."""
        self.state()
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOPPED_WITHIN_S)

    def close(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self.state()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOPPED_WITHIN_S + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the cleanup process ends the rest
            self._process.wait(5)


@dataclass(frozen=True)
class SharedEngine:
    """A running engine, for tests that talk to it."""

    base_url: str
    ws_url: str
    database_url: str
    redis_url: str
    key_secrets: WalletSecrets
    data_dir: DataDir

    def children(self) -> dict[str, int]:
        """Process ids by name (postgres, valkey, ray-driver, gateway), as they are now."""
        state = self.data_dir.read_state()
        assert state is not None, "the engine runs"
        return dict(state.children)

    def wait_until_ready(self, within_s: float = 120.0) -> None:
        until(lambda: is_ready(self.base_url), within_s, "/readyz answers 200")


def is_ready(base_url: str) -> bool:
    """Whether everything that bids need works; nobody there is a no."""
    try:
        return httpx.get(f"{base_url}/readyz", timeout=5.0).status_code == 200
    except httpx.HTTPError:
        return False
