"""One WebSocket under gevent: requests and their replies, updates to a callback. Only for Locust's own processes.

`ece_client` needs asyncio, which does not run under gevent. What does not depend on that is shared with it: the errors,
the rules of close codes, the estimate of the server's clock.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import gevent
import websocket
from gevent.event import AsyncResult

from bench.locust.frames import SUBPROTOCOL, Reply, Update, check_reply, decode, encode
from bench.locust.incoming import BINARY, CLOSE, PING, PONG, BrokenStream, Incoming
from ece_client import Closed, ConnectionLost, EceError, NotAnswered, Refused, ServerClock, UnexpectedAnswer
from ece_client.errors import CLOSE_CODE_ABNORMAL

HANDSHAKE_DEADLINE_S = 10.0
REQUEST_DEADLINE_S = 10.0
CLOSE_CODE_NORMAL = 1000
READ_BYTES = 1 << 16
IN_FLIGHT_MAX = 1_000

OnUpdate = Callable[[Update], None]
OnBroken = Callable[[UnexpectedAnswer], None]


class Connection:
    """Made by `open`. It is not re-established. `on_broken` gets frames that are not as documented."""

    def __init__(self, socket: websocket.WebSocket, clock: ServerClock, on_update: OnUpdate, on_broken: OnBroken):
        self._socket = socket
        self._clock = clock
        self._on_update = on_update
        self._on_broken = on_broken
        self._waiting: dict[int | str | None, AsyncResult] = {}
        self._last_id = 0
        self.lost: ConnectionLost | None = None
        self._reading = gevent.spawn(self._read)

    @classmethod
    def open(
        cls, url: str, token: str | None, clock: ServerClock, on_update: OnUpdate, on_broken: OnBroken
    ) -> "Connection":
        """Connect to `<url>/ws` and say hello. Raises ConnectionLost, NotAnswered, Refused or UnexpectedAnswer."""
        try:
            socket = websocket.create_connection(
                "ws" + url.rstrip("/").removeprefix("http") + "/ws",
                timeout=HANDSHAKE_DEADLINE_S,
                subprotocols=[SUBPROTOCOL],
                http_no_proxy=["*"],
            )
        except (OSError, websocket.WebSocketException) as error:
            raise ConnectionLost(CLOSE_CODE_ABNORMAL, str(error)[:200]) from error
        connection = cls(socket, clock, on_update, on_broken)
        try:
            connection._hello(token)
        except BaseException:
            connection.close()
            raise
        return connection

    def _hello(self, token: str | None) -> None:
        sent_s = time.time()
        reply = self.request("hello", **({} if token is None else {"token": token}))
        self._clock.observe(sent_s, time.time(), reply["server_time"])
        # The server pings at least this often: a silent one is lost.
        self._socket.settimeout(2 * reply["heartbeat_ms"] / 1000)

    def ping(self) -> None:
        """Ask for the server's time. Raises what `request` does."""
        sent_s = time.time()
        reply = self.request("ping")
        self._clock.observe(sent_s, time.time(), reply["server_time"])

    def request(self, op: str, deadline_s: float = REQUEST_DEADLINE_S, /, **fields: Any) -> dict[str, Any]:
        """The reply to one frame. Raises Refused, ConnectionLost, NotAnswered, UnexpectedAnswer or Closed."""
        if self.lost is not None:
            raise ConnectionLost(self.lost.code, self.lost.reason)
        if len(self._waiting) >= IN_FLIGHT_MAX:
            raise NotAnswered(f"{IN_FLIGHT_MAX} requests have no reply", sent=False)
        self._last_id = request_id = self._last_id + 1
        answered = self._waiting[request_id] = AsyncResult()
        try:
            self._socket.send_binary(encode({"op": op, "id": request_id, **fields}))
            reply: Reply = answered.get(timeout=deadline_s)
        except gevent.Timeout:
            raise NotAnswered(f"no reply to {op} within {deadline_s:g} s") from None
        except (OSError, websocket.WebSocketException) as error:
            self._end(ConnectionLost(CLOSE_CODE_ABNORMAL, str(error)[:200], sent=True))
            raise self.lost or error from error
        finally:
            self._waiting.pop(request_id, None)
        if reply.error is not None:
            raise Refused(str(reply.error["code"]), str(reply.error.get("message", "")), reply.error)
        check_reply(op, reply.fields)
        return reply.fields

    def close(self) -> None:
        """Hang up; requests in flight raise Closed. May be called twice."""
        if self.lost is None:
            self._end(ConnectionLost(CLOSE_CODE_NORMAL), Closed("closed by us"))
        self._reading.kill(block=False)

    def _end(self, lost: ConnectionLost, failure: EceError | None = None) -> None:
        if self.lost is not None:
            return
        self.lost = lost
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._socket.shutdown()  # type: ignore[no-untyped-call]
        for answered in self._waiting.values():
            answered.set_exception(failure or ConnectionLost(lost.code, lost.reason, sent=True))

    def _read(self) -> None:
        """Until the connection ends, however that happens."""
        incoming, socket = Incoming(), self._socket.sock
        assert socket is not None, "connected"
        try:
            while self.lost is None:
                data = socket.recv(READ_BYTES)
                if not data:
                    self._end(ConnectionLost(CLOSE_CODE_ABNORMAL, "no closing handshake", sent=True))
                for opcode, payload in incoming.feed(data):
                    self._handle(opcode, payload)
        except (OSError, websocket.WebSocketException, BrokenStream) as error:
            self._end(ConnectionLost(CLOSE_CODE_ABNORMAL, str(error)[:200], sent=True))

    def _handle(self, opcode: int, payload: bytes) -> None:
        if opcode == BINARY:
            self._take(payload)
        elif opcode == PING:
            self._socket.pong(payload)
        elif opcode == CLOSE:
            self._end(_closed(payload))
        elif opcode != PONG:
            self._on_broken(UnexpectedAnswer("a text frame on a binary subprotocol"))

    def _take(self, payload: bytes) -> None:
        try:
            frame = decode(payload)
            if isinstance(frame, Update):
                self._on_update(frame)
                return
        except UnexpectedAnswer as error:
            self._on_broken(error)
            return
        answered = self._waiting.get(frame.id)
        if answered is None:
            # Late, or an answer to nothing. The id null is for frames of ours that had none: there are none.
            if not isinstance(frame.id, int) or not 0 < frame.id <= self._last_id:
                self._on_broken(UnexpectedAnswer(f"a reply to the request {frame.id!r}, which was not sent"))
            return
        answered.set(frame)


def _closed(payload: bytes) -> ConnectionLost:
    """What a close frame says (RFC 6455 §5.5.1)."""
    if len(payload) < 2:
        return ConnectionLost(CLOSE_CODE_ABNORMAL, sent=True)
    return ConnectionLost(int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace"), sent=True)
