"""Frames of Socket.io, by its protocol (Engine.IO 4, Socket.io 5), and the handshake against a small server."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.loads.load import Load, Seat, run
from bench.wire.client import ConnectionLost, Incoming
from bench.wire.socket_io import SocketIoClient, bid_packet, event_of, reply_of


def test_a_bid_is_an_event_that_asks_for_an_acknowledgement():
    assert bid_packet(12, 7, 3, 1_020_000) == b'4212["bid",{"auctionId":7,"bidderId":3,"amount":1020000}]'


def test_an_accepted_bid_is_a_reply_with_its_number():
    reply = reply_of(b'4312[{"ok":true,"current":1020000,"seq":5}]')
    assert reply == Incoming(12, True, None, 5, price=1_020_000, minimum=1_020_001)


def test_a_refused_bid_is_a_reply_with_the_reason_and_the_minimum():
    reply = reply_of(b'430[{"ok":false,"reason":"bid_too_low","current":1020000}]')
    error = {"code": "bid_too_low", "minimum": 1_020_001}
    assert reply == Incoming(0, False, error, 0, price=1_020_000, minimum=1_020_001)


def test_a_bid_in_the_room_is_an_update_of_the_auction():
    event = event_of(b'42["bid",{"auctionId":7,"bidderId":3,"amount":1020000,"seq":5}]')
    assert event == Incoming(channel="auction:7", seq=5, data={"minimum": 1_020_001})


class Room:
    """Accepts every bid of one auction, and tells everybody."""

    def __init__(self) -> None:
        self.sockets: list[ServerConnection] = []
        self.seq = 0
        self.pongs = 0
        self.joined: list[str] = []

    async def serve(self, socket: ServerConnection) -> None:
        self.path = socket.request.path if socket.request else ""
        await socket.send('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}')
        assert await socket.recv() == "40"
        await socket.send('40{"sid":"t"}')
        await socket.send("2")
        async for packet in socket:
            await self._take(socket, str(packet))

    async def _take(self, socket: ServerConnection, packet: str) -> None:
        if packet == "3":
            self.pongs += 1
            return
        number = packet[2 : packet.index("[")]
        if '"join"' in packet:
            self.joined.append(packet[packet.index("[") :])
            self.sockets.append(socket)
            await socket.send(f'43{number}[{{"ok":true,"current":0}}]')
            return
        self.seq += 1
        for watcher in self.sockets:
            await watcher.send(f'42["bid",{{"auctionId":7,"bidderId":1,"amount":{self.seq},"seq":{self.seq}}}]')
        await socket.send(f'43{number}[{{"ok":true,"current":1,"seq":{self.seq}}}]')


@asynccontextmanager
async def serving(room: Room):
    async with serve(room.serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_load_bids_over_socket_io_and_keeps_every_ack():
    room = Room()
    async with serving(room) as url:
        load = Load(url, [Seat("7", ["1", "2"], 10, 5)], 30.0, 0.0, bids=20, wire="socket.io", keep_acks=True)
        measured = await run(load)
    assert room.path == "/socket.io/?EIO=4&transport=websocket"
    assert room.joined == ['["join",7]'] * 2
    assert room.pongs == 2
    assert measured.accepted >= 20
    assert measured.updates >= measured.accepted
    (acks,) = measured.acknowledged
    assert sorted(seq for seq, _ in acks) == list(range(1, room.seq + 1))
    # Each amount is two steps above the one before.
    assert sorted(amount for _, amount in acks) == [10 + 10 * (n + 1) for n in range(room.seq)]


async def test_a_server_that_closes_the_connection_is_a_lost_connection():
    async def refuse(socket: ServerConnection) -> None:
        await socket.close()

    lost: list[int] = []
    async with serve(refuse, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(10):
                await SocketIoClient.connect(url, 1, lambda code, reason: lost.append(code))
    assert lost == [1006]
