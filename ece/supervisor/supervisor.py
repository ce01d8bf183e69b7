"""The supervisor: starts all processes of the engine on this machine in order, restarts those that die, stops all."""

import asyncio
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import psutil
from pydantic import SecretStr

from ece.child_processes.child import Child, Command, adopt_orphans, reap_orphans
from ece.child_processes.leftovers import is_postgres, kill_all, of_engine
from ece.child_processes.log_files import rotate
from ece.data_dir import DataDir, RunState
from ece.embedded.postgres import EmbeddedPostgres
from ece.embedded.valkey import EmbeddedValkey
from ece.failure import Failure
from ece.logs import mask_text
from ece.settings import NO_CHAIN, Settings
from ece.supervisor.chain import shown_urls, with_embedded_chain
from ece.supervisor.disk_space import DiskSpace, WriteSwitch
from ece.supervisor.services import (
    CHAIN,
    RAY_DRIVER,
    ChainService,
    GatewayService,
    RayDriverService,
    WorkerService,
    answers_200,
    gateway_names,
    postgres_service,
    server_environment,
    service_logs,
    valkey_service,
    worker_names,
)
from ece.supervisor.supervised_service import ServiceSpec, SupervisedService
from ece.supervisor.terminal import Terminal
from persistence.placement.directory import agree_on_slots
from persistence.postgres.migrations import migrate

MAINTENANCE_EVERY_S = 5.0
READY_WITHIN_S = 110.0
READY_POLL_S = 0.05
EXTERNAL_DATABASE_WITHIN_S = 10.0
REGISTER = '{"email": "ann@example.org", "username": "ann", "password": "correct horse battery"}'


class Supervisor:
    """One run of the engine on one data directory, which the caller holds locked."""

    def __init__(
        self, settings: Settings, data_dir: DataDir, runtime_dir: Path, terminal: Terminal, *, brief: bool = False
    ) -> None:
        """`brief`: it does not say how to go on, because another command has started it."""
        self._data_dir = data_dir
        self._terminal = terminal
        self._brief = brief
        self._instance = uuid.uuid4().hex
        self._logs = service_logs(data_dir, settings)
        self._runtime_dir = runtime_dir
        self._postgres: EmbeddedPostgres | None = None
        self._valkey: EmbeddedValkey | None = None
        if settings.has_faucet and settings.external_chain:
            raise Failure("ECE_FAUCET=on gives away money that ECE_SOLANA_RPC_URL would pay out: turn one of them off.")
        settings = settings.changed(faucet="on" if settings.has_faucet else "off")
        if settings.database_url is None:
            self._postgres = EmbeddedPostgres(data_dir, runtime_dir, terminal.note)
            settings = settings.changed(database_url=SecretStr(self._postgres.url))
        if settings.redis_url is None:
            self._valkey = EmbeddedValkey(runtime_dir, data_dir.logs)
            settings = settings.changed(redis_url=SecretStr(self._valkey.url))
        self._chain = settings.solana_rpc_url is None
        if self._chain:
            settings = with_embedded_chain(settings, data_dir)
        self._settings = settings.changed(runtime_dir=runtime_dir, data_dir=data_dir.path)
        self._space = DiskSpace([data_dir.path, runtime_dir], settings.disk_reserve_bytes)
        self._services: list[SupervisedService] = []
        self._cleanup: Child | None = None
        self._state = self._first_state()
        self._signals = 0
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """From start to stop. Raises Failure when the engine can't start or go on."""
        adopt_orphans()
        self._listen_for_signals()
        # Only now: who reads this may press Ctrl-C at once.
        self._terminal.heading(f"Starting ECE on {self._data_dir.path}")
        work = asyncio.create_task(self._work())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                self._terminal.heading("Stopping")
        finally:
            stop.cancel()
            work.cancel()
            await asyncio.wait({work})
            await self._stop_all()
        if not work.cancelled() and (error := work.exception()) is not None:
            raise _first_failure(error)

    async def _work(self) -> None:
        self._sweep_leftovers()
        self._write_state("starting")
        await self._start_cleanup()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_maintenance())
            await self._start(tasks)

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        began = time.monotonic()
        # Ray takes longest, so it goes first; it waits for the database by itself.
        driver = RayDriverService(self._settings, self._instance, self._logs[RAY_DRIVER], self._terminal.warning)
        hosts = tasks.create_task(
            self._shown(self._supervise(driver.spec, tasks), f"Ray and {self._settings.hosts} host(s)")
        )
        valkey = tasks.create_task(self._start_valkey(tasks))
        chain = tasks.create_task(self._start_chain(tasks))
        await self._start_postgres(tasks)
        await self._migrate()
        await valkey
        await chain
        await self._start_gateways(tasks)
        self._start_workers(tasks)
        await hosts
        await self._until_ready()
        self._write_state("ready")
        self._announce(time.monotonic() - began)
        for service in self._services:
            tasks.create_task(service.keep_spare())

    async def _start_postgres(self, tasks: asyncio.TaskGroup) -> None:
        if self._postgres is None:
            self._terminal.note(f"PostgreSQL: {self._masked_database_url()}")
            return
        with self._terminal.step("PostgreSQL 18"):
            await self._postgres.prepare(server_environment(self._instance))
            spec = postgres_service(self._postgres, self._instance, self._logs["postgres"])
            await self._supervise(spec, tasks).ready.wait()
        space = DiskSpace([self._data_dir.path], self._settings.disk_reserve_bytes)
        switch = WriteSwitch(space, self._data_dir.path, self._postgres.url, self._terminal)
        await switch.check()
        tasks.create_task(switch.run())

    async def _start_valkey(self, tasks: asyncio.TaskGroup) -> None:
        if self._valkey is None:
            self._terminal.note("Redis: external")
            return
        with self._terminal.step("Valkey"):
            spec = valkey_service(self._valkey, self._instance, self._logs["valkey"])
            await self._supervise(spec, tasks).ready.wait()

    async def _start_chain(self, tasks: asyncio.TaskGroup) -> None:
        settings = self._settings
        if not self._chain:
            self._terminal.note(f"Chain: {shown_urls(settings)}")
            return
        with self._terminal.step(f"Chain on 127.0.0.1:{settings.chain_port}"):
            spec = ChainService(settings, self._instance, CHAIN, self._logs[CHAIN]).spec
            await self._supervise(spec, tasks).ready.wait()

    async def _start_gateways(self, tasks: asyncio.TaskGroup) -> None:
        settings = self._settings
        gateways = [
            self._supervise(GatewayService(settings, self._instance, name, self._logs[name]).spec, tasks)
            for name in gateway_names(settings)
        ]
        several = f"{len(gateways)} gateways" if len(gateways) > 1 else "Gateway"
        with self._terminal.step(f"{several} on {settings.host}:{settings.port}"):
            await asyncio.gather(*(gateway.ready.wait() for gateway in gateways))

    def _start_workers(self, tasks: asyncio.TaskGroup) -> None:
        """Start them in the background; bids do not need them, so nothing waits for them."""
        for name in worker_names(self._settings):
            self._supervise(WorkerService(self._settings, self._instance, name, self._logs[name]).spec, tasks)

    async def _shown(self, service: SupervisedService, title: str) -> None:
        with self._terminal.step(title):
            await service.ready.wait()

    async def _migrate(self) -> None:
        with self._terminal.step("Database schema"):
            applied = await migrated(self._settings)
        if applied:
            self._terminal.note(f"Schema changes applied: {', '.join(applied)}")

    async def _until_ready(self) -> None:
        """Wait for /readyz. Raises Failure when the time is up."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not await answers_200(f"{self._settings.base_url}/readyz"):
            if time.monotonic() > deadline:
                raise Failure(
                    f"{self._settings.base_url}/readyz did not answer 200 within {READY_WITHIN_S:g} s. "
                    f"`scripts/ece doctor` shows what is missing; logs are in {self._data_dir.logs}."
                )
            await asyncio.sleep(READY_POLL_S)

    def _supervise(self, spec: ServiceSpec, tasks: asyncio.TaskGroup) -> SupervisedService:
        service = SupervisedService(spec, self._terminal, self._children_changed, self._space)
        self._services.append(service)
        tasks.create_task(service.run())
        return service

    # Stopping

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        self._signals += 1
        self._stopping.set()
        if self._signals == 2:
            self._terminal.warning("Asked twice: killing everything")
        if self._signals >= 2:
            for service in self._services:
                service.kill()

    async def _stop_all(self) -> None:
        """Stop in the order of dependence, then make sure that nothing is left."""
        self._write_state("stopping")
        first = {*gateway_names(self._settings), *worker_names(self._settings)}
        for names in (first, {RAY_DRIVER}, {"postgres", "valkey", CHAIN}):
            await asyncio.gather(*(service.stop() for service in self._services if service.spec.name in names))
        # The cleanup process ends last: "done" says that nothing is left to do.
        if self._cleanup is not None:
            self._cleanup.write(b"done")
            with suppress(TimeoutError):
                await self._cleanup.within(2.0)
        kill_all(of_engine(self._instance, {service.last_pid for service in self._services if service.last_pid}))
        reap_orphans(set())
        self._data_dir.remove_state()
        self._terminal.note("Everything has stopped")

    # Maintenance

    def _sweep_leftovers(self) -> None:
        """If an engine and its cleanup process were both killed, processes may be left."""
        before = self._data_dir.read_state()
        if before is None:
            return
        left = [
            process for process in of_engine(before.instance, set(before.children.values())) if not is_postgres(process)
        ]
        if left:
            self._terminal.warning(f"An earlier engine left {len(left)} process(es) behind: ending them")
            kill_all(left)

    async def _start_cleanup(self) -> None:
        of_what = [self._instance, str(self._runtime_dir), str(self._data_dir.run_file)]
        self._cleanup = await Child.start(
            Command(
                [sys.executable, "-m", "ece.supervisor.cleanup", *of_what],
                server_environment(self._instance),
                self._data_dir.logs / "cleanup.log",
                death_signal=None,
                keep_input_open=True,
            )
        )

    async def _run_maintenance(self) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE_EVERY_S)
            reap_orphans({pid for service in self._services for pid in service.pids})
            with suppress(OSError):  # a full disk: tried again the next time
                for log in self._logs.values():
                    rotate(log)
                if self._cleanup is not None and not self._cleanup.alive:
                    await self._start_cleanup()

    def _first_state(self) -> RunState:
        settings = self._settings
        url = settings.base_url
        return RunState(
            pid=psutil.Process().pid,
            instance=self._instance,
            status="starting",
            url=url,
            ws_url=f"{url.replace('http', 'ws', 1)}/ws",
            database_url=settings.database_url.get_secret_value() if settings.database_url else "",
            redis_url=settings.redis_url.get_secret_value() if settings.redis_url else "",
            runtime_dir=str(self._runtime_dir),
            started_at_ms=time.time_ns() // 1_000_000,
            solana_rpc_url=",".join(settings.rpc_urls) or NO_CHAIN,
            usdc_mint=settings.usdc_mint,
        )

    def _write_state(self, status: Literal["starting", "ready", "stopping"]) -> None:
        self._state = replace(self._state, status=status)
        self._children_changed()

    def _children_changed(self) -> None:
        children = {service.spec.name: service.pid for service in self._services if service.pid is not None}
        self._state = replace(self._state, children=children)
        with suppress(OSError):  # a full disk must not end what still runs
            self._data_dir.write_state(self._state)

    def _masked_database_url(self) -> str:
        url = self._settings.database_url
        return mask_text(url.get_secret_value()) if url else ""

    def _announce(self, seconds: float) -> None:
        url = self._settings.base_url
        self._terminal.heading(f"ECE is ready after {seconds:.1f} s. Ctrl-C stops it.")
        if self._brief:
            return
        self._terminal.ready(
            [
                ("Open", f"{url} (the browser client)"),
                ("API docs", f"{url}/docs"),
                ("Sockets", self._state.ws_url),
                ("Chain", shown_urls(self._settings)),
                ("Data", f"{self._data_dir.path} (logs in {self._data_dir.logs})"),
                ("Try", "scripts/ece demo                        cards with pictures, auctions, minted cards"),
                ("", "scripts/ece replay ebay_auctions.csv    real auctions, bid by bid"),
                ("", "scripts/ece bench hot                   how fast it is here"),
                ("", f"curl {url}/api/v1/auth/register -H 'content-type: application/json' -d '{REGISTER}'"),
            ]
        )


async def migrated(settings: Settings) -> Sequence[str]:
    """Bring the schema up to date; the names of what was applied. Raises Failure when it can't."""
    url = settings.database_url
    if url is None:
        raise Failure("ECE_DATABASE_URL is not set, and no engine runs on this data directory.")
    deadline = time.monotonic() + EXTERNAL_DATABASE_WITHIN_S
    while True:
        try:
            applied = await migrate(url.get_secret_value())
            await check_slots(settings)
            return applied
        except Failure:
            raise
        except OSError as error:
            if time.monotonic() > deadline:
                raise Failure(f"PostgreSQL at {mask_text(url.get_secret_value())} can't be reached: {error}") from error
            await asyncio.sleep(0.3)
        except Exception as error:
            raise Failure(f"The database schema can't be brought up to date: {mask_text(str(error))}") from error


async def check_slots(settings: Settings) -> None:
    """Raises Failure when the database was made with another number of slots: its auctions would not be found."""
    assert settings.database_url is not None
    agreed = await agree_on_slots(settings.database_url.get_secret_value(), settings.slots)
    if agreed != settings.slots:
        raise Failure(f"ECE_SLOTS is {settings.slots}, but this database was made with {agreed}: set it to {agreed}.")


def _first_failure(error: BaseException) -> BaseException:
    """The first cause among those that a task group has gathered."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
