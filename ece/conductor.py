"""`python -m ece.conductor`: starts Ray and the hosts, stays while they run, drains them at SIGTERM or SIGINT.

Prints JSON lines: `{"ready": true}` once the hosts serve, `{"note": "…"}` when one of them dies or is back.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import structlog

from actors.director import Director
from actors.host import HostLimits
from actors.host_process import HostConfig
from actors.ray_runtime import RayConfig, RayRuntime, RayTrouble
from ece.data_dir import DataDir, with_secrets
from ece.logs import configure_logs
from ece.long_lived import tame_collector
from ece.settings import Settings, load_settings
from persistence.directory import Directory
from persistence.errors import MigrationError, StoreUnavailable
from persistence.migrations import pending_migrations
from persistence.pool import close_pool, open_pool

log = structlog.get_logger()

SERVING_TIMEOUT_S = 60.0
DATABASE_TIMEOUT_S = 90.0
WATCH_EVERY_S = 0.5
HOST_BACK_WITHIN_S = 20.0


def host_configs(settings: Settings) -> list[HostConfig]:
    """One configuration a host, those that stand by among them."""
    assert settings.database_url
    assert settings.redis_url
    assert settings.cluster_secret
    limits = HostLimits(
        inbox_max=settings.host_inbox_max,
        mailbox_max=settings.mailbox_max,
        batch_max=settings.batch_max,
        snapshot_every_events=settings.snapshot_every_events,
        passivate_after_ms=settings.passivate_after_s * 1000,
    )
    return [
        HostConfig(
            host_id=f"host-{index}",
            slots_total=settings.slots,
            database_url=settings.database_url.get_secret_value(),
            redis_url=settings.redis_url.get_secret_value(),
            cluster_secret=settings.cluster_secret.get_secret_value().encode(),
            bind=settings.host_bind,
            limits=limits,
        )
        for index in range(settings.hosts + settings.spare_hosts)
    ]


def host_set_up(settings: Settings) -> Callable[[str], None]:
    """What prepares a host's process; its log goes beside those of the other processes."""
    level, directory = settings.log_level, DataDir(settings.data_dir).logs

    def set_up(host_id: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        stream = (directory / f"{host_id}.log").open("a", buffering=1)
        configure_logs(level, "json", stream)
        tame_collector()

    return set_up


def say(message: dict[str, Any]) -> None:
    """One line for the supervisor."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def wait_for_migrations(settings: Settings) -> None:
    """Return once the database has this program's schema. Raises RayTrouble after some time."""
    assert settings.database_url
    deadline = time.monotonic() + DATABASE_TIMEOUT_S
    while True:
        try:
            if not asyncio.run(pending_migrations(settings.database_url.get_secret_value())):
                return
            problem = "migrations are pending (`ece migrate` applies them)"
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, MigrationError) as error:
            problem = str(error)
        if time.monotonic() > deadline:
            raise RayTrouble(f"the database was not ready after {DATABASE_TIMEOUT_S:.0f} s: {problem}")
        time.sleep(0.1)


def main() -> int:
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    settings = with_secrets(settings, DataDir(settings.data_dir))
    runtime = RayRuntime(RayConfig(settings.ray_address, settings.sockets_dir / "ray"))
    try:
        runtime.connect()
        wait_for_migrations(settings)
        configs = host_configs(settings)
        runtime.start_hosts(configs, host_set_up(settings))
        loss = asyncio.run(conduct(settings, runtime, [config.host_id for config in configs]))
    except (RayTrouble, StoreUnavailable) as trouble:
        log.error("conductor_failed", error=str(trouble))
        return 1
    if loss is not None:
        # Ray does not mend this by itself: the supervisor starts another one.
        log.error("ray_lost", reason=loss)
        say({"note": loss})
        os._exit(1)
    runtime.stop()
    return 0


async def conduct(settings: Settings, runtime: RayRuntime, host_ids: list[str]) -> str | None:
    """Direct the hosts until told to stop (None), or until this Ray is lost (why). Raises RayTrouble."""
    assert settings.database_url is not None
    assert settings.cluster_secret is not None
    stopping = asyncio.Event()
    # Only now: Ray sets handlers of its own while it starts.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    pool = await open_pool(settings.database_url.get_secret_value(), size_max=2)
    director = Director(
        Directory(pool),
        runtime,
        settings.cluster_secret.get_secret_value().encode(),
        slots_total=settings.slots,
        host_ids=host_ids,
        active_wanted=settings.hosts,
        say=tell,
    )
    directing = asyncio.create_task(director.run(), name="director")
    try:
        await until_placed(director, runtime, stopping)
        say({"ready": True})
        while not await happens(stopping, WATCH_EVERY_S):
            loss = runtime.lost()
            if loss is None and director.missing_for_s() > HOST_BACK_WITHIN_S:
                loss = f"a host did not come back within {HOST_BACK_WITHIN_S:.0f} s"
            if loss is None and directing.done():
                loss = f"the director ended: {directing.exception()!r}"
            if loss is not None:
                return loss
        return None
    finally:
        directing.cancel()
        await asyncio.gather(directing, return_exceptions=True)
        await close_pool(pool)


async def until_placed(director: Director, runtime: RayRuntime, stopping: asyncio.Event) -> None:
    """Return once every slot has a host, or the conductor is to stop. Raises RayTrouble when time runs out."""
    deadline = time.monotonic() + SERVING_TIMEOUT_S
    while not (director.placed.is_set() or stopping.is_set()):
        await happens(director.placed, 0.1)
        if time.monotonic() > deadline:
            reasons = "; ".join(await asyncio.to_thread(runtime.failures)) or "no reason is known"
            raise RayTrouble(f"hosts not serving after {SERVING_TIMEOUT_S:.0f} s: {reasons}")


async def happens(event: asyncio.Event, within_s: float) -> bool:
    """Whether the event is set, or becomes so in time."""
    try:
        await asyncio.wait_for(event.wait(), within_s)
    except TimeoutError:
        return False
    return True


def tell(note: str) -> None:
    """Something happened that an operator would want to know."""
    log.warning("hosts", note=note)
    say({"note": note})


if __name__ == "__main__":
    sys.exit(main())
