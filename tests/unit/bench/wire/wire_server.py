"""A small real WebSocket server for tests of the wire client: each connection is served by a script."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

MSGPACK = "ece.v1.msgpack"
JSON = "ece.v1.json"


@dataclass
class Session:
    """One connection, with frames as maps."""

    socket: ServerConnection
    number: int
    frames: list[dict[str, Any]] = field(default_factory=list)

    async def next(self) -> dict[str, Any]:
        message = await self.socket.recv()
        frame = msgspec.msgpack.decode(message) if isinstance(message, bytes) else msgspec.json.decode(message)
        self.frames.append(frame)
        return frame

    async def send(self, frame: dict[str, Any]) -> None:
        as_json = self.socket.subprotocol == JSON
        await self.socket.send(msgspec.json.encode(frame).decode() if as_json else msgspec.msgpack.encode(frame))

    async def answer(self, frame: dict[str, Any], **fields: Any) -> None:
        await self.send({"id": frame["id"], "ok": True, **fields})

    async def refuse(self, frame: dict[str, Any], code: str, **fields: Any) -> None:
        await self.send({"id": frame["id"], "ok": False, "error": {"code": code, "message": code, **fields}})

    async def greet(self, heartbeat_ms: int = 60_000) -> dict[str, Any]:
        """Take the hello and welcome it."""
        hello = await self.next()
        await self.answer(hello, session="s", server_time=1, heartbeat_ms=heartbeat_ms)
        return hello


Script = Callable[[Session], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[str, list[Session]]]:
    """The server's base URL and its sessions so far; a script that returns closes its connection."""
    sessions: list[Session] = []

    async def handle(socket: ServerConnection) -> None:
        session = Session(socket, len(sessions))
        sessions.append(session)
        with suppress(ConnectionClosed):
            await script(session)

    async with serve(handle, "127.0.0.1", 0, subprotocols=[MSGPACK, JSON], compression=None) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", sessions
