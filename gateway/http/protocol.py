"""uvicorn's HTTP protocol on httptools, with the limits that it lacks.

httptools has no limits: a header without end grows for ever, and each part of it copies all parts before. uvicorn has
only a deadline between two requests. So this class counts bytes before they are parsed, and tells ``Connections`` when
it waits for a request and when one has arrived. Responses have a deadline as well: a client that does not read them is
disconnected, and the next pipelined request does not begin before it has read.
"""

import asyncio
import socket
from functools import cache, partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from domain.errors import HEADERS_TOO_LARGE, INVALID_REQUEST, OVERLOADED, RATE_LIMITED, REQUEST_TIMEOUT
from gateway.http.address_limit import plain_address
from gateway.http.connections import ADDRESS, HEADERS, LATE, MALFORMED, SILENT, UNREAD, Connections
from gateway.http.problems import MEDIA_TYPE, Problem

# The kernel's send buffer for a client that does not read; the default would be megabytes.
KERNEL_SEND_BYTES = 262_144
# Of TLS 1.2: forward secrecy and authenticated encryption, as all suites of TLS 1.3 have them.
TLS_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
HEADERS_MAX = 128
PIPELINED_MAX = 64
# After an error response to a client that still sends: closing at once would reset the connection, and the client
# might never see the response.
LINGER_S, LINGER_BYTES_MAX = 1.0, 1_048_576

CODES = {LATE: REQUEST_TIMEOUT, HEADERS: HEADERS_TOO_LARGE, MALFORMED: INVALID_REQUEST, ADDRESS: RATE_LIMITED}
STILL_SENDING = (HEADERS, MALFORMED)


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection. ``functools.partial`` of it with the gateway's ``Connections`` is what uvicorn takes."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._counts = connections
        self._admitted = False
        self._ended = False
        # A request has begun; its headers have arrived.
        self._arriving = False
        self._has_headers = False
        # Of the request that arrives: all its bytes, those of its body, and those that are buffered.
        self._received_bytes = 0
        self._body_bytes = 0
        self._held_bytes = 0
        self._too_large = False
        self._discarded_bytes = 0
        self._held_back: tuple[RequestResponseCycle, Any] | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    # -- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            self.client = (plain_address(self.client[0]), self.client[1])
        reason = self._counts.admit(self, self._address)
        self._admitted = reason is None
        if reason is not None:
            self.end(reason)
            return
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_SEND_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_request()
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._admitted:
            self._counts.leave(self, self._address)

    @property
    def _address(self) -> str | None:
        return self.client[0] if self.client is not None else None

    def handle_websocket_upgrade(self) -> None:
        self._forget_request()
        self._counts.serve(self)
        super().handle_websocket_upgrade()
        # The WebSocket takes over the connection, and its place among the connections.
        socket_protocol: Any = self.transport.get_protocol()
        socket_protocol.on_lost = partial(self._counts.leave, self, self._address)

    # -- requests

    def data_received(self, data: bytes) -> None:
        if self._ended:
            self._discard(data)
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                # Frames that came with the handshake; how far the parser went is the exception's only argument.
                frames = data[upgrade.args[0] :]
                if frames:
                    self.transport.get_protocol().data_received(frames)  # type: ignore[attr-defined]
            return
        except httptools.HttpParserError:
            self._counts.drop(self, HEADERS if self._too_large else MALFORMED)
            return
        if self._arriving:
            self._count(len(data))

    def _count(self, size: int) -> None:
        """Count bytes of a request that has not arrived as a whole. Chunk sizes and trailers count as headers."""
        self._received_bytes += size
        if self._received_bytes - self._body_bytes > self._counts.limits.head_bytes_max:
            self._counts.drop(self, HEADERS)
        elif not (self._has_headers and self.cycle.response_complete):
            # Of a request that was answered early, as a body too large is, the rest is dropped.
            self._held_bytes += size
            self._counts.hold(size)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._arriving, self._has_headers = True, False
        if self.cycle is None or self.cycle.response_complete:
            self._counts.wait(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are not headers: a proxy in front has not checked them as such.
        if not self._has_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        # Raising in here makes the parser stop, with an HttpParserError.
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._counts.limits.head_bytes_max or len(self.headers) > HEADERS_MAX:
            self._too_large = True
            raise ValueError("headers too large")
        if sum(name == b"host" for name, _ in self.headers) != 1 and self.parser.get_http_version() == "1.1":
            # RFC 9112, 3.2: a proxy in front may have gone by the other one.
            raise ValueError("not one Host")
        if len(self.pipeline) >= PIPELINED_MAX:
            raise ValueError("too many pipelined requests")
        super().on_headers_complete()
        self._has_headers = True

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._forget_request()
        if self.cycle is not None and not self.cycle.response_complete:
            self._counts.serve(self)

    def _forget_request(self) -> None:
        self._arriving = False
        self._counts.unfinished_bytes -= self._held_bytes
        self._received_bytes = self._body_bytes = self._held_bytes = 0

    # -- responses

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.flow.write_paused:
            # The client has not read the responses before this one.
            self._held_back = (cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        if self.transport.is_closing():
            self._close_later()
        elif self._arriving or not self.pipeline:
            self._counts.wait(self)
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._close_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        if self._held_back is not None and not self.transport.is_closing():
            (cycle, app), self._held_back = self._held_back, None
            super()._start_asgi_task(cycle, app)

    def _close_later(self) -> None:
        if self._close_timer is None:
            self._close_timer = self.loop.call_later(self._counts.limits.response_timeout_s, self._unread)

    def _unread(self) -> None:
        """The deadline for reading the response has passed."""
        self._close_timer = None
        if self.transport.get_write_buffer_size():
            self._counts.dropped[UNREAD] += 1
            self.transport.abort()
        else:
            self.transport.close()

    # -- ends

    def timeout_keep_alive_handler(self) -> None:
        """uvicorn's keep-alive timeout."""
        self._close()

    def expire(self) -> None:
        """No request arrived in time, or not all of it."""
        served: RequestResponseCycle | None = self.cycle
        if self._arriving:
            self._counts.drop(self, LATE)
        elif served is None:
            self._counts.drop(self, SILENT)
        else:
            # It had its responses, or is still reading the last one.
            self._close()

    def end(self, reason: str) -> None:
        """Close; with a problem as the response, if a request has begun that has no response yet."""
        if self._ended:
            return
        self._ended = True
        answered = reason != SILENT and self._may_answer(reason)
        if answered:
            self._answer(_problem(reason))
        self._forget_request()
        if answered and reason in STILL_SENDING:
            self.transport.write_eof()
            self.loop.call_later(LINGER_S, self.transport.abort)
        else:
            self._close()

    def _may_answer(self, reason: str) -> bool:
        """Whether a response would be in order, and a client waits for it."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return self._arriving or reason in STILL_SENDING or not self._admitted
        if not self._has_headers or self.pipeline or cycle.response_started:
            return False
        # The application waits for the rest of this request's body.
        cycle.disconnected = True
        cycle.message_event.set()
        return True

    def _answer(self, problem: tuple[bytes, bytes]) -> None:
        status_line, rest = problem
        headers = b"".join(name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers)
        self.transport.write(status_line + headers + rest)

    def _close(self) -> None:
        self._close_later()
        self.transport.close()

    def _discard(self, data: bytes) -> None:
        self._discarded_bytes += len(data)
        if self._discarded_bytes > LINGER_BYTES_MAX:
            self.transport.abort()


@cache
def _problem(reason: str) -> tuple[bytes, bytes]:
    """The response for this reason: the status line, and what follows the common headers."""
    problem = Problem(CODES.get(reason, OVERLOADED), status=400 if reason == MALFORMED else None)
    body = problem.body()
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "connection": "close", **problem.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[problem.status], lines.encode() + b"\r\n" + body
