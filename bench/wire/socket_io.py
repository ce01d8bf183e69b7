"""A lean client of Socket.io 4 (Engine.IO 4) over the same WebSocket library as our own: text frames, no long polling.

It speaks to the peers on Node.js (`bench/peers/node/`) and has what a closed-loop bidder needs of `WireClient`.
"""

import asyncio
from typing import Any, Self

import msgspec
import picows

from bench.wire.client import (
    CLOSE_CODE_ABNORMAL,
    CONNECT_DEADLINE_S,
    INCOMING_FRAME_BYTES_MAX,
    ConnectionLost,
    Incoming,
    OnClose,
    OnEvent,
    Reply,
)

# Engine.IO's packet types, then Socket.io's behind Engine.IO's `4`.
OPEN, PING, PONG = b"0", b"2", b"3"
CONNECT, EVENT, ACK = b"40", b"42", b"43"


class PlacedBid(msgspec.Struct, gc=False):
    """What the room receives of an accepted bid."""

    auctionId: int
    amount: int
    seq: int


class Answer(msgspec.Struct, gc=False):
    """The argument of an acknowledgement. `current` is the price."""

    ok: bool
    current: int = 0
    seq: int = 0
    reason: str = ""


_decode_event = msgspec.json.Decoder(tuple[str, PlacedBid]).decode
_decode_answer = msgspec.json.Decoder(tuple[Answer]).decode
_encode = msgspec.json.Encoder().encode


def bid_packet(packet_id: int, auction: int, bidder: int, amount: int) -> bytes:
    """A bid that asks for an acknowledgement."""
    return _packet(packet_id, "bid", {"auctionId": auction, "bidderId": bidder, "amount": amount})


def _packet(packet_id: int, event: str, argument: Any) -> bytes:
    return b"%b%d%b" % (EVENT, packet_id, _encode([event, argument]))


def event_of(packet: bytes) -> Incoming:
    """An accepted bid of the auction's room, as an update."""
    _, bid = _decode_event(packet[len(EVENT) :])
    return Incoming(channel=f"auction:{bid.auctionId}", seq=bid.seq, data={"minimum": bid.amount + 1})


def reply_of(packet: bytes) -> Incoming:
    """An acknowledgement, as a reply."""
    start = packet.index(b"[")
    (answer,) = _decode_answer(packet[start:])
    minimum = answer.current + 1
    error = None if answer.ok else {"code": answer.reason, "minimum": minimum}
    return Incoming(
        int(packet[len(ACK) : start]), answer.ok, error, answer.seq, price=answer.current, minimum=minimum
    )  # fmt: skip


class SocketIoClient(picows.WSListener):  # type: ignore[misc]
    """One connection in the default namespace. Made by `connect`."""

    def __init__(self, bidder: int, on_close: OnClose | None) -> None:
        self.on_event: OnEvent | None = None
        self.closed: ConnectionLost | None = None
        self._bidder = bidder
        self._on_close = on_close
        self._transport: Any = None
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting: dict[int | str | None, Reply] = {}
        self._last_id = 0

    @classmethod
    async def connect(cls, base_url: str, bidder: int, on_close: OnClose | None = None) -> Self:
        """Connect and enter the default namespace. Raises ConnectionLost."""
        client = cls(bidder, on_close)
        url = f"ws{base_url.rstrip('/').removeprefix('http')}/socket.io/?EIO=4&transport=websocket"
        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                await picows.ws_connect(lambda: client, url, max_frame_size=INCOMING_FRAME_BYTES_MAX)
                await client._connected
        except (OSError, picows.WSError, TimeoutError) as error:
            raise ConnectionLost(CLOSE_CODE_ABNORMAL, str(error)) from error
        return client

    async def subscribe(self, channel: str) -> None:
        """Enter the room of an auction, `auction:<id>`. Raises ConnectionLost."""
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last_id += 1
        self._waiting[self._last_id] = lambda _reply, _payload: entered.set_result(None)
        self._send(_packet(self._last_id, "join", int(channel.removeprefix("auction:"))))
        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                await entered
        except TimeoutError as error:
            raise ConnectionLost(CLOSE_CODE_ABNORMAL, "no answer to join") from error

    def send_bid(self, auction: str, amount: int, _key: str, answered: Reply) -> None:
        """Send a bid; `answered` is called with the acknowledgement. Raises ConnectionLost."""
        self._last_id = packet_id = self._last_id + 1
        self._waiting[packet_id] = answered
        self._send(bid_packet(packet_id, int(auction), self._bidder, amount))

    def _send(self, packet: bytes) -> None:
        if self.closed is not None:
            raise ConnectionLost(self.closed.code, self.closed.reason)
        self._transport.send(picows.WSMsgType.TEXT, packet)

    # --- called by picows ---

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == picows.WSMsgType.TEXT:
            self._take(frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()

    def _take(self, packet: bytes) -> None:
        kind = packet[:2]
        if kind == EVENT:
            if self.on_event is not None:
                self.on_event(event_of(packet))
        elif kind == ACK:
            reply = reply_of(packet)
            answered = self._waiting.pop(reply.id, None)
            if answered is not None:
                answered(reply, packet)
        elif packet == PING:
            self._send(PONG)
        elif kind == CONNECT:
            if not self._connected.done():
                self._connected.set_result(None)
        elif packet[:1] == OPEN:
            self._send(CONNECT)

    def on_ws_disconnected(self, transport: Any) -> None:
        self.closed = ConnectionLost(CLOSE_CODE_ABNORMAL)
        self._waiting.clear()
        if not self._connected.done():
            self._connected.set_exception(self.closed)
        if self._on_close is not None:
            self._on_close(self.closed.code, self.closed.reason)
