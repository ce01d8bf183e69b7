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
from domain.permissions import Access, Needed, Permission
from gateway.fanout.hub import Hub
from gateway.http.problems import Problem, problem_of
from gateway.identity.api_keys import is_key
from gateway.identity.credentials import CHANGED, Credentials, log_refused
from gateway.identity.permissions import check
from gateway.identity.sessions.activity import SessionActivity
from gateway.identity.tokens import Identity, TokenError, TokenInvalid, TokenIssuer, TokenRevoked
from gateway.identity.verification import operation_denied
from gateway.limits.leases import Lease, Leases
from gateway.websocket.admission import Admission, Share
from gateway.websocket.close_codes import (
    CLOSE_BROKEN,
    CLOSE_FAULT,
    CLOSE_NO_HELLO,
    CLOSE_RATE,
    CLOSE_RESTARTING,
    CLOSE_REVOKED,
    CLOSE_TOKEN,
    CLOSE_TOO_LARGE,
)
from gateway.websocket.connection import NO_CLIENT, Connection, Routes, SessionLimits, SocketClient
from gateway.websocket.operations.operation import CommandOperation, Operation, OperationTable, PreparedOperation
from gateway.websocket.outbox import Outbox
from gateway.websocket.subscriptions import Subscriptions
from gateway.websocket.token_bucket import TokenBucket
from gateway.websocket.traffic import OK, Traffic
from gateway.wire.codec import Codec
from gateway.wire.faults import BrokenFrame, InvalidFrame, RequestFailed
from gateway.wire.frames import Frame, Hello, Ping, Subscribe, Unsubscribe
from persistence.postgres.errors import StoreError

log = structlog.get_logger()

HELLO_WITHIN_S = 5.0
HEARTBEAT_MS = 20_000
# Frames that wait for the look-up of an API key.
HELD_MAX = 64
# For the look-ups of a command and its answer.
PREPARED_WITHIN_S = 15.0


class Session:
    """The session of one connection: ``received`` takes frames, ``closed`` ends it. Never raises."""

    def __init__(
        self, connection: Connection, codec: Codec, operations: OperationTable, router: Routes, hub: Hub,
        tokens: TokenIssuer, limits: SessionLimits, admission: Admission, traffic: Traffic, now_ms: Callable[[], int],
        services: Any = None, leases: Leases | None = None, client: SocketClient = NO_CLIENT,
        activity: SessionActivity | None = None, credentials: Credentials | None = None,
    ) -> None:  # fmt: skip
        """``services``: what the operations of the table look things up with; ``leases``: rate limits of accounts.

        ``client``: who opened the socket; ``credentials``: API keys, and changes of roles.
        """
        self._client = client
        self._activity = activity
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
        self._services = services
        self._leases = leases
        self._credentials = credentials
        # Frames after a hello with an API key, until that was looked up.
        self._after_hello: list[bytes | str] | None = None
        self._hello_task: asyncio.Task[None] | None = None
        # That of the account, from hello on; None: without a limit.
        self._lease: Lease | None = None
        self._prepared: set[asyncio.Task[None]] = set()
        self._share = Share()
        self._bucket = TokenBucket(limits.commands_per_s, limits.commands_burst)
        self._outbox = Outbox(connection, codec, self._share, limits, traffic, now_ms)
        self._subscriptions = Subscriptions(hub, self._outbox, limits, self._reader)
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
        if self._after_hello is not None:
            self._hold(data)
            return
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
                log.info("frame_invalid", broken=False, address=self._client.address)
                self._outbox.fail("invalid", fault.request_id, errors.INVALID_FRAME, str(fault))
            else:
                self._rate_limited("invalid", fault.request_id)
        except BrokenFrame as fault:
            log.info("frame_invalid", broken=True, address=self._client.address)
            self._outbox.close(CLOSE_BROKEN, str(fault))
        else:
            self._route(self._operations[type(frame)], frame)

    def _route(self, operation: Operation, frame: Frame) -> None:
        op = operation.op
        try:
            if not self._bucket.take():
                self._rate_limited(op, frame.id)
            elif operation.costs and self._lease is not None and not self._lease.take():
                details = {"retry_after_ms": self._lease.retry_after_ms}
                self._outbox.fail(op, frame.id, errors.RATE_LIMITED, details=details)
            elif isinstance(operation, CommandOperation):
                self._command(operation, frame)
            elif isinstance(operation, PreparedOperation):
                self._prepare(operation, frame)
            elif operation.needs_hello and not self._greeted:
                self._outbox.fail(op, frame.id, errors.UNAUTHENTICATED, "the first frame is hello")
            else:
                if operation.needs is not Access.PUBLIC:
                    self._entitled(operation)
                if (reply := operation.handle(self, frame)) is not None:
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
            request = operation.command(frame, self._entitled(operation))
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

    def _prepare(self, operation: PreparedOperation[Any], frame: Frame) -> None:
        """Begin a command that needs look-ups. As of any other, nobody stops it when the socket is closed."""
        if not self._admission.take(self._share):
            self._outbox.overloaded(operation.op, frame.id)
            return
        try:
            identity = self._entitled(operation)
        except BaseException:
            self._admission.give_back(self._share)
            raise
        task = asyncio.get_running_loop().create_task(self._work(operation, frame, identity))
        self._prepared.add(task)
        task.add_done_callback(self._prepared.discard)

    async def _work(self, operation: PreparedOperation[Any], frame: Frame, identity: Identity) -> None:
        received_s = time.perf_counter()
        try:
            async with asyncio.timeout(PREPARED_WITHIN_S):
                answer = await operation.work(self._services, frame, identity)
        except TimeoutError:
            answer = RequestFailed(errors.UNAVAILABLE)
        except Exception as error:
            answer = problem_of(error)
            if answer is None:
                log.exception("command_failed", op=operation.op)
                answer = RequestFailed(errors.INTERNAL_ERROR)
        self._admission.give_back(self._share)
        self._traffic.acked(time.perf_counter() - received_s)
        if isinstance(answer, Refused):
            self._outbox.refused(operation.op, frame.id, answer)
        elif isinstance(answer, Problem):
            self._outbox.fail(operation.op, frame.id, answer.code, answer.detail, answer.extra)
        elif isinstance(answer, RequestFailed):
            self._outbox.failed(operation.op, frame.id, answer)
        else:
            self._outbox.answer(operation.op, OK, operation.reply(frame, answer))

    def permitted(self, needed: Needed) -> Identity:
        """The identity of the client, which may do this. Raises RequestFailed."""
        identity = self.valid_identity()
        check(identity, needed)
        return identity

    def valid_identity(self) -> Identity:
        """The identity of the client's token. Raises RequestFailed."""
        identity = self.identity
        if identity is None:
            raise RequestFailed(errors.UNAUTHENTICATED, "say hello with an access token first")
        if identity.expires_at_ms <= self._now_ms():
            raise RequestFailed(errors.UNAUTHENTICATED, "the access token has expired: say hello with a new one")
        if self._credentials is not None and self._credentials.changes.is_stale(identity):
            raise RequestFailed(errors.UNAUTHENTICATED, CHANGED)
        return identity

    def _entitled(self, operation: Operation) -> Identity:
        """The identity of a client that may send this. Raises RequestFailed."""
        identity = self.permitted(operation.needs)
        if operation_denied(identity.roles, operation.op):
            raise RequestFailed(errors.EMAIL_NOT_VERIFIED)
        return identity

    # -- operations of the session itself

    def hello(self, frame: Hello) -> None:
        """Authenticate. The last hello counts: one without a token makes the client anonymous."""
        if self._credentials is not None and frame.token is not None and is_key(frame.token):
            self._after_hello = []
            self._hello_task = asyncio.get_running_loop().create_task(self._look_up(self._credentials, frame))
        else:
            try:
                identity = self._identity_of(frame)
            except TokenError as error:
                self._reject(frame, error)
            else:
                self._greet(frame, identity)

    async def _look_up(self, credentials: Credentials, frame: Hello) -> None:
        """Authenticate with an API key, then handle the frames that came meanwhile."""
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                identity = await credentials.identity(frame.token or "", self._client.address)
        except TokenError as error:
            self._reject(frame, error)
        except (StoreError, TimeoutError):
            self._outbox.fail("hello", frame.id, errors.UNAVAILABLE)
        else:
            self._greet(frame, identity)
        held, self._after_hello = self._after_hello or [], None
        for data in held:
            # A refused hello closes: what followed it was meant for another user than the one before, if there was one.
            if self._outbox.closed_with is None:
                self.received(data)

    def _hold(self, data: bytes | str) -> None:
        assert self._after_hello is not None, "a hello is being looked up"
        if len(self._after_hello) >= HELD_MAX:
            self._outbox.close(CLOSE_RATE, "too many commands before the answer to hello")
            return
        self._after_hello.append(data)

    def _reject(self, frame: Hello, error: TokenError) -> None:
        log_refused(error, self._client.address)
        self._outbox.fail("hello", frame.id, errors.UNAUTHENTICATED, str(error))
        self._outbox.close(CLOSE_REVOKED if isinstance(error, TokenRevoked) else CLOSE_TOKEN, str(error))

    def _greet(self, frame: Hello, identity: Identity | None) -> None:
        reply: dict[str, Any] = {
            "id": frame.id,
            "ok": True,
            "session": secrets.token_urlsafe(12),
            "server_time": self._now_ms(),
            "heartbeat_ms": HEARTBEAT_MS,
        }
        if identity is not None:
            reply["user"] = {"id": id_text(identity.user_id), "username": identity.name}
        self.identity = identity
        self._lease = self._lease_of(identity)
        self._greeted = True
        self._hello_deadline.cancel()
        self._outbox.answer("hello", OK, reply)
        reads = identity is not None and identity.may(Permission.READ)
        self._subscriptions.identity_changed(identity if reads else None)

    def access_changed(self) -> None:
        """Roles have changed, or keys or sessions ended. Sockets of the latter are closed; others say hello again."""
        identity = self.identity
        if identity is None or self._credentials is None or not self._credentials.changes.is_revoked(identity):
            return
        reason = "this session has ended: log in again" if identity.key is None else "the API key was revoked"
        self._outbox.close(CLOSE_REVOKED, reason)

    def _reader(self) -> Identity:
        """Who may read what only they see. Raises RequestFailed."""
        return self.permitted(Permission.READ)

    def _identity_of(self, frame: Hello) -> Identity | None:
        """That of the token or of the cookie; None: the client only watches. Raises TokenError."""
        token, now_ms = frame.token, self._now_ms()
        if token is None and frame.cookie:
            token = self._client.cookie
            if token is None:
                raise TokenInvalid("the handshake had no cookie of a session, or an Origin that is not one of ours")
        if token is None:
            return None
        identity = self._tokens.verify(token, now_ms // 1000)
        if self._credentials is not None:
            self._credentials.checked(identity)
        if self._activity is not None:
            self._activity.used(identity.session, now_ms, self._client.address, self._client.device)
        return identity

    def _lease_of(self, identity: Identity | None) -> Lease | None:
        if self._leases is None or identity is None or identity.may(Permission.UNLIMITED):
            return None
        return self._leases.of(identity.user_id)

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

    def typing(self, channel: str) -> None:
        """Tell the other watchers of the channel that this user types. Raises RequestFailed."""
        self._subscriptions.signal(channel, self.valid_identity())

    # -- the end

    def restart(self) -> None:
        """The gateway stops: close with 1012, so that the client reconnects to another one."""
        self._outbox.close(CLOSE_RESTARTING, "restarting")

    def closed(self) -> None:
        """The connection was closed."""
        self._traffic.closed[str(self._outbox.closed_with or "client")] += 1
        self._hello_deadline.cancel()
        if self._hello_task is not None:
            self._hello_task.cancel()
        self._subscriptions.close()

    def _no_hello(self) -> None:
        self._outbox.close(CLOSE_NO_HELLO, f"no hello within {HELLO_WITHIN_S:.0f} s")
