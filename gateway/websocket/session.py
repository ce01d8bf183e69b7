"""One client's WebSocket session: decode, authenticate, limit, route, reply.

Operations are in a table (gateway/websocket/operations/): the session knows none of them by name.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import structlog

from actors.stream.messages import Answer, Refused
from domain import errors
from domain.ids import InvalidId, id_text
from gateway.fanout.hub import Hub
from gateway.identity.tokens import Identity, TokenError, TokenIssuer
from gateway.websocket.admission import Admission, Share
from gateway.websocket.close_codes import (
    CLOSE_BROKEN,
    CLOSE_FAULT,
    CLOSE_NO_HELLO,
    CLOSE_RATE,
    CLOSE_RESTARTING,
    CLOSE_TOKEN,
    CLOSE_TOO_LARGE,
)
from gateway.websocket.connection import Connection, Routes, SessionLimits
from gateway.websocket.operations.operation import CommandOperation, Operation, OperationTable
from gateway.websocket.outbox import Outbox
from gateway.websocket.subscriptions import Subscriptions
from gateway.websocket.token_bucket import TokenBucket
from gateway.websocket.traffic import OK, Traffic
from gateway.wire.codec import Codec
from gateway.wire.faults import BrokenFrame, InvalidFrame, RequestFailed
from gateway.wire.frames import Frame, Hello, Ping, Subscribe, Unsubscribe

log = structlog.get_logger()

HELLO_WITHIN_S = 5.0
HEARTBEAT_MS = 20_000


class Session:
    """The session of one connection: ``received`` takes frames, ``closed`` ends it. Never raises."""

    def __init__(
        self, connection: Connection, codec: Codec, operations: OperationTable, router: Routes, hub: Hub,
        tokens: TokenIssuer, limits: SessionLimits, admission: Admission, traffic: Traffic, now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.codec = codec
        self.identity: Identity | None = None
        self._greeted = False
        self._operations = operations.by_frame
        self._router = router
        self._tokens = tokens
        self._limits = limits
        self._admission = admission
        self._traffic = traffic
        self._now_ms = now_ms
        self._share = Share()
        self._bucket = TokenBucket(limits.commands_per_s, limits.commands_burst)
        self._outbox = Outbox(connection, codec, self._share, limits, traffic, now_ms)
        self._subscriptions = Subscriptions(hub, self._outbox, limits, self.valid_identity)
        self._hello_deadline = asyncio.get_running_loop().call_later(HELLO_WITHIN_S, self._no_hello)

    @property
    def subscriptions(self) -> int:
        """The number of subscriptions."""
        return len(self._subscriptions)

    @property
    def behind(self) -> int:
        """The number of subscriptions that missed an update, and wait for the newest state."""
        return self._subscriptions.behind

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the client has not received yet."""
        return self._outbox.unsent_bytes()

    # -- frames

    def received(self, data: bytes | str) -> None:
        """Handle one message of the client."""
        try:
            self._receive(data)
        except Exception:
            log.exception("session_fault")
            self._outbox.close(CLOSE_FAULT, "internal error")

    def counted(self, size: int) -> bool:
        """Count a frame that is no whole message (ping, pong, fragment); returns whether it may be answered."""
        self._traffic.received_frames += 1
        self._traffic.received_bytes += size
        if not self._outbox.within_bounds():
            return False
        taken = self._bucket.take()
        if not taken:
            self._count_violation()
        return taken

    def drained(self) -> None:
        """The client has read what waited for it."""
        self._subscriptions.catch_up()

    def _receive(self, data: bytes | str) -> None:
        size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
        self._traffic.received_frames += 1
        self._traffic.received_bytes += size
        if size > self._limits.frame_bytes_max:
            self._outbox.close(CLOSE_TOO_LARGE, f"a frame has at most {self._limits.frame_bytes_max} bytes")
            return
        if isinstance(data, bytes) is not self.codec.binary:
            self._outbox.close(CLOSE_BROKEN, f"{self.codec.subprotocol} has other frames")
            return
        try:
            frame = self.codec.decode(data)
        except InvalidFrame as fault:
            if self._bucket.take():
                self._outbox.fail("invalid", fault.request_id, errors.INVALID_FRAME, str(fault))
            else:
                self._rate_limited("invalid", fault.request_id)
        except BrokenFrame as fault:
            self._outbox.close(CLOSE_BROKEN, str(fault))
        else:
            self._route(self._operations[type(frame)], frame)

    def _route(self, operation: Operation, frame: Frame) -> None:
        op = operation.op
        try:
            if not self._bucket.take():
                self._rate_limited(op, frame.id)
            elif isinstance(operation, CommandOperation):
                self._command(operation, frame)
            elif operation.needs_hello and not self._greeted:
                self._outbox.fail(op, frame.id, errors.UNAUTHENTICATED, "the first frame is hello")
            elif (reply := operation.handle(self, frame)) is not None:
                self._outbox.answer(op, OK, reply)
        except RequestFailed as failure:
            self._outbox.failed(op, frame.id, failure)
        except Exception:
            log.exception("command_failed", op=op)
            self._outbox.fail(op, frame.id, errors.INTERNAL_ERROR)

    def _rate_limited(self, op: str, request_id: int | str | None) -> None:
        if not self._count_violation():
            details = {"retry_after_ms": self._bucket.retry_after_ms}
            self._outbox.fail(op, request_id, errors.RATE_LIMITED, details=details)

    def _count_violation(self) -> bool:
        """Count a frame beyond the rate limit; whether the socket was closed for it."""
        closes = self._bucket.violation()
        if closes:
            self._outbox.close(CLOSE_RATE, "too many commands: reconnect later, and slower")
        return closes

    # -- commands

    def _command(self, operation: CommandOperation[Any], frame: Frame) -> None:
        """Send a command to its host. It holds an admission slot until its answer, which always comes."""
        if not self._admission.take(self._share):
            self._outbox.overloaded(operation.op, frame.id)
            return
        try:
            request = operation.command(frame, self.valid_identity())
        except InvalidId:
            self._admission.give_back(self._share)
            raise RequestFailed(errors.NOT_FOUND, f"there is no such {operation.kind}") from None
        except BaseException:
            self._admission.give_back(self._share)
            raise
        received_s = time.perf_counter()

        def answered(answer: Answer) -> None:
            self._admission.give_back(self._share)
            self._traffic.acked(time.perf_counter() - received_s)
            if isinstance(answer, Refused):
                self._outbox.refused(operation.op, frame.id, answer)
            else:
                self._outbox.answer(operation.op, OK, operation.reply(frame, answer))

        self._router.send(request, answered)

    def valid_identity(self) -> Identity:
        """The identity of the client's token. Raises RequestFailed."""
        identity = self.identity
        if identity is None:
            raise RequestFailed(errors.UNAUTHENTICATED, "say hello with an access token first")
        if identity.expires_at_ms <= self._now_ms():
            raise RequestFailed(errors.UNAUTHENTICATED, "the access token has expired: say hello with a new one")
        return identity

    # -- operations of the session itself

    def hello(self, frame: Hello) -> None:
        """Authenticate. The last hello counts: one without a token makes the client anonymous."""
        reply: dict[str, Any] = {
            "id": frame.id,
            "ok": True,
            "session": secrets.token_urlsafe(12),
            "server_time": self._now_ms(),
            "heartbeat_ms": HEARTBEAT_MS,
        }
        identity = None
        if frame.token is not None:
            try:
                identity = self._tokens.verify(frame.token, self._now_ms() // 1000)
            except TokenError as error:
                self._outbox.fail("hello", frame.id, errors.UNAUTHENTICATED, str(error))
                self._outbox.close(CLOSE_TOKEN, str(error))
                return
            reply["user"] = {"id": id_text(identity.user_id), "username": identity.name}
        self.identity = identity
        self._greeted = True
        self._hello_deadline.cancel()
        self._outbox.answer("hello", OK, reply)
        self._subscriptions.identity_changed(identity)

    def ping(self, frame: Ping) -> dict[str, Any]:
        """The server's clock."""
        return {"id": frame.id, "ok": True, "server_time": self._now_ms(), "client_time": frame.client_time}

    def subscribe(self, frame: Subscribe) -> None:
        """Subscribe to a channel; the reply comes later."""
        self._subscriptions.subscribe(frame)

    def unsubscribe(self, frame: Unsubscribe) -> dict[str, Any]:
        """Unsubscribe from a channel."""
        self._subscriptions.unsubscribe(frame.channel)
        return {"id": frame.id, "ok": True}

    # -- the end

    def restart(self) -> None:
        """The gateway stops: close with 1012, so that the client reconnects to another one."""
        self._outbox.close(CLOSE_RESTARTING, "restarting")

    def closed(self) -> None:
        """The connection was closed."""
        self._traffic.closed[str(self._outbox.closed_with or "client")] += 1
        self._hello_deadline.cancel()
        self._subscriptions.close()

    def _no_hello(self) -> None:
        self._outbox.close(CLOSE_NO_HELLO, f"no hello within {HELLO_WITHIN_S:.0f} s")
