"""Command streams: length-prefixed msgpack over TCP, after a handshake in which both sides prove the cluster's secret.

    host    → {version, host_id, nonce}
    gateway → {version, nonce, proof = HMAC-SHA256(secret, "gateway" ‖ host's nonce ‖ gateway's nonce)}
    host    → {proof = HMAC-SHA256(secret, "host" ‖ gateway's nonce ‖ host's nonce)}

Frames are not encrypted: bind streams to loopback or to a private network.
"""

import asyncio
import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import cast

import msgspec
import structlog

from actors.stream.messages import STREAM_FRAME_MAX, STREAM_VERSION, Answer, Request

log = structlog.get_logger()

NONCE_BYTES = 32
HANDSHAKE_TIMEOUT_S = 5.0
# One for each gateway and one for the director.
STREAMS_MAX = 256
# A gateway that does not read its answers is disconnected at this much unread data.
UNREAD_BYTES_MAX = 64 * 1024 * 1024

_encode = msgspec.msgpack.Encoder().encode
_decode_requests = msgspec.msgpack.Decoder(list[tuple[int, Request]]).decode
_decode_answers = msgspec.msgpack.Decoder(list[tuple[int, Answer]]).decode


class HostHello(msgspec.Struct, frozen=True, array_like=True):
    version: int
    host_id: str
    nonce: bytes


class GatewayHello(msgspec.Struct, frozen=True, array_like=True):
    version: int
    nonce: bytes
    proof: bytes


class HostProof(msgspec.Struct, frozen=True, array_like=True):
    proof: bytes


class HandshakeFailed(Exception):
    """The peer is not a member of this cluster, or has another protocol version."""


def proof(secret: bytes, side: bytes, theirs: bytes, ours: bytes) -> bytes:
    """HMAC of the nonces: proves that this side knows the secret."""
    return hmac.digest(secret, side + theirs + ours, sha256)


class FrameProtocol(asyncio.Protocol):
    """Splits received data into frames. A subclass implements ``frame_received``."""

    def __init__(self, unread_bytes_max: int = UNREAD_BYTES_MAX) -> None:
        self._unread_bytes_max = unread_bytes_max
        self.transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start, size = 0, len(buffer)
        while size - start >= 4:
            length = int.from_bytes(buffer[start : start + 4], "big")
            if length > STREAM_FRAME_MAX:
                self.abort(f"a frame of {length} bytes")
                return
            if size - start - 4 < length:
                break
            frame = bytes(buffer[start + 4 : start + 4 + length])
            start += 4 + length
            try:
                self.frame_received(frame)
            except (msgspec.MsgspecError, HandshakeFailed) as error:
                self.abort(str(error))
                return
        if start:
            del buffer[:start]

    def write_frame(self, payload: bytes) -> None:
        """Send one frame. Never waits; a peer that does not read is disconnected."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        transport.write(len(payload).to_bytes(4, "big") + payload)
        if transport.get_write_buffer_size() > self._unread_bytes_max:
            self.abort("the peer does not read")

    @property
    def unread_bytes(self) -> int:
        """Bytes that the peer has not read."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    def abort(self, reason: str) -> None:
        """Close the connection immediately."""
        log.warning("stream_aborted", reason=reason)
        if self.transport is not None:
            self.transport.abort()

    def frame_received(self, frame: bytes) -> None:
        raise NotImplementedError


class HostStream(FrameProtocol):
    """A host's end of one gateway's stream. Answers of one turn of the event loop go out as one frame, if they fit."""

    def __init__(
        self,
        host_id: str,
        secret: bytes,
        submit: Callable[[Request, int, Callable[[int, Answer], None]], None],
        streams: "set[HostStream]",
        *,
        streams_max: int = STREAMS_MAX,
        unread_bytes_max: int = UNREAD_BYTES_MAX,
    ) -> None:
        super().__init__(unread_bytes_max)
        self._streams_max = streams_max
        self._host_id = host_id
        self._secret = secret
        self._submit = submit
        self._streams = streams
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._proven = False
        self._answers: list[tuple[int, Answer]] = []
        self._loop = asyncio.get_running_loop()
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._streams) >= self._streams_max:
            self.abort(f"there are {self._streams_max} streams already")
            return
        self._streams.add(self)
        self._deadline = self._loop.call_later(HANDSHAKE_TIMEOUT_S, self.abort, "no handshake in time")
        self.write_frame(_encode(HostHello(STREAM_VERSION, self._host_id, self._nonce)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._streams.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()

    def frame_received(self, frame: bytes) -> None:
        if not self._proven:
            self._prove(msgspec.msgpack.decode(frame, type=GatewayHello))
            return
        for request_id, request in _decode_requests(frame):
            self._submit(request, request_id, self.answer)

    def answer(self, request_id: int, answer: Answer) -> None:
        """Queue one answer."""
        if not self._answers:
            self._loop.call_soon(self._flush)
        self._answers.append((request_id, answer))

    def _prove(self, hello: GatewayHello) -> None:
        expected = proof(self._secret, b"gateway", self._nonce, hello.nonce)
        if hello.version != STREAM_VERSION or not hmac.compare_digest(expected, hello.proof):
            raise HandshakeFailed("a gateway that does not know this cluster's secret, or speaks another version")
        self._proven = True
        if self._deadline is not None:
            self._deadline.cancel()
        self.write_frame(_encode(HostProof(proof(self._secret, b"host", hello.nonce, self._nonce))))

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        self._write_answers(answers)

    def _write_answers(self, answers: list[tuple[int, Answer]]) -> None:
        frame = _encode(answers)
        if len(frame) <= STREAM_FRAME_MAX or len(answers) == 1:
            self.write_frame(frame)
            return
        # The gateway would cut the stream, with all that waits on it.
        half = len(answers) // 2
        self._write_answers(answers[:half])
        self._write_answers(answers[half:])


class GatewayStream(FrameProtocol):
    """A gateway's end. ``ready`` resolves once the host has proven itself."""

    def __init__(self, secret: bytes, on_answers: Callable[[list[tuple[int, Answer]]], None],
                 on_lost: Callable[[], None]) -> None:  # fmt: skip
        super().__init__()
        self._secret = secret
        self._on_answers = on_answers
        self._on_lost = on_lost
        self._host: HostHello | None = None
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(HandshakeFailed("the host closed the stream during the handshake"))
        self._on_lost()

    def frame_received(self, frame: bytes) -> None:
        if self.ready.done():
            self._on_answers(_decode_answers(frame))
        elif self._host is None:
            self._host = msgspec.msgpack.decode(frame, type=HostHello)
            if self._host.version != STREAM_VERSION:
                raise HandshakeFailed(f"the host speaks version {self._host.version}")
            answer = proof(self._secret, b"gateway", self._host.nonce, self._nonce)
            self.write_frame(_encode(GatewayHello(STREAM_VERSION, self._nonce, answer)))
        else:
            proven = msgspec.msgpack.decode(frame, type=HostProof)
            expected = proof(self._secret, b"host", self._nonce, self._host.nonce)
            if not hmac.compare_digest(expected, proven.proof):
                raise HandshakeFailed("the host does not know this cluster's secret")
            self.ready.set_result(self._host.host_id)

    def send(self, requests: list[tuple[int, Request]]) -> None:
        """Send a batch of requests."""
        self.write_frame(_encode(requests))


async def open_stream(
    address: str,
    port: int,
    secret: bytes,
    on_answers: Callable[[list[tuple[int, Answer]]], None],
    on_lost: Callable[[], None],
) -> GatewayStream:
    """Connect to a host. Raises OSError, TimeoutError or HandshakeFailed."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
        transport, stream = await loop.create_connection(
            lambda: GatewayStream(secret, on_answers, on_lost), address, port
        )
        try:
            await stream.ready
        except BaseException:
            transport.abort()
            raise
    return stream
