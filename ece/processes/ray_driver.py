"""`python -m ece.processes.ray_driver`: starts or joins Ray, places the director, drains hosts at SIGTERM or
SIGINT.

Prints JSON lines for the supervisor: `{"ready": true}` once the hosts serve, `{"note": "…"}` when one of them dies or
serves again.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import asyncpg
import structlog

from actors.hosting.limits import HostLimits
from actors.minting.pool import MintingConfig
from actors.placement.control import DirectorLimits
from actors.runtime.cluster import RayConfig, RayRuntime, RayUnavailable
from actors.runtime.director_actor import DirectorConfig, Report
from actors.runtime.host_process import HostConfig
from ece.data_dir import DataDir, with_secrets
from ece.key_sources import key_sources, wallet_secrets
from ece.logs import configure_logs
from ece.processes.content import copy_jobs
from ece.processes.gc_tuning import tune_gc
from ece.settings import Settings, load_settings, revealed
from persistence.postgres.errors import MigrationError
from persistence.postgres.migrations import pending_migrations

log = structlog.get_logger()

SERVING_TIMEOUT_S = 60.0
DATABASE_TIMEOUT_S = 90.0
WATCH_EVERY_S = 0.5
START_WATCH_EVERY_S = 0.1
HOST_BACK_WITHIN_S = 20.0
DIRECTOR_BACK_WITHIN_S = 30.0


def host_template(settings: Settings) -> HostConfig:
    """The configuration of every host; its name and its node are filled in when it is placed."""
    return HostConfig(
        host_id="",
        slots_total=settings.slots,
        database_url=revealed(settings.database_url),
        redis_url=revealed(settings.redis_url),
        cluster_secret=revealed(settings.cluster_secret).encode(),
        bind=settings.host_bind,
        holds=settings.bid_holds == "on",
        limits=HostLimits(passivate_after_ms=settings.passivate_after_s * 1000),
    )


def director_config(settings: Settings) -> DirectorConfig:
    """The target state for the director, and what it needs to reach database and hosts."""
    return DirectorConfig(
        limits=DirectorLimits(settings.slots, settings.hosts, settings.spare_hosts, settings.dedicated_max),
        database_url=revealed(settings.database_url),
        cluster_secret=revealed(settings.cluster_secret).encode(),
    )


def minting_configs(settings: Settings) -> list[MintingConfig]:
    """The actors of the minting pool; none without a chain."""
    data_dir = DataDir(settings.data_dir)
    return [
        MintingConfig(
            index,
            database_url=revealed(settings.database_url),
            redis_url=revealed(settings.redis_url),
            rpc_urls=tuple(settings.rpc_urls),
            keys=key_sources(settings),
            wallet_secrets=wallet_secrets(settings),
            content_dir=settings.content_dir or data_dir.content,
            copy_jobs=tuple(copy_jobs(settings)),
            media_dir=data_dir.media,
            usdc_mint=settings.usdc_mint,
            # The supervisor gives the embedded chain a port.
            faucet=settings.chain_port is not None,
        )
        for index in range(settings.minting_actors if settings.rpc_urls else 0)
    ]


def namespace(settings: Settings) -> str:
    """Ray's namespace for the actors of this engine: several engines can share a Ray cluster."""
    return f"ece-{sha256(revealed(settings.cluster_secret).encode()).hexdigest()[:12]}"


def actor_set_up(settings: Settings) -> Callable[[str], None]:
    """A function that prepares the process of an actor; its log goes to the directory of all logs."""
    level, directory = settings.log_level, DataDir(settings.data_dir).logs

    def set_up(name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        stream = (directory / f"{name}.log").open("a", buffering=1)
        configure_logs(level, "json", stream)
        tune_gc()

    return set_up


def send(message: dict[str, Any]) -> None:
    """Write one line for the supervisor."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def wait_for_migrations(settings: Settings) -> None:
    """Return once the database has this program's schema. Raises RayUnavailable after some time."""
    deadline = time.monotonic() + DATABASE_TIMEOUT_S
    while True:
        try:
            if not asyncio.run(pending_migrations(revealed(settings.database_url))):
                return
            problem = "migrations are pending (`ece migrate` applies them)"
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, MigrationError) as error:
            problem = str(error)
        if time.monotonic() > deadline:
            raise RayUnavailable(f"the database was not ready after {DATABASE_TIMEOUT_S:.0f} s: {problem}")
        time.sleep(0.1)


def main() -> int:
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    settings = with_secrets(settings, DataDir(settings.data_dir))
    runtime = RayRuntime(RayConfig(settings.ray_address, settings.sockets_dir / "ray", namespace(settings)))
    try:
        runtime.connect()
        wait_for_migrations(settings)
        runtime.start_director(director_config(settings), host_template(settings), actor_set_up(settings))
        runtime.start_minting(minting_configs(settings), actor_set_up(settings))
        loss = asyncio.run(follow_director(runtime))
    except RayUnavailable as trouble:
        log.error("ray_driver_failed", error=str(trouble))
        return 1
    if loss is not None:
        # Ray does not recover from this by itself: the supervisor starts another one.
        log.error("ray_lost", reason=loss)
        send({"note": loss})
        os._exit(1)
    runtime.stop()
    return 0


async def follow_director(runtime: RayRuntime) -> str | None:
    """Print what the director reports, until SIGTERM (None) or the loss of Ray (the reason). Raises RayUnavailable."""
    stopping = asyncio.Event()
    # Only now: Ray sets handlers of its own while it starts.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    director = DirectorReports()
    placed_by = time.monotonic() + SERVING_TIMEOUT_S
    while not await happens(stopping, WATCH_EVERY_S if director.ready else START_WATCH_EVERY_S):
        loss = runtime.lost()
        if loss is None:
            director.receive(await runtime.report(director.last_note))
            loss = director.trouble(owns_ray=runtime.owns_ray)
        if loss is not None:
            return loss
        if not director.ready and time.monotonic() > placed_by:
            reason = director.failure or "no reason is known; see the logs of hosts and director"
            raise RayUnavailable(f"hosts not serving after {SERVING_TIMEOUT_S:.0f} s: {reason}")
    return None


class DirectorReports:
    """The state of the director as it reports it. Its notes go to the supervisor."""

    def __init__(self) -> None:
        self.ready = False
        self.last_note = 0
        self.failure: str | None = None
        self._pid: int | None = None
        self._reported_at = time.monotonic()
        self._missing_for_s = 0.0

    def receive(self, report: Report | None) -> None:
        """Process a report; None: the director did not answer."""
        if report is None:
            return
        self._reported_at = time.monotonic()
        self._missing_for_s = report.missing_for_s
        self.failure = report.failure
        if report.pid != self._pid:
            if self._pid is not None:
                notify("the director died; another one took over")
            self._pid, self.last_note = report.pid, 0
        for self.last_note, note in report.notes:
            notify(note)
        if report.placed and not self.ready:
            self.ready = True
            send({"ready": True})

    def trouble(self, *, owns_ray: bool) -> str | None:
        """Why this process and its Ray should be restarted, or None.

        In an external cluster a restart brings no host back: Ray or the director start it.
        """
        if not self.ready:
            return None
        if time.monotonic() - self._reported_at > DIRECTOR_BACK_WITHIN_S:
            return f"the director did not answer for {DIRECTOR_BACK_WITHIN_S:.0f} s"
        if owns_ray and self._missing_for_s > HOST_BACK_WITHIN_S:
            return f"a host did not come back within {HOST_BACK_WITHIN_S:.0f} s"
        return None


async def happens(event: asyncio.Event, within_s: float) -> bool:
    """Whether the event is set, or becomes so in time."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def notify(note: str) -> None:
    """Log a message for operators, and pass it to the terminal of `ece up`."""
    log.warning("hosts", note=note)
    send({"note": note})


if __name__ == "__main__":
    sys.exit(main())
