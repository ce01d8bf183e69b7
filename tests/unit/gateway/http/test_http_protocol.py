"""The gateway's HTTP protocol on real sockets: what clients send wrongly, slowly or without end."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from virtual_time import until

from gateway.http.address_limit import AddressLimit
from gateway.http.connections import ConnectionLimits, Connections
from gateway.http.middleware import Frontdoor
from gateway.http.protocol import HEADERS_MAX, PIPELINED_MAX, HttpProtocol

HEAD_MAX = 8_192
BODY_MAX = 4_096
LARGE = b"x" * 20_000_000
SHORT, NEVER = 0.5, 60.0
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass
class Server:
    """The protocol under uvicorn, and an app that notes what reaches it."""

    connections: Connections
    requests: list[tuple[str, bytes, list[tuple[bytes, bytes]]]] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def answer(self, request: Request) -> Response:
        self.requests.append((request.url.path, await request.body(), list(request.headers.raw)))
        if request.url.path == "/held":
            await self.held.wait()
        if request.url.path == "/piece-by-piece":
            return StreamingResponse(LARGE[start : start + 100_000] for start in range(0, len(LARGE), 100_000))
        return PlainTextResponse(LARGE if request.url.path == "/large" else request.url.path)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]


@asynccontextmanager
async def serving(places: int = 10, per_address: int = 100, **limits: Any) -> AsyncIterator[Server]:
    chosen = {"head_bytes_max": HEAD_MAX, "request_timeout_s": NEVER, "response_timeout_s": NEVER} | limits
    server = Server(Connections(ConnectionLimits(**chosen), AddressLimit(per_address, ["10.0.0.1"])))
    app = Starlette(routes=[Route("/{path:path}", server.answer, methods=["GET", "POST"])])
    frontdoor = Frontdoor(
        app,
        requests_max=places,
        body_bytes_max=BODY_MAX,
        by_address=AddressLimit(100),
        registry=CollectorRegistry(),
        streamed={},
    )
    config = uvicorn.Config(
        frontdoor, http=partial(HttpProtocol, server.connections), log_config=None, lifespan="off",
        timeout_graceful_shutdown=1,
    )  # type: ignore[arg-type]  # fmt: skip
    running = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    config.load()
    running.lifespan = config.lifespan_class(config)
    await running.startup(sockets=[listener])
    server.connections.start()
    try:
        yield server
    finally:
        server.held.set()
        await server.connections.stop()
        await running.shutdown(sockets=[listener])
    assert faults == []
    assert (server.connections.open, server.connections.waiting, server.connections.unfinished_bytes) == (0, 0, 0)


class Client:
    """A client that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """One response: status, headers, body."""
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(lines[0].split()[1]), headers, body

    async def problem(self) -> tuple[int, str]:
        """A response that is the last one: its status, and the code of its problem."""
        status, headers, body = await self.answer()
        assert headers["content-type"] == "application/problem+json"
        assert headers["connection"] == "close"
        assert await self.rest() == b""
        return status, json.loads(body)["code"]

    async def rest(self) -> bytes:
        """All until the server closes."""
        received = bytearray()
        async with asyncio.timeout(5):
            with suppress(ConnectionResetError):
                while data := await self.reader.read(65_536):
                    received += data
        return bytes(received)


@asynccontextmanager
async def connected(server: Server, **options: Any) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, **options)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def get(path: str, *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET " + path.encode() + b" HTTP/1.1", b"Host: a", *headers, b"", b""])


def post(body: bytes, length: int | None = None, path: bytes = b"/") -> bytes:
    size = len(body) if length is None else length
    return b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + body


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    parts = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n" + trailers + b"\r\n"


async def test_requests_are_answered_in_their_order_one_after_the_other_and_pipelined():
    async with serving() as server, connected(server) as client:
        for path in ("/a", "/b"):
            client.send(get(path))
            assert (await client.answer())[::2] == (200, path.encode())
        client.send(get("/c") + post(b"body", path=b"/d") + get("/e"))
        assert [(await client.answer())[2] for _ in range(3)] == [b"/c", b"/d", b"/e"]
        assert server.requests[3][:2] == ("/d", b"body")


@pytest.mark.parametrize("size", [HEAD_MAX + 1, 5_000_000])
async def test_headers_that_are_too_large_are_a_431_whole_or_not(size: int):
    async with serving() as server, connected(server) as whole, connected(server) as endless:
        whole.send(get("/", b"X: " + b"x" * size))
        assert await whole.problem() == (431, "headers_too_large")
        endless.send(b"GET / HTTP/1.1\r\nX: " + b"x" * size)
        assert await endless.problem() == (431, "headers_too_large")
        assert (server.paths(), server.connections.dropped["headers"]) == ([], 2)


async def test_headers_below_the_limit_are_taken_and_too_many_are_not():
    async with serving() as server, connected(server) as client, connected(server) as many:
        client.send(get("/large-but-right", b"X: " + b"x" * (HEAD_MAX - 100)))
        assert (await client.answer())[0] == 200
        # `Host` is one of them.
        client.send(get("/many-but-right", *[b"A: b"] * (HEADERS_MAX - 1)))
        assert (await client.answer())[0] == 200
        many.send(get("/", *[b"A: b"] * HEADERS_MAX))
        assert await many.problem() == (431, "headers_too_large")


async def test_chunk_extensions_and_trailers_without_an_end_count_as_headers():
    async with serving() as server, connected(server) as extension, connected(server) as trailer:
        start = chunked(b"a").removesuffix(b"0\r\n\r\n")
        extension.send(start + b"1;" + b"x" * 3 * HEAD_MAX)
        assert await extension.problem() == (431, "headers_too_large")
        trailer.send(start + b"0\r\nX: " + b"x" * 3 * HEAD_MAX)
        assert await trailer.problem() == (431, "headers_too_large")
        assert server.paths() == []


async def test_trailers_do_not_become_headers():
    async with serving() as server, connected(server) as client:
        client.send(chunked(b"bo", b"dy", trailers=b"Authorization: Bearer stolen\r\n"))
        assert (await client.answer())[0] == 200
        [(_, body, headers)] = server.requests
        assert body == b"body"
        assert [name for name, _ in headers] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01", b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"]
)
async def test_what_is_no_http_is_a_400(garbage: bytes):
    async with serving() as server, connected(server) as client:
        client.send(garbage)
        assert await client.problem() == (400, "invalid_request")
        assert server.connections.dropped["malformed"] == 1


async def test_a_body_that_does_not_come_is_a_408_and_takes_no_place():
    async with serving(places=1, request_timeout_s=SHORT) as server:
        async with connected(server) as slow, connected(server) as slow_too, connected(server) as other:
            slow.send(post(b"1", length=100))
            slow_too.send(post(b"1", length=100))
            other.send(GET)
            assert (await other.answer())[0] == 200
            assert await slow.problem() == (408, "request_timeout")
            assert await slow_too.problem() == (408, "request_timeout")
        assert (server.paths(), server.connections.dropped["late"]) == (["/"], 2)


@pytest.mark.parametrize("drip", [b"x", b"\r\n"])
async def test_a_byte_now_and_then_does_not_put_the_deadline_off(drip: bytes):
    async with serving(request_timeout_s=SHORT) as server, connected(server) as client:
        began_s = asyncio.get_running_loop().time()
        client.send(b"\r\n" if drip == b"\r\n" else b"GET / HTTP/1.1\r\nX: ")
        while not client.reader.at_eof() and not client.reader._buffer:  # type: ignore[attr-defined]
            client.send(drip)
            await asyncio.sleep(0.05)
            assert asyncio.get_running_loop().time() - began_s < 5
        assert server.connections.dropped.total() == 1


async def test_a_connection_that_says_nothing_is_closed():
    async with serving(request_timeout_s=SHORT) as server, connected(server) as client:
        assert await client.rest() == b""
        assert server.connections.dropped["silent"] == 1


async def test_a_request_that_takes_long_to_answer_is_not_late():
    async with serving(request_timeout_s=SHORT) as server, connected(server) as client, connected(server) as silent:
        # The second request is not whole while the first is being served.
        client.send(get("/held") + b"GET /next HTTP/1.1\r\n")
        # Three deadlines pass.
        for _ in range(3):
            async with connected(server) as silent:
                assert await silent.rest() == b""
        server.held.set()
        assert (await client.answer())[2] == b"/held"
        client.send(b"Host: a\r\n\r\n")
        assert (await client.answer())[2] == b"/next"


async def test_a_body_that_is_too_large_is_a_413_and_the_rest_is_thrown_away():
    async with serving() as server, connected(server) as announced, connected(server) as surprise:
        announced.send(post(b"x", length=BODY_MAX + 1))
        assert (await announced.answer())[0] == 413
        surprise.send(chunked(*[b"x" * 1_000] * 10))
        assert (await surprise.answer())[0] == 413
        # The connection goes on after it.
        surprise.send(GET)
        assert (await surprise.answer())[0] == 200
        announced.send(b"x" * BODY_MAX + GET)
        assert (await announced.answer())[0] == 200
        assert server.paths() == ["/", "/"]


@pytest.mark.parametrize("path", ["/large", "/piece-by-piece"])
async def test_responses_that_are_not_read_take_no_slot_and_hold_the_next_request_back(path: str):
    async with serving(places=1, response_timeout_s=SHORT) as server:
        async with connected(server, limit=1_024) as unread, connected(server) as other:
            unread.send(get(path) + get("/held"))
            await until(lambda: server.paths() == [path])
            other.send(GET)
            assert (await other.answer())[0] == 200
            await until(lambda: server.connections.dropped["unread"] == 1)
        assert server.paths() == [path, "/"]


async def test_a_response_that_is_read_slowly_but_surely_arrives_and_the_next_one_follows():
    async with serving() as server, connected(server, limit=1_024) as client:
        client.send(get("/large") + get("/next"))
        await until(lambda: server.paths() == ["/large"])
        head = (await client.reader.readuntil(b"\r\n\r\n")).decode()
        assert f"content-length: {len(LARGE)}" in head
        assert await client.reader.readexactly(len(LARGE)) == LARGE
        assert (await client.answer())[2] == b"/next"


async def test_too_many_pipelined_requests_end_the_connection():
    async with serving() as server, connected(server) as client, connected(server) as other:
        client.send(get("/held") * (PIPELINED_MAX + 2))
        assert await client.rest() == b""
        other.send(GET)
        assert (await other.answer())[0] == 200
        assert server.connections.dropped["malformed"] == 1


async def test_an_address_has_its_share_of_the_connections_and_a_proxy_has_no_limit():
    async with serving(per_address=2) as server, connected(server) as one, connected(server):
        async with connected(server) as third:
            assert await third.problem() == (429, "rate_limited")
        async with connected(server, local_addr=("127.0.0.2", 0)) as another:
            another.send(GET)
            assert (await another.answer())[0] == 200
        one.writer.close()
        await until(lambda: server.connections.open == 1)
        async with connected(server) as third:
            third.send(GET)
            assert (await third.answer())[0] == 200
    proxies = AddressLimit(1, ["127.0.0.0/8"])
    assert [proxies.acquire("127.0.0.3") for _ in range(3)] == [True] * 3


async def test_a_newcomer_displaces_who_has_waited_longest_and_never_who_is_served():
    async with serving(connections_max=2) as server, connected(server) as served, connected(server) as silent:
        served.send(get("/held"))
        await until(lambda: (server.connections.open, server.connections.waiting) == (2, 1))
        async with connected(server) as newcomer:
            assert await silent.rest() == b""
            newcomer.send(get("/held"))
            await until(lambda: server.connections.waiting == 0 and len(server.paths()) == 2)
            async with connected(server) as late:
                assert await late.problem() == (503, "overloaded")
            server.held.set()
            assert [(await client.answer())[0] for client in (served, newcomer)] == [200, 200]
        assert server.connections.dropped == {"displaced": 1, "full": 1}


async def test_unfinished_requests_hold_so_many_bytes_and_the_oldest_go_first():
    async with serving(unfinished_bytes_max=2 * HEAD_MAX) as server, connected(server) as oldest:
        oldest.send(b"GET / HTTP/1.1\r\nX: " + b"x" * (HEAD_MAX - 100))
        await until(lambda: server.connections.unfinished_bytes > HEAD_MAX - 200)
        async with connected(server) as second, connected(server) as third:
            for client in (second, third):
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\nX: " + b"x" * 7_000 + b"\r\n\r\n")
            assert await oldest.problem() == (503, "overloaded")
            for client in (second, third):
                client.send(b"x" * 1_500)
            assert await second.problem() == (503, "overloaded")
            third.send(b"x" * 1_500)
            assert (await third.answer())[0] == 200
        assert server.connections.dropped == {"memory": 2}
