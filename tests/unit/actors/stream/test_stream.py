"""Command streams over real TCP: who gets in, and what happens to those who must not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from auction_examples import ANN, terms
from auction_requests import (
    accepted,
    bid_request,
    buy_request,
    cancel_request,
    close_request,
    open_request,
    refused,
    result_of,
    state_answer,
    state_request,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs
from virtual_time import turns, until

from actors.stream.connection import (
    FrameProtocol,
    GatewayHello,
    GatewayStream,
    HandshakeFailed,
    HostHello,
    HostProof,
    HostStream,
    open_stream,
    proof,
)
from actors.stream.messages import STREAM_FRAME_MAX, STREAM_VERSION, Accepted, Answer, Request
from domain.auction.views import PublicState
from tests.unit.actors.stream.stream_servers import (
    LOOPBACK,
    SECRET,
    Silence,
    echo,
    framed,
    host_server,
    read_frame,
    scripted_host,
)

encode = msgspec.msgpack.encode


class Answers(list[tuple[int, Answer]]):
    """What a gateway's end receives; ``lost`` counts the ends."""

    lost = 0

    def gone(self) -> None:
        self.lost += 1


async def connect(port: int, secret: bytes = SECRET) -> tuple[GatewayStream, Answers]:
    answers = Answers()
    return await open_stream(LOOPBACK, port, secret, answers.extend, answers.gone), answers


@asynccontextmanager
async def raw(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await turns()


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """Whether the other side ends the connection; what it sent before is read."""
    try:
        async with asyncio.timeout(5):
            while await reader.read(65_536):
                pass
    except ConnectionResetError:
        return True
    return True


async def test_requests_go_there_and_answers_come_back_in_any_order():
    silence = Silence()
    async with host_server(silence) as host:
        stream, answers = await connect(host.port)
        stream.send([(1, state_request(11)), (2, state_request(12))])
        stream.send([(3, state_request(13))])
        await until(lambda: len(silence.asked) == 3)
        silence.asked.reverse()
        silence.answer_all()
        await until(lambda: len(answers) == 3)
        assert answers == [(n, refused("not_found", 10 + n)) for n in (3, 2, 1)]


STATE = PublicState("id", "english", "t", "s", "open", 1, 2, None, 0, "none", 1, 2, 3, "shared")
REQUESTS: list[Request] = [
    bid_request(2**62, ANN, "ann", 10**15, "k" * 64), buy_request(1, ANN, "ann", "k"), state_request(1),
    open_request(1, terms()),
    cancel_request(1, ANN, True), close_request(1, ANN),
]  # fmt: skip
ANSWERS: list[Answer] = [
    accepted(1, 2, 3, "leading", 4, 5, 6), accepted(1, 2, 3, "won", 4, 5, 6, True), state_answer(1, 2, STATE, True),
    refused("bid_too_low", 1, 2, 3), refused("unavailable", 1, retry_after_ms=500),
    refused("insufficient_funds", 1, available=2, required=3),
]  # fmt: skip


def as_sent(answer: Answer) -> Answer:
    """With the result that a host has put in."""
    return replace(answer, result=result_of(answer)) if isinstance(answer, Accepted) else answer


async def test_every_kind_of_request_and_answer_survives_the_way():
    seen: list[Request] = []

    def submit(request: Request, request_id: int, reply: Callable[[int, Answer], None]) -> None:
        seen.append(request)
        reply(request_id, ANSWERS[request_id])

    async with host_server(submit) as host:
        stream, answers = await connect(host.port)
        stream.send(list(enumerate(REQUESTS)))
        await until(lambda: len(answers) == len(REQUESTS))
    assert seen == REQUESTS
    assert [(n, as_sent(answer)) for n, answer in answers] == list(enumerate(ANSWERS))


async def test_a_gateway_with_another_secret_is_refused():
    async with host_server() as host:
        with pytest.raises(HandshakeFailed):
            await connect(host.port, b"another secret")
        await until(lambda: not host.streams)


async def test_a_host_with_another_secret_is_refused():
    """It can't check the gateway, and sends a proof of its own making."""

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonce = b"n" * 32
        writer.write(framed(encode(HostHello(STREAM_VERSION, "h1", nonce))))
        hello = msgspec.msgpack.decode(await read_frame(reader), type=GatewayHello)
        # Sending the gateway's own proof back is no proof either.
        for made_up in (hello.proof, proof(b"another secret", b"host", hello.nonce, nonce)):
            writer.write(framed(encode(HostProof(made_up))))
        await is_cut(reader)

    async with scripted_host(impostor) as port:
        with pytest.raises(HandshakeFailed):
            await connect(port)


async def test_another_version_is_refused_by_both_sides():
    async def newer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(encode(HostHello(STREAM_VERSION + 1, "h1", b"n" * 32))))
        await is_cut(reader)

    async with scripted_host(newer) as port:
        with pytest.raises(HandshakeFailed):
            await connect(port)
    async with host_server() as host, raw(host.port) as (reader, writer):
        hello = msgspec.msgpack.decode(await read_frame(reader), type=HostHello)
        assert hello.version == STREAM_VERSION
        honest = proof(SECRET, b"gateway", hello.nonce, b"g" * 32)
        writer.write(framed(encode(GatewayHello(STREAM_VERSION + 1, b"g" * 32, honest))))
        assert await is_cut(reader)


async def test_a_proof_is_good_for_one_connection():
    async with host_server() as host:
        async with raw(host.port) as (reader, writer):
            hello = msgspec.msgpack.decode(await read_frame(reader), type=HostHello)
            greeting = framed(
                encode(GatewayHello(STREAM_VERSION, b"g" * 32, proof(SECRET, b"gateway", hello.nonce, b"g" * 32)))
            )
            writer.write(greeting)
            answered = msgspec.msgpack.decode(await read_frame(reader), type=HostProof)
            assert answered.proof == proof(SECRET, b"host", b"g" * 32, hello.nonce)
        async with raw(host.port) as (reader, writer):
            await read_frame(reader)
            writer.write(greeting)
            assert await is_cut(reader)


async def test_nothing_is_taken_before_the_proof():
    silence = Silence()
    async with host_server(silence) as host, raw(host.port) as (reader, writer):
        writer.write(framed(encode([(1, state_request(1))])))
        assert await is_cut(reader)
        assert silence.asked == []


@pytest.mark.parametrize(
    "sent",
    [
        (STREAM_FRAME_MAX + 1).to_bytes(4, "big"), b"\xff" * 64, framed(b""), framed(b"\xc1"), framed(encode({"a": 1})),
        framed(encode([1, "nonce", "proof"])), framed(encode([STREAM_VERSION, b"", b""])), b"GET / HTTP/1.1\r\n\r\n",
    ],
)  # fmt: skip
async def test_garbage_in_the_handshake_is_cut_off(sent: bytes):
    async with host_server() as host, raw(host.port) as (reader, writer):
        writer.write(sent)
        assert await is_cut(reader)
        await until(lambda: not host.streams)


@pytest.mark.parametrize(
    "sent",
    [
        framed(b"\xc1"), framed(encode([[1, ["z", 1]]])), framed(encode([[1, ["b", 1, 2, "n", 1.5, "k"]]])),
        framed(encode([["1", ["g", 1]]])), (STREAM_FRAME_MAX + 1).to_bytes(4, "big"), framed(encode("hello")),
    ],
)  # fmt: skip
async def test_garbage_after_the_handshake_cuts_this_stream_and_no_other(sent: bytes):
    async with host_server() as host:
        good, answers = await connect(host.port)
        bad, gone = await connect(host.port)
        assert bad.transport is not None
        bad.transport.write(sent)
        await until(lambda: gone.lost == 1)
        good.send([(1, state_request(7))])
        await until(lambda: answers)
    assert answers == [(1, refused("not_found", 7))]


async def test_a_gateway_that_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("actors.stream.connection.HANDSHAKE_TIMEOUT_S", 0.05)
    async with host_server() as host, raw(host.port) as (reader, _):
        assert await is_cut(reader)


async def test_a_host_that_says_nothing_times_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("actors.stream.connection.HANDSHAKE_TIMEOUT_S", 0.05)

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_cut(reader)

    async with scripted_host(mute) as port:
        with pytest.raises(TimeoutError):
            await connect(port)


async def test_a_host_that_closes_in_the_handshake_is_a_failed_handshake():
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with scripted_host(rude) as port:
        with pytest.raises(HandshakeFailed):
            await connect(port)


async def test_a_gateway_learns_that_its_stream_is_lost():
    async with host_server() as host:
        _, answers = await connect(host.port)
        host.cut()
        await until(lambda: answers.lost == 1)


async def test_frames_of_any_cut_arrive_whole():
    silence = Silence()
    async with host_server(silence) as host, raw(host.port) as (reader, writer):
        hello = msgspec.msgpack.decode(await read_frame(reader), type=HostHello)
        honest = proof(SECRET, b"gateway", hello.nonce, b"g" * 32)
        greeting = framed(encode(GatewayHello(STREAM_VERSION, b"g" * 32, honest)))
        for byte in greeting:
            writer.write(bytes([byte]))
            await writer.drain()
        await read_frame(reader)
        frames = b"".join(framed(encode([(n, state_request(n))])) for n in range(200))
        for start in range(0, len(frames), 7):
            writer.write(frames[start : start + 7])
        await until(lambda: len(silence.asked) == 200)
    assert [request for request, _, _ in silence.asked] == [state_request(n) for n in range(200)]


class Collected(FrameProtocol):
    """Keeps its frames."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[bytes] = []

    def frame_received(self, frame: bytes) -> None:
        self.frames.append(frame)


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=100)
def test_however_a_stream_is_cut_its_frames_are_the_same(frames: list[bytes], cuts: list[int]):
    whole = b"".join(framed(frame) for frame in frames)
    protocol, last = Collected(), 0
    for cut in [*sorted(c for c in cuts if c < len(whole)), len(whole)]:
        protocol.data_received(whole[last:cut])
        last = cut
    assert protocol.frames == frames


class Unread:
    """A transport whose other side does not read."""

    def __init__(self) -> None:
        self.size = 0
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.size += len(data)

    def get_write_buffer_size(self) -> int:
        return self.size

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


async def test_a_gateway_that_does_not_read_is_cut_off():
    transport: Any = Unread()
    stream = HostStream("h1", SECRET, echo, set(), unread_bytes_max=10_000)
    stream.connection_made(transport)
    with capture_logs() as logs:
        for _ in range(100):
            stream.write_frame(b"x" * 1_000)
    assert 10_000 < stream.unread_bytes == transport.size < 12_000
    stream.connection_lost(None)
    assert transport.aborted
    assert [entry["event"] for entry in logs] == ["stream_aborted"]


async def test_a_host_takes_so_many_streams_and_no_more():
    streams: set[HostStream] = set()
    transports: list[Any] = [Unread() for _ in range(3)]
    with capture_logs() as logs:
        for transport in transports:
            HostStream("h1", SECRET, echo, streams, streams_max=2).connection_made(transport)
    assert [transport.aborted for transport in transports] == [False, False, True]
    assert [entry["reason"] for entry in logs] == ["there are 2 streams already"]
    for stream in list(streams):
        stream.connection_lost(None)


async def test_answers_of_one_turn_go_out_as_one_frame():
    silence = Silence()
    async with host_server(silence) as host, raw(host.port) as (reader, writer):
        hello = msgspec.msgpack.decode(await read_frame(reader), type=HostHello)
        honest = proof(SECRET, b"gateway", hello.nonce, b"g" * 32)
        writer.write(framed(encode(GatewayHello(STREAM_VERSION, b"g" * 32, honest))))
        await read_frame(reader)
        writer.write(framed(encode([(n, state_request(n)) for n in range(50)])))
        await until(lambda: len(silence.asked) == 50)
        silence.answer_all()
        assert len(msgspec.msgpack.decode(await read_frame(reader))) == 50


async def test_answers_that_are_too_long_for_one_frame_go_out_as_several(monkeypatch: pytest.MonkeyPatch):
    # As a batch may have that asks for many trades, each with 30 long messages.
    monkeypatch.setattr("actors.stream.connection.STREAM_FRAME_MAX", 5_000)
    silence = Silence()
    async with host_server(silence) as host:
        stream, answers = await connect(host.port)
        stream.send([(n, state_request(n)) for n in range(50)])
        await until(lambda: len(silence.asked) == 50)
        long = [(n, refused("not_found", n, detail="x" * 900)) for n in range(50)]
        for (_, request_id, reply), (_, answer) in zip(silence.asked, long, strict=True):
            reply(request_id, answer)
        await until(lambda: len(answers) == 50 or answers.lost)
        assert (list(answers), answers.lost) == (long, 0)
