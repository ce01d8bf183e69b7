"""Two gateway processes over one PostgreSQL and one Redis: a session that ends on one is over on the other."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ece.setting_fields import PREFIX
from ece.supervisor.port import free_port
from tests.faults.scene import until
from tests.valkey_server import Valkey

# The promise is one second (tests/contracts/identity/test_ended_sessions.py); here whole processes share the machine.
WITHIN_S = 3.0
PASSWORD = "correct horse battery"
HOST = "127.0.0.1"


@contextmanager
def gateway_process(home: Path, database_url: str, redis_url: str) -> Iterator[str]:
    """A gateway without hosts: what concerns identity needs none. Gives ``host:port``."""
    port = free_port(HOST)
    settings = {
        "ECE_DATABASE_URL": database_url, "ECE_REDIS_URL": redis_url, "ECE_PORT": str(port), "ECE_HOST": HOST,
        "ECE_DATA_DIR": str(home), "ECE_BCRYPT_COST": "4", "ECE_SOLANA_RPC_URL": "none",
        # As on any two machines of one engine; the tests of this file share a database.
        "ECE_WALLET_KEY": "a-master-secret-of-forty-characters-x7q2",
    }  # fmt: skip
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with (home / f"gateway-{port}.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ece.processes.gateway"], env=inherited | settings, stdout=output, stderr=output
        )
        try:
            yield f"{HOST}:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="ece-v-", ignore_cleanup_errors=True) as directory:
        server = Valkey(Path(directory))
        await server.start()
        yield server
        server.kill()


@pytest.fixture
async def gateways(database_url: str, valkey: Valkey, tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    (tmp_path / "secrets").mkdir()
    with (
        gateway_process(tmp_path, database_url, valkey.url) as one,
        gateway_process(tmp_path, database_url, valkey.url) as other,
    ):
        for address in (one, other):
            await until(lambda: answers(address), f"{address} serves", 150)  # noqa: B023
        yield one, other


async def answers(address: str) -> bool:
    with suppress(httpx.HTTPError):
        async with httpx.AsyncClient() as http:
            return (await http.get(f"http://{address}/healthz")).status_code == 200
    return False


class User:
    """Someone who has registered on the first gateway."""

    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        self.http = http
        self.name = name

    async def log_in(self, address: str, **headers: str) -> httpx.Response:
        body = {"login": self.name, "password": PASSWORD}
        return await self.http.post(f"http://{address}/api/v1/auth/login", json=body, headers=headers)

    async def me(self, address: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return (await self.http.get(f"http://{address}/api/v1/users/me", headers=headers)).status_code


@asynccontextmanager
async def user(address: str, name: str) -> AsyncIterator[User]:
    async with httpx.AsyncClient() as http:
        body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
        answer = await http.post(f"http://{address}/api/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        yield User(http, name)


async def hello(socket: ClientConnection, **fields: Any) -> dict[str, Any]:
    await socket.send(msgspec.json.encode({"op": "hello", "id": 1, **fields}).decode())
    reply: dict[str, Any] = msgspec.json.decode(await socket.recv())
    return reply


def socket_to(address: str, **headers: str) -> connect:
    return connect(f"ws://{address}/ws", subprotocols=["ece.v1.json"], additional_headers=headers)  # type: ignore[list-item]


async def closed_with(socket: ClientConnection) -> int | None:
    try:
        async with asyncio.timeout(10):
            while True:
                await socket.recv()
    except ConnectionClosed as closed:
        return None if closed.rcvd is None else closed.rcvd.code


@pytest.mark.timeout(240)
async def test_a_session_that_ends_on_one_gateway_is_over_on_the_other_within_a_second(
    gateways: tuple[str, str], valkey: Valkey
):
    one, other = gateways
    async with user(one, "ann") as ann:
        for without_redis in (False, True):
            if without_redis:
                valkey.kill()
            here, there = [(await ann.log_in(address)).json() for address in gateways]
            # Each gateway takes the tokens that the other one signed.
            assert await ann.me(other, here["access_token"]) == 200
            assert await ann.me(one, there["access_token"]) == 200
            async with socket_to(other) as socket, socket_to(other) as kept:
                assert (await hello(socket, token=there["access_token"]))["user"]["username"] == "ann"
                assert (await hello(kept, token=here["access_token"]))["ok"]
                headers = {"Authorization": f"Bearer {here['access_token']}"}
                ended = await ann.http.delete(f"http://{one}/api/v1/sessions", headers=headers)
                began = time.monotonic()
                assert ended.json() == {"ended": 1}
                assert await closed_with(socket) == 4503
                assert time.monotonic() - began < WITHIN_S
                assert await ann.me(other, there["access_token"]) == 401
                assert (await hello(kept, token=here["access_token"]))["ok"], "the session that asked goes on"
            async with socket_to(other) as late:
                refused = await hello(late, token=there["access_token"])
                assert refused["error"]["code"] == "unauthenticated"
                assert await closed_with(late) == 4503
            await ann.http.post(f"http://{one}/api/v1/auth/logout", json={"refresh_token": here["refresh_token"]})
            await until(lambda: refuses(ann, other, here["access_token"]), "logged out there, too", WITHIN_S)  # noqa: B023


async def refuses(someone: User, address: str, token: str) -> bool:
    return await someone.me(address, token) == 401


@pytest.mark.timeout(240)
async def test_a_page_opens_its_socket_with_its_cookies_and_no_other_sites_page_does(gateways: tuple[str, str]):
    one, other = gateways
    async with user(one, "bob") as bob:
        answer = await bob.log_in(one, **{"X-Session": "cookie", "Origin": f"http://{one}"})
        cookie = f"ece_access={answer.cookies['ece_access']}"
        async with socket_to(other, Cookie=cookie, Origin=f"http://{other}") as socket:
            assert (await hello(socket, cookie=True))["user"]["username"] == "bob"
        async with socket_to(other, Cookie=cookie, Origin=f"http://{other}") as socket:
            assert "user" not in await hello(socket)
        for foreign in ("https://evil.example", f"http://{one}", "null"):
            async with socket_to(other, Cookie=cookie, Origin=foreign) as socket:
                assert (await hello(socket, cookie=True))["error"]["code"] == "unauthenticated"
                assert await closed_with(socket) == 4501
        async with socket_to(other, Cookie=cookie) as socket:
            assert (await hello(socket, cookie=True))["error"]["code"] == "unauthenticated"
