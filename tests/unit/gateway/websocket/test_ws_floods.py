"""Frames that are no messages, in any number: they count like all else, and who floods is closed."""

import asyncio

import pytest
from auction_examples import AUCTION
from virtual_time import until

from bench.loads.attackers import HANDSHAKE
from gateway.websocket.connection import SessionLimits
from gateway.websocket.token_bucket import VIOLATIONS_MAX
from gateway.wire.codec import JSON_SUBPROTOCOL
from tests.unit.gateway.websocket.test_ws_turns import raw_bid, write_raw
from tests.unit.gateway.websocket.ws_serving import Client, Server, connected, serving

BURST = SessionLimits().commands_burst
# More than may come at once, and less than a flood.
MORE = BURST + VIOLATIONS_MAX - 100
HELLO = b'{"op":"hello","id":1}'


def raw(first: int, payload: bytes = b"") -> bytes:
    """A client's whole frame, masked with zeros."""
    return bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload


PING, PONG, FRAGMENT = raw(0x89, b"x" * 125), raw(0x8A, b"x"), raw(0x00)


async def flooded(server: Server, client: Client, frame: bytes) -> None:
    """Send the frame on and on until the server has closed."""
    while not client.ws.transport.is_closing() and len(server.sockets):
        client.ws.transport.write(frame * 200)
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("begin", [b"", HELLO])
@pytest.mark.parametrize("frame", [PING, PONG, FRAGMENT], ids=["pings", "pongs", "fragments"])
async def test_a_flood_of_frames_that_are_no_messages_is_closed_like_one_of_commands(begin: bytes, frame: bytes):
    async with serving() as server, connected(server, JSON_SUBPROTOCOL) as client, connected(server) as other:
        await other.hello(server)
        if begin:
            write_raw(client, raw(0x81, begin))
        if frame is FRAGMENT:
            write_raw(client, raw(0x01, b"{"))
        flooding = asyncio.create_task(flooded(server, client, frame))
        await until(lambda: server.sockets.traffic.closed["4002"] == 1)
        assert (await other.ask("ping"))["ok"] is True
        flooding.cancel()
        taken = server.sockets.traffic.received_frames
        assert VIOLATIONS_MAX + BURST <= taken < VIOLATIONS_MAX + 3 * BURST


async def test_pings_of_a_client_that_reads_nothing_end_with_its_unsent_bytes():
    async with serving() as server, connected(server) as client:
        await client.hello(server)
        client.ws.transport.pause_reading()
        [session] = server.sockets._open
        # As if that much waited for it: pongs would come on top.
        session._outbox.unsent_bytes = lambda: 100_001  # type: ignore[method-assign]
        write_raw(client, PING)
        await until(lambda: session._outbox.closed_with == 4001)


async def test_pings_within_the_rate_are_answered_and_some_more_end_nothing():
    async with serving(commands_per_s=1) as server, connected(server) as client:
        await client.hello(server)
        async with asyncio.timeout(5):
            await (await client.ws.ping())
        write_raw(client, PING * MORE)
        assert (await client.ask("ping"))["error"]["code"] == "rate_limited"
        assert len(server.sockets) == 1


async def test_a_fragment_is_never_left_out_of_its_message():
    async with serving(commands_per_s=1) as server, connected(server, JSON_SUBPROTOCOL) as client:
        await client.hello(server)
        parts = [b'{"op":"ping","id":7', *[b" "] * MORE, b"}"]
        frames = [raw(0x01, parts[0]), *(raw(0x00, part) for part in parts[1:-1]), raw(0x80, parts[-1])]
        write_raw(client, b"".join(frames))
        # Whole, and one too many.
        reply = await client.next()
        assert (reply["id"], reply["error"]["code"]) == (7, "rate_limited")


async def test_what_comes_with_the_handshake_waits_for_its_session():
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HANDSHAKE + raw(0x81, HELLO) + PING)
        async with asyncio.timeout(5):
            assert b"101 Switching Protocols" in await reader.readuntil(b"\r\n\r\n")
            [_, size] = await reader.readexactly(2)
            reply = await reader.readexactly(
                int.from_bytes(await reader.readexactly(2), "big") if size == 126 else size
            )
            assert b'"ok":true' in reply
            assert await reader.readexactly(2) == bytes([0x8A, 125])
        writer.close()
        await writer.wait_closed()


async def test_a_length_that_is_written_longer_than_need_be_changes_nothing():
    async with serving() as server, connected(server) as client:
        await client.hello(server)
        payload = raw_bid(1)[6:]
        write_raw(client, bytes([0x82, 0xFF]) + len(payload).to_bytes(8, "big") + bytes(4) + payload)
        write_raw(client, raw_bid(2, auction=AUCTION + 1))
        await until(lambda: len(server.routes.sent) == 2)
        assert [request.entity for request, _ in server.routes.sent] == [AUCTION, AUCTION + 1]


async def test_who_goes_on_sending_after_the_close_is_cut_off():
    async with serving() as server, connected(server) as client:
        await client.hello(server)
        client.ws.transport.pause_reading()
        [session] = server.sockets._open
        session._outbox.close(4002, "enough")
        flooding = asyncio.create_task(flooded(server, client, PING * 100))
        # Long before the deadline of the closing handshake.
        await until(lambda: len(server.sockets) == 0)
        flooding.cancel()
