"""One WebSocket: requests and their replies, updates, heartbeats. It is not re-established; `session.py` does that."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from ece_client.clock import ServerClock
from ece_client.errors import CLOSE_CODE_ABNORMAL, ConnectionLost, NotAnswered, Refused, UnexpectedAnswer
from ece_client.options import JSON, Options

# The server sends no larger frames: 2,000 missed events at most.
FRAME_BYTES_MAX = 16 * 1024 * 1024
FRAMES_QUEUED_MAX = 64
CLOSING_MAX_S = 2.0
TELL_MAX_S = 1.0
HEARTBEAT_DEFAULT_MS = 20_000
# A handshake that is answered so can not succeed later: wrong URL, or a subprotocol that is not spoken there.
STATUSES_FINAL = frozenset({400, 401, 403, 404, 426})

OnUpdate = Callable[[dict[str, Any]], None]


class Connection:
    """One authenticated connection. Made by `open`; use it from one event loop."""

    def __init__(self, socket: ClientConnection, options: Options, clock: ServerClock, on_update: OnUpdate) -> None:
        self._socket = socket
        self._options = options
        self._clock = clock
        self._on_update = on_update
        self._text = options.subprotocol == JSON
        codec: Any = msgspec.json if self._text else msgspec.msgpack
        self._encode: Callable[[Any], bytes] = codec.encode
        self._decode: Callable[[Any], Any] = codec.decode
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._turn = asyncio.Semaphore(options.requests_max)
        self._last_id = 0
        self._lost: ConnectionLost | None = None
        self._reading = asyncio.create_task(self._read())
        self._beating: asyncio.Task[None] | None = None
        self.user: dict[str, Any] | None = None

    @classmethod
    async def open(cls, url: str, token: str | None, options: Options, clock: ServerClock, on_update: OnUpdate) -> Self:
        """Connect to `<url>/ws` and say hello. Raises ConnectionLost, NotAnswered or Refused."""
        try:
            socket = await connect(
                "ws" + url.rstrip("/").removeprefix("http") + "/ws",
                subprotocols=[Subprotocol(options.subprotocol)],
                compression=None,
                open_timeout=options.handshake_deadline_s,
                close_timeout=CLOSING_MAX_S,
                ping_interval=None,
                max_size=FRAME_BYTES_MAX,
                max_queue=FRAMES_QUEUED_MAX,
                proxy=None,
            )
        except InvalidStatus as refused:
            raise _handshake_refused(refused) from refused
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed, EOFError) as error:
            raise ConnectionLost(CLOSE_CODE_ABNORMAL, str(error) or type(error).__name__) from error
        connection = cls(socket, options, clock, on_update)
        try:
            heartbeat_ms = await connection.hello(token)
        except BaseException as error:
            await connection.close()
            # The server answers a bad token, and then closes: only the code says whether another token may do.
            if isinstance(error, Refused) and connection.lost is not None and connection.lost.final:
                raise connection.lost from error
            raise
        connection._beating = asyncio.create_task(connection._beat(heartbeat_ms / 1000))
        return connection

    @property
    def lost(self) -> ConnectionLost | None:
        """Why and how it ended; None while it lives."""
        return self._lost

    @property
    def in_flight(self) -> int:
        """How many requests wait for an answer."""
        return len(self._waiting)

    async def hello(self, token: str | None) -> int:
        """Authenticate, or do so again with another token. The `heartbeat_ms` of the server."""
        sent_s = time.time()
        reply = await self.request(
            "hello", self._options.handshake_deadline_s, **({} if token is None else {"token": token})
        )
        self._observe(sent_s, reply)
        user = reply.get("user")
        self.user = user if isinstance(user, dict) else None
        heartbeat_ms = reply.get("heartbeat_ms")
        return heartbeat_ms if isinstance(heartbeat_ms, int) and heartbeat_ms > 0 else HEARTBEAT_DEFAULT_MS

    async def request(self, op: str, deadline_s: float, /, **fields: Any) -> dict[str, Any]:
        """Send one frame and wait for its reply. Raises Refused, ConnectionLost or NotAnswered."""
        sent = False
        request_id = 0
        try:
            async with asyncio.timeout(deadline_s), self._turn:
                if self._lost is not None:
                    raise ConnectionLost(self._lost.code, self._lost.reason)
                self._last_id = request_id = self._last_id + 1
                answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
                self._waiting[request_id] = answered
                frame = self._encode({"op": op, "id": request_id, **fields})
                sent = True
                await self._socket.send(frame.decode() if self._text else frame)
                reply = await answered
        except TimeoutError:
            raise NotAnswered(f"no reply to {op} within {deadline_s:.3g} s", sent=sent) from None
        except ConnectionClosed:
            # The reader sees it too, and knows the code.
            await self.wait_closed()
            lost = self._lost or ConnectionLost(CLOSE_CODE_ABNORMAL)
            raise ConnectionLost(lost.code, lost.reason, sent=True) from None
        finally:
            self._waiting.pop(request_id, None)
        if reply.get("ok") is True:
            return reply
        raise _refused(reply)

    async def tell(self, op: str, /, **fields: Any) -> None:
        """Send one frame whose reply does not matter; not at all if the connection is lost or stuck."""
        self._last_id += 1
        frame = self._encode({"op": op, "id": self._last_id, **fields})
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(TELL_MAX_S):
                await self._socket.send(frame.decode() if self._text else frame)

    async def ping(self, deadline_s: float) -> None:
        """One heartbeat, which also measures the server's clock."""
        sent_s = time.time()
        self._observe(sent_s, await self.request("ping", deadline_s))

    async def close(self) -> None:
        """Close it in order; at most a few seconds."""
        if self._beating is not None:
            self._beating.cancel()
        with suppress(ConnectionClosed, OSError, TimeoutError):
            await self._socket.close()
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Until the connection has ended; then `lost` says how."""
        await asyncio.wait([self._reading])

    def _observe(self, sent_s: float, reply: dict[str, Any]) -> None:
        server_ms = reply.get("server_time")
        if isinstance(server_ms, int):
            self._clock.observe(sent_s, time.time(), server_ms)

    async def _read(self) -> None:
        lost = ConnectionLost(CLOSE_CODE_ABNORMAL)
        try:
            while True:
                self._take(await self._socket.recv())
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                lost = ConnectionLost(int(closed.rcvd.code), closed.rcvd.reason)
        except (msgspec.DecodeError, UnexpectedAnswer) as broken:
            lost = ConnectionLost(CLOSE_CODE_ABNORMAL, f"the server sent a broken frame: {broken}")
            self._socket.transport.abort()
        finally:
            self._lost = lost
            if self._beating is not None:
                self._beating.cancel()
            for answered in self._waiting.values():
                if not answered.done():
                    answered.set_exception(ConnectionLost(lost.code, lost.reason, sent=True))

    def _take(self, message: str | bytes) -> None:
        frame = self._decode(message)
        if not isinstance(frame, dict):
            raise UnexpectedAnswer("a frame that is not a map")
        if "channel" in frame and "ok" not in frame:
            self._on_update(frame)
            return
        answered = self._waiting.get(frame["id"]) if isinstance(frame.get("id"), int) else None
        if answered is not None and not answered.done():
            answered.set_result(frame)

    async def _beat(self, heartbeat_s: float) -> None:
        """A ping each half heartbeat; one that is not answered within a heartbeat ends the connection."""
        interval_s = self._options.heartbeat_s or heartbeat_s / 2
        with suppress(ConnectionLost, Refused):
            while True:
                await asyncio.sleep(interval_s)
                try:
                    await self.ping(2 * interval_s)
                except NotAnswered:
                    self._socket.transport.abort()
                    return
                except Refused as refused:
                    # `rate_limited`: the server lives.
                    if not refused.retryable:
                        raise


def _refused(reply: dict[str, Any]) -> Refused:
    error = reply.get("error")
    fields = dict(error) if isinstance(error, dict) else {}
    return Refused(str(fields.pop("code", "unknown")), str(fields.pop("message", "")), fields)


def _handshake_refused(refused: InvalidStatus) -> ConnectionLost | Refused:
    status = refused.response.status_code
    if status in STATUSES_FINAL:
        return Refused("handshake_refused", f"the server answered the handshake with HTTP {status}", {}, status)
    value = refused.response.headers.get("Retry-After", "")
    retry_after_s = float(value) if value.isascii() and value.isdigit() else 0.0
    return ConnectionLost(CLOSE_CODE_ABNORMAL, f"HTTP {status}", retry_after_s=retry_after_s)
