"""An engine for the duration of a block: the one that runs on the data directory, or a new one."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape

from bench.wire.accounts import Accounts
from chain.wallets.key_files import WalletSecrets
from ece.child_processes.child import Child, Command
from ece.child_processes.log_files import last_lines
from ece.data_dir import DataDir, RunState
from ece.engine.accounts import ProvisionedAccounts
from ece.failure import Failure
from ece.key_sources import wallet_secrets
from ece.setting_fields import PREFIX
from ece.settings import Settings
from ece.supervisor.port import check_port, free_port
from ece.supervisor.services import answers_200

READY_WITHIN_S = 150.0
STOPS_WITHIN_S = 20.0
POLL_S = 0.05


@dataclass(frozen=True)
class RunningEngine:
    """Where a running engine is found. URLs may hold a password."""

    base_url: str
    ws_url: str
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    # Those that encrypt the signing keys.
    key_secrets: WalletSecrets
    rpc_url: str = field(repr=False)

    @property
    def accounts(self) -> Accounts:
        """Users to act as, without registration."""
        return ProvisionedAccounts(self.database_url, self.key_secrets)

    @property
    def limited_accounts(self) -> Accounts:
        """The same users, with rate limits and quotas."""
        return ProvisionedAccounts(self.database_url, self.key_secrets, limited=True)


@asynccontextmanager
async def database_of(settings: Settings, console: Console) -> AsyncIterator[str]:
    """The URL of the database: an external one as it is, the embedded one with the engine that it belongs to."""
    state = DataDir(settings.data_dir).read_state() if DataDir(settings.data_dir).is_locked() else None
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    elif state is not None:
        yield state.database_url
    else:
        async with running_engine(settings, console) as engine:
            yield engine.database_url


@asynccontextmanager
async def running_engine(
    settings: Settings, console: Console, environment: Mapping[str, str] | None = None
) -> AsyncIterator[RunningEngine]:
    """The engine on the settings' data directory. Raises Failure when none runs and none can be started.

    An engine that already runs has its own settings and continues afterwards. A new one has these settings (on a free
    port if theirs is taken), and `environment` besides, and is stopped at the end of the block.
    """
    data_dir = DataDir(settings.data_dir)
    if data_dir.is_locked():
        console.print(f"  Using the engine that runs on {escape(str(data_dir.path))}", highlight=False, soft_wrap=True)
        yield _engine(settings, await _until_ready(data_dir, None))
        return
    data_dir.create(settings.disk_reserve_bytes)
    child = await _start(_on_free_port(settings), data_dir, console, environment or {})
    try:
        yield _engine(settings, await _until_ready(data_dir, child))
    finally:
        # Also when the block is cancelled: the engine that was started here must not stay.
        await asyncio.shield(child.stop(STOPS_WITHIN_S))


def _engine(settings: Settings, state: RunState) -> RunningEngine:
    return RunningEngine(
        state.url,
        state.ws_url,
        state.database_url,
        state.redis_url,
        wallet_secrets(settings),
        state.solana_rpc_url,
    )


def _on_free_port(settings: Settings) -> Settings:
    try:
        check_port(settings)
    except Failure:
        return settings.changed(port=free_port(settings.host))
    return settings


async def _start(settings: Settings, data_dir: DataDir, console: Console, more: Mapping[str, str]) -> Child:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return await Child.start(
        Command(
            [sys.executable, "-m", "ece.cli", "up", "--brief"],
            {**environment, **settings.child_environment(), "PYTHONUNBUFFERED": "1", **more},
            data_dir.logs / "up.log",
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGTERM,
            on_line=lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True, style="dim"),
        )
    )


async def _until_ready(data_dir: DataDir, child: Child | None) -> RunState:
    """Wait until the engine is ready. Raises Failure with its last message when it does not start."""
    began = time.monotonic()
    while time.monotonic() - began < READY_WITHIN_S:
        state = data_dir.read_state()
        mine = state is not None and (child is None or state.pid == child.pid)
        if state is not None and mine and state.status == "ready" and await answers_200(f"{state.url}/readyz"):
            return state
        if child is not None and not child.alive:
            raise Failure(_last_message(data_dir))
        if child is None and not data_dir.is_locked():
            raise Failure(f"The engine on {data_dir.path} stopped before it was ready.")
        await asyncio.sleep(POLL_S)
    raise Failure(f"The engine was not ready within {READY_WITHIN_S:g} s. Its logs are in {data_dir.logs}.")


def _last_message(data_dir: DataDir) -> str:
    lines = last_lines(data_dir.logs / "up.log", 12)
    messages = [line.removeprefix("ece: ") for line in lines if line.startswith("ece: ")]
    return messages[-1] if messages else "The engine ended before it was ready: " + " / ".join(lines[-3:])
