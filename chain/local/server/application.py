"""The ASGI application: POST / with JSON-RPC, GET /health, and WebSockets on any path."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any

import msgspec

from chain.local.errors import INVALID_REQUEST, PARSE_ERROR, RpcError
from chain.local.faults import AnswerLost, happens
from chain.local.methods.accounts import AccountMethods
from chain.local.methods.cluster import ClusterMethods
from chain.local.methods.operator import OperatorMethods
from chain.local.methods.registry import Method, answer, error_response, methods_of
from chain.local.methods.tokens import TokenMethods
from chain.local.methods.transactions import TransactionMethods
from chain.local.node import Node
from chain.local.server.outbox import Outbox
from chain.local.server.subscribing import SocketMethods
from chain.local.server.subscriptions import Subscriptions

BODY_BYTES_MAX = 1024 * 1024
BODY_WITHIN_S = 20.0
REQUESTS_MAX = 1_000
SOCKETS_MAX = 1_000
CLOSE_TOO_SLOW, CLOSE_TOO_MANY = 1008, 1013

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Faults can always be switched off.
OPERATOR_PREFIX = b'"ece_'
JSON = (b"content-type", b"application/json")


class BodyTooLarge(Exception):
    """A request has more bytes than are read."""


class Application:
    """Serves an open node. Methods for operators only answer to this machine, and never to a web page."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._public = methods_of(
            [AccountMethods(node), TokenMethods(node), TransactionMethods(node), ClusterMethods(node)]
        )
        self.methods = self._public | methods_of([OperatorMethods(node)])
        self.subscriptions = Subscriptions(node)
        self._sockets = 0
        node.listener = self.subscriptions

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        if scope["type"] == "websocket":
            await self._socket(scope, headers, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, headers, receive, send)

    async def _http(
        self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        if not is_own_name(headers.get(b"host", b"")):
            await _respond(send, 403, b'"this name is not served here"')
        elif scope["method"] == "GET" and scope["path"] == "/health":
            await _respond(
                send, 200, b"behind" if self._node.faults.unhealthy else b"ok", (b"content-type", b"text/plain")
            )
        elif scope["method"] != "POST":
            await _respond(send, 405, b'"JSON-RPC is sent by POST"')
        elif b"json" not in headers.get(b"content-type", b""):
            # A page of another origin can't send this type without being asked first, which nobody answers.
            await _respond(send, 415, b'"the content type is application/json"')
        else:
            await self._rpc(self._methods(scope, headers), receive, send)

    def _methods(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> dict[str, Method]:
        client = scope.get("client") or ("",)
        return self.methods if is_loopback(client[0]) and b"origin" not in headers else self._public

    async def _rpc(self, methods: dict[str, Method], receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await _body(receive)
        except BodyTooLarge:
            await _respond(send, 413, b'"the request is too large"')
            return
        except TimeoutError:
            await _respond(send, 408, b'"the request did not arrive in time"')
            return
        if happens(self._node.faults.limit_rate) and OPERATOR_PREFIX not in body:
            await _respond(send, 429, b'"too many requests"', retry_after=1)
            return
        if self._node.faults.latency_ms:
            await asyncio.sleep(self._node.faults.latency_ms / 1000)
        try:
            content = await respond(methods, body)
        except AnswerLost:
            # A response that ends in the middle: the server closes the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [JSON, (b"content-length", b"1000")]})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            return
        await _respond(send, 200, content)

    async def _socket(
        self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        await receive()  # websocket.connect
        if not is_own_name(headers.get(b"host", b"")):
            await send({"type": "websocket.close", "code": CLOSE_TOO_SLOW})
            return
        await send({"type": "websocket.accept"})
        if self._sockets >= SOCKETS_MAX:
            await send({"type": "websocket.close", "code": CLOSE_TOO_MANY})
            return
        outbox = Outbox()
        own = SocketMethods(self.subscriptions, outbox)
        methods = self._methods(scope, headers) | methods_of([own])
        self._sockets += 1
        try:
            await _serve_socket(methods, own, outbox, receive, send)
        finally:
            self._sockets -= 1
            own.close()


async def respond(methods: dict[str, Method], body: bytes) -> bytes:
    """The response to a request or to a batch of them. Raises AnswerLost."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.json.encode(error_response(None, RpcError(PARSE_ERROR, "Parse error")))
    if not isinstance(request, list):
        return msgspec.json.encode(await answer(methods, request))
    if not 0 < len(request) <= REQUESTS_MAX:
        error = RpcError(INVALID_REQUEST, f"Invalid request: a batch has 1 to {REQUESTS_MAX} requests")
        return msgspec.json.encode(error_response(None, error))
    answers = []
    for one in request:
        answers.append(await answer(methods, one))
        await asyncio.sleep(0)  # others get a turn
    return msgspec.json.encode(answers)


async def _serve_socket(
    methods: dict[str, Method], own: SocketMethods, outbox: Outbox, receive: Receive, send: Send
) -> None:
    writing = asyncio.create_task(_write(outbox, send))
    reading = asyncio.create_task(_read(methods, own, outbox, receive))
    overflow = asyncio.create_task(outbox.overflowed.wait())
    tasks = {writing, reading, overflow}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if overflow.done():
            await send({"type": "websocket.close", "code": CLOSE_TOO_SLOW, "reason": "too slow"})
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _write(outbox: Outbox, send: Send) -> None:
    while True:
        await send({"type": "websocket.send", "text": await outbox.get()})


async def _read(methods: dict[str, Method], own: SocketMethods, outbox: Outbox, receive: Receive) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        content = message.get("text") or message.get("bytes") or ""
        try:
            request = msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError):
            outbox.put(error_response(None, RpcError(PARSE_ERROR, "Parse error")))
            continue
        if isinstance(request, dict) and request.get("method") == "ping":
            continue
        try:
            outbox.put(await answer(methods, request))
        except AnswerLost:
            return
        own.answered()


def is_loopback(address: str) -> bool:
    """Whether a client is on this machine."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def is_own_name(host: bytes) -> bool:
    """Whether a request means this server: a name of somebody else's domain may lead here, too (DNS rebinding)."""
    name = host.decode("latin-1").rpartition(":")[0] or host.decode("latin-1")
    if name in ("localhost", "") or host == b"localhost":
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


async def _body(receive: Receive) -> bytes:
    """Raises BodyTooLarge, after which the rest is not read."""
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > BODY_BYTES_MAX:
            raise BodyTooLarge
        more = message.get("more_body", False)
    return b"".join(pieces)


async def _respond(
    send: Send, status: int, body: bytes, content_type: tuple[bytes, bytes] = JSON, retry_after: int | None = None
) -> None:
    headers = [content_type, (b"content-length", str(len(body)).encode())]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
