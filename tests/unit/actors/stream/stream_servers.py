"""Hosts' ends of command streams on loopback, with a script in place of a host."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from auction_requests import refused
from virtual_time import turns

from actors.stream.connection import HostStream
from actors.stream.messages import Answer, Request

SECRET = b"one cluster's secret"
LOOPBACK = "127.0.0.1"

Submit = Callable[[Request, int, Callable[[int, Answer], None]], None]


def echo(request: Request, request_id: int, reply: Callable[[int, Answer], None]) -> None:
    """Refuses with the auction's number: an answer that can be told apart."""
    reply(request_id, refused("not_found", request.entity))


class Silence:
    """Takes requests and answers when told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, int, Callable[[int, Answer], None]]] = []

    def __call__(self, request: Request, request_id: int, reply: Callable[[int, Answer], None]) -> None:
        self.asked.append((request, request_id, reply))

    def answer_all(self) -> None:
        asked, self.asked = self.asked, []
        for request, request_id, reply in asked:
            echo(request, request_id, reply)


class HostServer:
    """Where a host listens."""

    def __init__(self, server: asyncio.Server, streams: set[HostStream]) -> None:
        self.server = server
        self.streams = streams
        self.port: int = server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Cut all streams; new ones may come."""
        for stream in list(self.streams):
            assert stream.transport is not None
            stream.transport.abort()


@asynccontextmanager
async def host_server(submit: Submit = echo, secret: bytes = SECRET, port: int = 0) -> AsyncIterator[HostServer]:
    streams: set[HostStream] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HostStream("h1", secret, submit, streams), LOOPBACK, port)
    host = HostServer(server, streams)
    try:
        yield host
    finally:
        server.close()
        host.cut()
        await server.wait_closed()
        await turns()


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(4), "big")
    return await reader.readexactly(size)


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


@asynccontextmanager
async def scripted_host(
    script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A port at which a script says what it likes to whoever connects."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()
        await turns()
