"""Real sockets for tests: uvicorn on loopback with the gateway's own protocol, and clients that speak to it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import uvicorn
import websockets.asyncio.client as ws_client
from auction_examples import ANN, AUCTION
from auction_requests import state_answer
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.exceptions import ConnectionClosed

from actors.clock import Clock
from domain.ids import id_text
from domain.permissions import DEFAULT_ROLES
from gateway.fanout.channels import FanOutCounts
from gateway.fanout.entity_channels import EntityChannels
from gateway.fanout.hub import Hub
from gateway.http.address_limit import AddressLimit
from gateway.http.connections import Connections
from gateway.http.protocol import HttpProtocol
from gateway.websocket.admission import Admission
from gateway.websocket.connection import SessionLimits
from gateway.websocket.endpoint import endpoint
from gateway.websocket.operations.table import OPERATIONS
from gateway.websocket.protocol import SocketProtocol
from gateway.websocket.sockets import Sockets
from gateway.websocket.traffic import Traffic
from gateway.wire.codec import MSGPACK_SUBPROTOCOL
from tests.unit.gateway.websocket.sessions import TOKENS, History, Listener, Routes, state

CHANNEL = f"auction:{id_text(AUCTION)}"
FRAME_MAX = 4_096


class Server:
    """A gateway's sockets under uvicorn."""

    def __init__(self, sockets_max: int, in_flight_max: int, commands_per_s: int) -> None:
        self.routes = Routes()
        self.listener = Listener()
        self.clock = Clock()
        counts = FanOutCounts()
        self.auctions = EntityChannels("auction", self.routes, History(), counts)
        self.hub = Hub(self.routes, self.listener, [self.auctions], counts, self.clock.now_ms)  # type: ignore[arg-type]
        limits = SessionLimits(
            commands_per_s=commands_per_s, frame_bytes_max=FRAME_MAX, unsent_bytes_max=100_000, stalled_after_s=0.5
        )
        self.sockets = Sockets(
            OPERATIONS, self.routes, self.hub, TOKENS, limits, Admission(in_flight_max), Traffic(), sockets_max,
            AddressLimit(1), self.clock.now_ms,
        )  # fmt: skip
        self.routes.states[AUCTION] = state_answer(1, 2, state())
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def token(self) -> str:
        return TOKENS.issue(ANN, "ann", DEFAULT_ROLES, self.clock.now_ms() // 1000)


@asynccontextmanager
async def serving(sockets_max: int = 100, in_flight_max: int = 100, commands_per_s: int = 200) -> AsyncIterator[Server]:
    served = Server(sockets_max, in_flight_max, commands_per_s)
    app = Starlette(routes=[WebSocketRoute("/ws", endpoint)])
    app.state.sockets = served.sockets
    config = uvicorn.Config(
        app, http=partial(HttpProtocol, Connections()), ws=SocketProtocol,  # type: ignore[arg-type]
        ws_per_message_deflate=False, ws_max_size=4 * FRAME_MAX, log_config=None, lifespan="off",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    served.port = listening.getsockname()[1]
    served.hub.start()
    # A protocol that raises is cut off by asyncio, which looks like a close from outside: it must not happen.
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    # What `serve` does, without its loop, which looks at the time ten times a second.
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    try:
        yield served
    finally:
        await server.shutdown(sockets=[listening])
        await served.hub.stop()
        listening.close()
    assert faults == []


class Client:
    """A client that speaks one subprotocol."""

    def __init__(self, connection: ws_client.ClientConnection) -> None:
        self.ws = connection
        self.binary = connection.subprotocol == MSGPACK_SUBPROTOCOL

    def encoded(self, frame: Any) -> bytes | str:
        return msgspec.msgpack.encode(frame) if self.binary else msgspec.json.encode(frame).decode()

    async def send(self, frame: Any) -> None:
        await self.ws.send(self.encoded(frame))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            data = await self.ws.recv()
        assert isinstance(data, bytes) is self.binary
        frame: dict[str, Any] = msgspec.msgpack.decode(data) if isinstance(data, bytes) else msgspec.json.decode(data)
        return frame

    async def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        await self.send({"op": op, "id": op} | fields)
        return await self.next()

    async def hello(self, server: Server) -> None:
        assert (await self.ask("hello", token=server.token))["ok"] is True

    async def close_code(self) -> int:
        """Read until the server closes; the code that it gave. The close must be quick and orderly."""
        async with asyncio.timeout(2):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.ws.recv()
            await self.ws.wait_closed()
        code = self.ws.close_code
        assert code not in (None, 1006), "cut off without a word"
        return code


@asynccontextmanager
async def connected(server: Server, subprotocol: str = MSGPACK_SUBPROTOCOL, **options: Any) -> AsyncIterator[Client]:
    settings = {"subprotocols": [subprotocol], "compression": None, "max_size": None, "close_timeout": 2} | options
    async with ws_client.connect(server.url, **settings) as connection:
        yield Client(connection)
