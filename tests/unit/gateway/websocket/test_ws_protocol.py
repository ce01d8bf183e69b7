"""The WebSocket end to end: a real uvicorn on loopback, real clients, sessions with a router in the test's hands."""

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import websockets.asyncio.client as ws_client
from auction_examples import AUCTION
from auction_requests import answered, refused
from virtual_time import until
from websockets.exceptions import ConnectionClosed, InvalidStatus

from domain.ids import id_text
from gateway.wire.codec import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL
from tests.unit.gateway.websocket.sessions import update
from tests.unit.gateway.websocket.ws_serving import CHANNEL, FRAME_MAX, Client, Server, connected, serving

BOTH = pytest.mark.parametrize("subprotocol", [MSGPACK_SUBPROTOCOL, JSON_SUBPROTOCOL])


@BOTH
async def test_bids_subscriptions_and_updates_in_both_forms(subprotocol: str):
    async with serving() as server, connected(server, subprotocol) as client:
        assert client.ws.subprotocol == subprotocol
        await client.hello(server)
        reply = await client.ask("subscribe", channel=CHANNEL)
        assert (reply["ok"], reply["seq"], reply["state"]["leader"]) == (True, 2, "ann")
        await client.send({"op": "bid", "id": 9, "auction": id_text(AUCTION), "amount": 5, "key": "k"})
        await until(lambda: server.routes.sent)
        server.routes.sent[0][1](answered(1, 3, 100, "leading", 5, 6, 200))
        ack = await client.next()
        assert (ack["id"], ack["seq"], ack["outcome"]) == (9, 3, "leading")
        server.listener.announce(update(3, 3))
        frame = await client.next()
        assert (frame["channel"], frame["seq"], frame["type"]) == (CHANNEL, 3, "bid")


async def test_without_a_subprotocol_the_client_speaks_json():
    async with serving() as server, ws_client.connect(server.url, compression=None) as ws:
        await ws.send('{"op":"ping","id":1}')
        assert msgspec.json.decode(await ws.recv())["error"]["code"] == "unauthenticated"


async def test_of_several_subprotocols_the_first_known_one_is_spoken():
    async with serving() as server:
        offered = ["ece.v9.cbor", JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL]
        async with ws_client.connect(server.url, subprotocols=offered, compression=None) as ws:
            assert ws.subprotocol == JSON_SUBPROTOCOL


async def test_unknown_subprotocols_are_refused_in_the_handshake():
    async with serving() as server:
        with pytest.raises(InvalidStatus) as refused:
            await ws_client.connect(server.url, subprotocols=["ece.v9.cbor"])
        assert refused.value.response.status_code == 400


async def test_a_full_gateway_refuses_in_the_handshake_and_makes_room_again():
    async with serving(sockets_max=2) as server:
        async with connected(server), connected(server):
            with pytest.raises(InvalidStatus) as refused:
                await ws_client.connect(server.url, subprotocols=[JSON_SUBPROTOCOL])
            assert refused.value.response.status_code == 503
        await until(lambda: len(server.sockets) == 0)
        async with connected(server) as client:
            await client.hello(server)


async def test_an_address_has_its_share_of_the_sockets_also_behind_a_proxy():
    # The proxy is this machine; each address may have one.
    async with serving() as server:

        def behind(address: str) -> Any:
            return connected(server, JSON_SUBPROTOCOL, additional_headers={"X-Forwarded-For": address})

        async with behind("192.0.2.1"), behind("192.0.2.2"):
            with pytest.raises(InvalidStatus) as refused:
                async with behind("192.0.2.1"):
                    pass
            assert refused.value.response.status_code == 429
            assert msgspec.json.decode(refused.value.response.body)["code"] == "rate_limited"
        await until(lambda: len(server.sockets) == 0)
        async with behind("192.0.2.1") as client:
            await client.hello(server)


@BOTH
@pytest.mark.parametrize("size", [0, 1, 50, 100, 200, 1_000, FRAME_MAX - 100])
async def test_frames_of_every_size_below_the_limit_are_taken(subprotocol: str, size: int):
    async with serving() as server, connected(server, subprotocol) as client:
        await client.hello(server)
        reply = await client.ask("ping", client_time=7, filling="x" * size)
        assert (reply["ok"], reply["client_time"]) == (True, 7)


@pytest.mark.parametrize("size", [FRAME_MAX + 1, 4 * FRAME_MAX, 4 * FRAME_MAX + 1, 65_535, 65_536, 300_000])
async def test_a_frame_that_is_too_large_is_closed_with_our_code(size: int):
    async with serving() as server, connected(server) as client, connected(server) as other:
        await other.hello(server)
        await client.hello(server)
        with contextlib.suppress(ConnectionClosed):
            await client.ws.send(b"x" * size)
        assert await client.close_code() == 4502
        assert (await other.ask("ping"))["ok"] is True


@BOTH
async def test_fragments_are_put_together(subprotocol: str):
    async with serving() as server, connected(server, subprotocol) as client:
        await client.hello(server)
        whole = client.encoded({"op": "ping", "id": 5, "client_time": 8})
        await client.ws.send([whole[:3], whole[3:4], whole[4:]])
        assert (await client.next())["client_time"] == 8
        # A ping of the protocol between fragments, then a whole frame again.
        await client.ws.send(fragments_with_a_ping_between(client, whole))
        assert (await client.next())["client_time"] == 8
        assert (await client.ask("ping", client_time=9))["client_time"] == 9


async def fragments_with_a_ping_between(client: Client, whole: Any) -> AsyncIterator[Any]:
    yield whole[:3]
    await client.ws.ping()
    yield whole[3:]


async def test_fragments_that_are_too_large_together_are_closed():
    async with serving() as server, connected(server) as client:
        await client.hello(server)
        with contextlib.suppress(ConnectionClosed):
            await client.ws.send([b"x" * FRAME_MAX] * 6)
        assert await client.close_code() == 4502


@pytest.mark.parametrize(
    ("subprotocol", "data"),
    [(MSGPACK_SUBPROTOCOL, b"\xc1"), (MSGPACK_SUBPROTOCOL, "{}"), (JSON_SUBPROTOCOL, "{"), (JSON_SUBPROTOCOL, b"{}")],
)
async def test_what_can_not_be_read_is_closed(subprotocol: str, data: bytes | str):
    async with serving() as server, connected(server, subprotocol) as client:
        await client.ws.send(data)
        assert await client.close_code() == 4500
        await until(lambda: len(server.sockets) == 0)


async def test_a_close_by_the_server_ends_at_once_and_orderly():
    async with serving() as server, connected(server) as client:
        await client.send({"op": "hello", "id": 1, "token": "nonsense"})
        assert await client.close_code() == 4501


async def test_a_close_by_the_client_ends_the_session():
    async with serving() as server:
        async with connected(server) as client:
            await client.hello(server)
            await client.ask("subscribe", channel=CHANNEL)
            assert len(server.sockets) == 1
        await until(lambda: len(server.sockets) == 0)
        assert all(not channel.subscriptions for channel in server.auctions.channels.values())


async def test_a_client_that_vanishes_ends_the_session():
    async with serving() as server, connected(server) as client:
        await client.hello(server)
        client.ws.transport.abort()
        await until(lambda: len(server.sockets) == 0)


async def test_pings_of_the_protocol_are_answered():
    async with serving() as server, connected(server) as client:
        await client.hello(server)
        async with asyncio.timeout(5):
            await (await client.ws.ping())


async def test_draining_sends_all_away_to_come_back_and_lets_no_one_in():
    async with serving() as server, connected(server) as one, connected(server, JSON_SUBPROTOCOL) as other:
        await one.hello(server)
        await other.hello(server)
        async with asyncio.timeout(2):
            drained = asyncio.create_task(server.sockets.drain())
            assert [await one.close_code(), await other.close_code()] == [1012, 1012]
            await drained
        with pytest.raises(InvalidStatus):
            await ws_client.connect(server.url, subprotocols=[JSON_SUBPROTOCOL])


async def test_who_does_not_read_is_closed_and_nobody_else_notices():
    async with serving() as server, connected(server) as reader, connected(server, max_queue=1) as slow:
        for client in (reader, slow):
            await client.hello(server)
            await client.ask("subscribe", channel=CHANNEL)
        slow.ws.transport.pause_reading()
        seq = 2
        while len(server.sockets) == 2:
            seq += 1
            server.listener.announce(update(seq, seq, title="x" * 150_000))
            server.listener.announce(update(seq + 5, title="x" * 150_000))
            seq += 5
            frame = await reader.next()
            while frame["seq"] < seq:
                frame = await reader.next()
            assert seq < 5_000, "the slow one was never closed"
            if server.auctions.channels[AUCTION].subscriptions and slow_is_closing(server):
                break
        assert (await reader.ask("ping"))["ok"] is True
        slow.ws.transport.resume_reading()
        assert await slow.close_code() == 4001


def slow_is_closing(server: Server) -> bool:
    return any(session._outbox._connection.close_sent for session in server.sockets._open)


# -- below the client library: bytes as they come


class Raw:
    """A TCP connection that has shaken hands as a WebSocket, and what it reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def frame(self) -> tuple[int, bytes]:
        """(first byte, payload) of the next frame."""
        async with asyncio.timeout(5):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            return first, await self.reader.readexactly(size)

    async def reply(self) -> dict[str, Any]:
        first, payload = await self.frame()
        assert first == 0x82
        decoded: dict[str, Any] = msgspec.msgpack.decode(payload)
        return decoded

    async def close_code(self) -> int:
        while True:
            first, payload = await self.frame()
            if first == 0x88:
                return int(struct.unpack(">H", payload[:2])[0])


def masked(payload: bytes, first: int = 0x82, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """A client's frame."""
    size = len(payload)
    head = bytes([first, 0x80 | size]) if size < 126 else bytes([first, 0xFE]) + size.to_bytes(2, "big")
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def ping(number: int, filling: int = 0) -> bytes:
    return msgspec.msgpack.encode({"op": "ping", "id": number, "x": "y" * filling})


def hello(server: Server) -> bytes:
    return msgspec.msgpack.encode({"op": "hello", "id": 0, "token": server.token})


@asynccontextmanager
async def raw(server: Server, early: bytes = b"") -> AsyncIterator[Raw]:
    """``early`` goes out with the handshake, before the server has answered it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ece.v1.msgpack\r\n\r\n" + early
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101")
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 1_000])
async def test_however_the_bytes_arrive_the_frames_are_the_same(step: int):
    async with serving() as server, raw(server) as client:
        client.writer.write(masked(hello(server)))
        assert (await client.reply())["ok"] is True
        numbers = list(range(1, 8))
        data = b"".join(masked(ping(n, filling=n * 40), mask=os.urandom(4)) for n in numbers)
        for start in range(0, len(data), step):
            client.writer.write(data[start : start + step])
            if step < 100:
                await asyncio.sleep(0)
        assert [(await client.reply())["id"] for _ in numbers] == numbers


async def test_frames_sent_before_the_handshake_was_answered_are_taken_in_their_order():
    """RFC 6455 has the client wait. One that does not loses nothing, and no frame begins in the middle of another."""
    async with serving() as server:
        bid = msgspec.msgpack.encode({"op": "bid", "id": 1, "auction": id_text(AUCTION), "amount": 5, "key": "k"})
        async with raw(server, masked(hello(server)) + masked(bid)[:5]) as client:
            client.writer.write(masked(bid)[5:] + masked(bid))
            await until(lambda: len(server.routes.sent) == 2)
            assert (await client.reply())["ok"] is True


async def test_a_close_frame_in_the_same_packet_as_others_is_the_end():
    async with serving() as server, raw(server) as client:
        client.writer.write(masked(hello(server)) + masked(struct.pack(">H", 1000), first=0x88) + masked(ping(1)))
        assert (await client.reply())["ok"] is True
        assert await client.close_code() == 1000
        async with asyncio.timeout(2):
            assert await client.reader.read() == b""
        await until(lambda: len(server.sockets) == 0)


async def test_what_comes_after_a_broken_frame_is_not_looked_at():
    async with serving() as server, raw(server) as client:
        bid = msgspec.msgpack.encode({"op": "bid", "id": 1, "auction": id_text(AUCTION), "amount": 5, "key": "k"})
        client.writer.write(masked(hello(server)) + masked(b"\xc1") + masked(bid))
        assert (await client.reply())["ok"] is True
        assert await client.close_code() == 4500
        assert server.routes.sent == []


@pytest.mark.parametrize(
    "faulty",
    [
        bytes([0x82, 1, 0x80]),  # not masked
        masked(b"\x80", first=0xC2),  # a reserved bit
        masked(b"\x80", first=0x83),  # a reserved opcode
        masked(b"x" * 126, first=0x89),  # a ping that is too long
        masked(b"\x80", first=0x80),  # a continuation of nothing
        masked(b"\x80", first=0x02) + masked(b"\x80", first=0x82),  # a new message within another
        masked(b"", first=0x02) + masked(b"\x80", first=0x82),
        masked(b"", first=0x09),  # a ping in fragments
        masked(b"\x00", first=0x88),  # a close with half a code
    ],
)
async def test_frames_against_the_rules_of_websockets_end_the_connection(faulty: bytes):
    async with serving() as server, raw(server) as client, connected(server) as other:
        await other.hello(server)
        client.writer.write(masked(hello(server)) + faulty)
        assert (await client.reply())["ok"] is True
        assert await client.close_code() == 1002
        await until(lambda: len(server.sockets) == 1)
        assert (await other.ask("ping"))["ok"] is True


async def test_text_that_is_not_utf8_ends_the_connection():
    async with serving() as server, connected(server, JSON_SUBPROTOCOL) as client:
        client.ws.transport.write(masked(b'{"op":"ping","id":"\xff"}', first=0x81))
        assert await client.close_code() in (1007, 4500)


async def test_who_sends_on_and_on_after_the_close_fills_no_memory():
    async with serving() as server, raw(server) as client:
        client.writer.write(masked(b"\xc1"))
        assert await client.close_code() == 4500
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                client.writer.write(masked(b"x" * 4_000))
                await client.writer.drain()
        kept = [len(session._outbox._connection._partial) for session in server.sockets._open]
        assert sum(kept) < 100_000
        async with asyncio.timeout(15):
            await until(lambda: len(server.sockets) == 0, within_s=15)


async def test_an_answer_for_a_client_that_is_gone_does_no_harm():
    async with serving() as server:
        async with connected(server) as client:
            await client.hello(server)
            await client.send({"op": "bid", "id": 9, "auction": id_text(AUCTION), "amount": 5, "key": "k"})
            await until(lambda: server.routes.sent)
        await until(lambda: len(server.sockets) == 0)
        server.routes.sent[0][1](refused("unavailable", 1))
        async with connected(server) as client:
            await client.hello(server)
