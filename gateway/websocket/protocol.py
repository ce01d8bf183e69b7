"""uvicorn's WebSocket protocol with a fast path: once a session is attached, messages go directly to it.

The ASGI queue costs a task switch and two changes of the poll set for each message, the general frame parser as much
again. So whole data frames, which are nearly all that clients send, are parsed here. Everything else (handshake,
control frames, fragments, errors) goes to uvicorn and ``websockets``, frame by frame, once the receiver has counted it.
Outgoing frames are encoded before: without extensions a server's data frame has the same bytes for every socket.
"""

import socket
from collections.abc import Callable
from typing import Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import PayloadTooBig
from websockets.speedups import apply_mask

from gateway.http.address_limit import plain_address
from gateway.websocket.close_codes import CLOSE_BROKEN, CLOSE_TOO_LARGE

EXTENSION = "ece.socket"

# The kernel's send buffer for a client that does not read; the default would be megabytes of old updates.
KERNEL_SEND_BYTES = 65_536
# High and low water marks of unsent bytes.
FULL_BYTES, DRAINED_BYTES = 16_384, 4_096
# A socket whose commands are refused as overloaded is not read for this time: its next commands then need one read and
# one write together, which leaves more time for accepted commands.
REFUSED_PAUSE_S = 0.01
# Bytes that a client may send between the server's close frame and its own.
AFTER_CLOSE_BYTES_MAX = 1_048_576

_TEXT, _BINARY = 0x81, 0x82  # FIN and the opcode
_WHOLE_MESSAGE = (_TEXT, _BINARY)
_MASKED = 0x80
_CLOSE = 0x88
_CONTROL = 0x08  # the bit that the opcodes of control frames have


class Receiver(Protocol):
    """Receives messages of a socket; ``drained``: a full send buffer has room again. Must not raise."""

    def received(self, data: bytes | str) -> None: ...
    def counted(self, size: int) -> bool: ...
    def drained(self) -> None: ...


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection. The application finds it in ``scope["extensions"]["ece.socket"]``."""

    receiver: Receiver | None = None
    # Called when the connection is gone.
    on_lost: Callable[[], None] | None = None
    # Bytes of a frame that has not arrived as a whole.
    _partial: bytes = b""
    _frames_per_turn = 1
    _after_close_bytes = 0
    # Frames that are written together at the end of this turn of the loop, and their size.
    _outgoing: list[bytes]
    _outgoing_bytes = 0
    # Reading continues later: at the end of the turn, or after a pause.
    _reads_later = False
    _pause_s = 0.0

    def attach(self, receiver: Receiver, frames_per_turn: int) -> None:
        """Pass all messages to this receiver, at most ``frames_per_turn`` before other sockets are read."""
        self.receiver = receiver
        self._frames_per_turn = frames_per_turn
        self.transport.set_write_buffer_limits(high=FULL_BYTES, low=DRAINED_BYTES)
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_SEND_BYTES)
        if self.read_paused or self._partial:
            self.read_paused = False
            self._resume_reading_later()

    def write_frame(self, frame: bytes) -> None:
        """Write a whole WebSocket frame immediately; does nothing once the connection is closing."""
        if self._outgoing_bytes:
            self.write_soon(frame)
        elif not self.close_sent and not self.disconnected:
            self.transport.write(frame)

    def write_soon(self, frame: bytes) -> None:
        """Write it at the end of this turn, in one system call with other frames."""
        if not self._outgoing_bytes:
            self._outgoing = [frame]
            self.loop.call_soon(self._write_outgoing)
        else:
            self._outgoing.append(frame)
        self._outgoing_bytes += len(frame)

    def _write_outgoing(self) -> None:
        if not self._outgoing_bytes:
            return
        outgoing, self._outgoing, self._outgoing_bytes = self._outgoing, [], 0
        if not self.close_sent and not self.disconnected:
            self.transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))

    def pause(self) -> bool:
        """Stop to read this socket for a moment, because of overload; False: it was to pause already."""
        if self._pause_s:
            return False
        self._pause_s = REFUSED_PAUSE_S
        return True

    def unsent_bytes(self) -> int:
        """Bytes that the client has not received yet."""
        return self._outgoing_bytes + self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.receiver is not None:
            self.receiver.drained()

    def close(self, code: int, reason: str) -> None:
        """Close with a code; the handshake has a deadline (uvicorn's ``close_timeout``)."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self._write_outgoing()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.client is not None:
            self.client = (plain_address(self.client[0]), self.client[1])

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated:
            self._to_library(data)
        elif self.close_sent and self._too_much_after_close(len(data)):
            self.transport.abort()
        elif self.receiver is None:
            # A client that does not wait for the handshake's end: the kernel buffers what comes after this.
            self._partial += data
            self.read_paused = True
            self.transport.pause_reading()
        else:
            self._read_frames(self._partial + data if self._partial else data)

    def _too_much_after_close(self, size: int) -> bool:
        """Whether a client keeps sending after the server's close frame."""
        self._after_close_bytes += size
        return self._after_close_bytes > AFTER_CLOSE_BYTES_MAX

    def _read_frames(self, data: bytes) -> None:
        """Pass whole messages to the receiver, and other frames to the library."""
        start, size, frames = 0, len(data), 0
        while size - start >= 2 and not self.transport.is_closing():
            frames += 1
            if frames > self._frames_per_turn:
                self._resume_reading_later()
                break
            first, length, at = data[start], data[start + 1] & 0x7F, start + 2
            if length >= 126:
                at += 2 if length == 126 else 8
                if at > size:
                    break
                length = int.from_bytes(data[start + 2 : at], "big")
            if data[start + 1] < _MASKED or length > self.config.ws_max_size:
                # An error, or too large: the library ends the connection.
                self._to_library(data[start:at])
                start = size
                break
            end = at + 4 + length
            if end > size:
                break
            if first in _WHOLE_MESSAGE and not self.frames:
                self._deliver(apply_mask(data[at + 4 : end], data[at : at + 4]), is_text=first == _TEXT)
            elif self._count_frame(first, end - start):
                self._to_library(data[start:end])
            start = end
        self._partial = data[start:]
        if self._pause_s:
            self._resume_reading_later()

    def _count_frame(self, first: int, size: int) -> bool:
        """Count a frame that is no whole message; returns whether the library gets it."""
        if first == _CLOSE:
            return True
        if self.close_sent or self.receiver is None:
            return False
        may = self.receiver.counted(size)
        # Without one of its fragments a message would be another one.
        return not self.close_sent and (may or not first & _CONTROL)

    def _to_library(self, data: bytes) -> None:
        # It may answer with the end of the connection: what was answered before goes before.
        self._write_outgoing()
        super().data_received(data)

    def _resume_reading_later(self) -> None:
        """Stop to read this socket until other sockets were read."""
        if self._reads_later:
            return
        self._reads_later = True
        pause_s, self._pause_s = self._pause_s, 0.0
        self.transport.pause_reading()
        if pause_s:
            self.loop.call_later(pause_s, self._resume_reading)
        else:
            self.loop.call_soon(self._resume_reading)

    def _resume_reading(self) -> None:
        self._reads_later = False
        if not self.disconnected and not self.transport.is_closing():
            self.transport.resume_reading()
            self.data_received(b"")

    def send_receive_event_to_app(self) -> None:
        if self.receiver is None:
            super().send_receive_event_to_app()
            return
        data = b"".join(self.frames)
        self.frames = []
        self._deliver(data, is_text=self.curr_msg_data_type == "text")

    def _deliver(self, data: bytes, *, is_text: bool) -> None:
        if self.receiver is None or self.close_sent:
            return
        if not is_text:
            self.receiver.received(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.close(CLOSE_BROKEN, "text that is not UTF-8")
            return
        self.receiver.received(text)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    def handle_parser_exception(self) -> None:
        if self.close_sent:
            self.transport.close()
        elif isinstance(self.conn.parser_exc, PayloadTooBig):
            # The client gets the engine's close code instead of the library's 1009, which has no rule for reconnecting.
            self.conn.data_to_send()
            payload = CLOSE_TOO_LARGE.to_bytes(2, "big") + b"frame too large"
            self.transport.write(bytes([_CLOSE, len(payload)]) + payload)
            self.queue.put_nowait({"type": "websocket.disconnect", "code": CLOSE_TOO_LARGE})
            self.close_sent = True
            self.transport.close()
        else:
            super().handle_parser_exception()
        self._abort_later()

    def handle_close(self, event: Any) -> None:
        super().handle_close(event)
        self._abort_later()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._abort_later()

    def _abort_later(self) -> None:
        """Abort after a deadline: a closing transport waits for ever for the client to read the rest."""
        if self.close_timer is None and self.transport.is_closing():
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
