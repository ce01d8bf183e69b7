"""Puts proxies between the parts of a running engine, without the engine's help.

PostgreSQL and Valkey listen on UNIX sockets. PostgreSQL is told another port, at which it listens after its next start,
and the proxy takes its place. Valkey takes its place back whenever it starts; then its socket is renamed and the proxy
takes the name again. Hosts register the address at which gateways find them: a trigger in the database, which only this
run uses, writes the proxy's address in its place.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.faults.injection.kinds import CLIENTS, DATABASE, HOSTS, REDIS
from bench.faults.injection.proxy import Proxy
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guarded
from persistence.postgres.pool import Pool, close_pool, open_pool

POSTGRES_PORT, MOVED_PORT = 5432, 5433
# Where hosts listen, and where gateways are told that they do.
HOSTS_LISTEN_ON, HOSTS_SHOWN_AT = "127.0.0.1", "127.0.0.3"
LOOK_EVERY_S = 0.02
KICK = b"CLIENT KILL TYPE normal SKIPME yes\r\nCLIENT KILL TYPE pubsub\r\nQUIT\r\n"
REDIS_DEADLINE_S = 2.0

_SHOW_PROXY = f"""
    CREATE FUNCTION show_proxy() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.address := '{HOSTS_SHOWN_AT}'; RETURN NEW; END $$;
    CREATE TRIGGER show_proxy BEFORE INSERT OR UPDATE OF address ON hosts FOR EACH ROW
    WHEN (NEW.address = '{HOSTS_LISTEN_ON}') EXECUTE FUNCTION show_proxy();
"""
_HOST_PORTS = "SELECT port FROM hosts WHERE address = $1"


class Links:
    """The proxies, by the part that they are before. Use with `async with`."""

    def __init__(self, base_url: str, database_url: str, redis_url: str) -> None:
        """Those of an engine with an embedded PostgreSQL and an embedded Valkey."""
        gateway = urlsplit(base_url).port
        assert gateway is not None, base_url
        self._engine_url = database_url
        self._postgres = Path(parse_qs(urlsplit(database_url).query)["host"][0])
        self._valkey = Path(urlsplit(redis_url).path)
        self.proxies: Mapping[str, Proxy] = {
            CLIENTS: Proxy(gateway), DATABASE: Proxy(None), REDIS: Proxy(None), HOSTS: Proxy(None),
        }  # fmt: skip
        self._valkey_inode = 0
        self._host_ports: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def base_url(self) -> str:
        """Where clients reach the gateway through the proxy."""
        return f"http://127.0.0.1:{self.proxies[CLIENTS].port}"

    @property
    def direct_database_url(self) -> str:
        """PostgreSQL without the proxy, once it was restarted."""
        return f"{self._engine_url}&port={MOVED_PORT}"

    async def __aenter__(self) -> "Links":
        for proxy in self.proxies.values():
            proxy.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for proxy in self.proxies.values():
            await asyncio.to_thread(proxy.stop)

    async def prepare(self) -> None:
        """Before PostgreSQL and all hosts are restarted, which has to follow. Raises StoreUnavailable."""
        pool = await open_pool(self._engine_url, size_max=1)
        try:
            await guarded(pool.execute(_SHOW_PROXY))
            await guarded(pool.execute(f"ALTER SYSTEM SET port = {MOVED_PORT}"))
        finally:
            await close_pool(pool)

    def take_places(self) -> None:
        """Once PostgreSQL was ended: from now on the proxies are where the engine looks for its servers."""
        there = str(self._postgres / f".s.PGSQL.{POSTGRES_PORT}")
        self.proxies[DATABASE].listen(there, str(self._postgres / f".s.PGSQL.{MOVED_PORT}"))
        self._tasks = [asyncio.create_task(self._follow_valkey()), asyncio.create_task(self._follow_hosts())]

    async def _follow_valkey(self) -> None:
        moved = self._valkey.with_suffix(".behind")
        while True:
            with suppress(OSError):
                if self._valkey.stat().st_ino != self._valkey_inode:
                    self._valkey.rename(moved)
                    await asyncio.to_thread(self.proxies[REDIS].listen, str(self._valkey), str(moved))
                    self._valkey_inode = self._valkey.stat().st_ino
                    await _kick_all(moved)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _follow_hosts(self) -> None:
        pool: Pool | None = None
        try:
            while True:
                with suppress(StoreError, OSError):
                    pool = pool or await open_pool(self.direct_database_url, size_max=1)
                    for row in await guarded(pool.fetch(_HOST_PORTS, HOSTS_SHOWN_AT)):
                        await self._show_host(row["port"])
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            if pool is not None:
                await close_pool(pool)

    async def _show_host(self, port: int) -> None:
        if port not in self._host_ports:
            self._host_ports.add(port)
            listen = self.proxies[HOSTS].listen
            await asyncio.to_thread(listen, (HOSTS_SHOWN_AT, port), (HOSTS_LISTEN_ON, port))


async def _kick_all(valkey: Path) -> None:
    """Close the connections that were made past the proxy."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(REDIS_DEADLINE_S):
            reader, writer = await asyncio.open_unix_connection(str(valkey))
            writer.write(KICK)
            await reader.read()
            writer.close()
