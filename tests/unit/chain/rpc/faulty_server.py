"""An RPC server of the tests' own on a real socket, which answers what a test wants, or fails as it wants."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

GENESIS = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
HASH = "EkSnNWid2cvwEVnVx9aBqawnmiCNiDgp3gUdkDPTKN1N"
WITHIN_S = 10.0

Reply = Callable[[dict[str, Any]], Any]


class Fails(Exception):
    """Answer with this HTTP response, or none."""

    def __init__(self, response: web.Response | None) -> None:
        self.response = response


def error(code: int, message: str = "no", data: Any = None) -> Reply:
    """Answers with an error of JSON-RPC."""
    fault = {"code": code, "message": message} | ({} if data is None else {"data": data})

    def reply(request: dict[str, Any]) -> Any:
        raise Fails(web.json_response({"jsonrpc": "2.0", "id": request["id"], "error": fault}))

    return reply


def raw(content: bytes, status: int = 200, **headers: str) -> Reply:
    """Answers with these bytes."""

    def reply(_request: dict[str, Any]) -> Any:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        raise Fails(web.Response(body=content, status=status, headers=names))

    return reply


def hang_up(_request: dict[str, Any]) -> Any:
    """Ends the connection without an answer."""
    raise Fails(None)


class FaultyServer:
    """``replies``: by method, a value or a function of the request. ``calls`` counts what was asked."""

    def __init__(self, slot: int = 1_000, genesis: str = GENESIS) -> None:
        self.slot = slot
        self.replies: dict[str, Any] = {
            "getGenesisHash": genesis,
            "getSlot": lambda _: self.slot,
            "getEpochInfo": lambda _: {"absoluteSlot": self.slot, "blockHeight": self.slot - 100},
            "getBalance": lambda _: self.of(7),
            "sendTransaction": "1" * 64,
        }
        self.calls: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []
        self.late_s = 0.0
        self.port = 0
        self.sockets: set[web.WebSocketResponse] = set()
        self.silent = False
        self.subscribed = asyncio.Event()
        self._numbers = iter(range(10_000))

    def of(self, value: Any, slot: int | None = None) -> dict[str, Any]:
        return {"context": {"slot": self.slot if slot is None else slot}, "value": value}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        content = msgspec.json.decode(await request.read())
        method = content["method"]
        self.calls[method] += 1
        self.requests.append(content)
        if self.late_s:
            await asyncio.sleep(self.late_s)
        reply = self.replies.get(method)
        try:
            result = reply(content) if callable(reply) else reply
        except Fails as fails:
            if fails.response is not None:
                return fails.response
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.json_response({"jsonrpc": "2.0", "id": content["id"], "result": result})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.add(socket)
        async for message in socket:
            if message.type is not WSMsgType.TEXT or self.silent:
                continue
            content = msgspec.json.decode(message.data)
            self.calls[content["method"]] += 1
            self.requests.append(content)
            number = next(self._numbers) if content["method"].endswith("Subscribe") else True
            await socket.send_json({"jsonrpc": "2.0", "id": content["id"], "result": number})
            self.subscribed.set()
        self.sockets.discard(socket)
        return socket

    async def notify(self, method: str, number: int, value: Any) -> None:
        for socket in list(self.sockets):
            await socket.send_json(
                {"jsonrpc": "2.0", "method": method, "params": {"subscription": number, "result": value}}
            )

    async def disconnect(self) -> None:
        for socket in list(self.sockets):
            await socket.close()


@asynccontextmanager
async def serving(server: FaultyServer) -> AsyncIterator[FaultyServer]:
    """The server at its port, which it keeps when it is started again."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", server.port)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
