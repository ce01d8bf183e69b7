"""A lean client of the engine's WebSocket protocol (docs/protocol.md), for replays, benches and tests.

Money is integer base units (USD 1.00 = 1_000_000), time integer milliseconds. One reader, no tasks: what comes in is
handled in the socket's own callback, so that a closed-loop bidder costs a few microseconds a bid.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import msgspec
import picows

MSGPACK = "ece.v1.msgpack"
JSON = "ece.v1.json"
CONNECT_DEADLINE_S = 10.0
REQUEST_DEADLINE_S = 10.0
SURE_DEADLINE_S = 60.0
BACKOFF_FIRST_S = 0.02
BACKOFF_MAX_S = 1.0
INCOMING_FRAME_BYTES_MAX = 16 * 1024 * 1024
# 4500–4999 mean "don't come back"; 1006 is what a connection without a closing handshake is called.
CLOSE_CODES_FINAL = range(4500, 5000)
CLOSE_CODE_ABNORMAL = 1006
RETRIED_CODES = frozenset({"unavailable", "overloaded", "rate_limited", "still_running"})


class Incoming(msgspec.Struct, gc=False):
    """Any frame of the server: a reply has `id`, an update has `channel`. Absent fields keep these values."""

    id: int | str | None = None
    ok: bool = False
    error: dict[str, Any] | None = None
    seq: int = 0
    at: int = 0
    outcome: str = ""
    price: int = 0
    minimum: int = 0
    ends_at: int | None = None
    duplicate: bool = False
    channel: str | None = None
    epoch: int | str | None = None
    type: str = ""
    data: dict[str, Any] | None = None


class BidFrame(msgspec.Struct, gc=False):
    id: int
    auction: str
    amount: int
    key: str
    op: str = "bid"


@dataclass(frozen=True)
class Refusal:
    """The server's `error` of a reply: nothing happened, unless the code is `unavailable`."""

    code: str
    fields: dict[str, Any] = field(default_factory=dict)


class WireTrouble(Exception):
    """A request or a connection failed."""


class RequestRefused(WireTrouble):
    """A request got an error where only success makes sense."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.fields.get('message', '')}")
        self.refusal = refusal


class ConnectionLost(WireTrouble):
    """The connection ended, or never came to be. What was asked and not answered has an unknown outcome."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"connection closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason

    @property
    def final(self) -> bool:
        """The server asked not to come back with this token or these frames."""
        return self.code in CLOSE_CODES_FINAL


class NotAnswered(WireTrouble):
    """No reply within the deadline: the outcome is unknown."""


@dataclass(frozen=True)
class Ack:
    """An accepted bid. `outcome` is `leading` or `outbid` (or `won`)."""

    auction: str
    seq: int
    at: int
    outcome: str
    price: int
    minimum: int
    ends_at: int | None
    duplicate: bool


Reply = Callable[[Incoming, memoryview | bytes], None]
OnEvent = Callable[[Incoming], None]
OnClose = Callable[[int, str], None]


class WireClient(picows.WSListener):  # type: ignore[misc]
    """One connection. Made by `connect`; everything below runs in the event loop's thread."""

    def __init__(self, subprotocol: str = MSGPACK) -> None:
        self.on_event: OnEvent | None = None
        self.on_close: OnClose | None = None
        self.session: dict[str, Any] = {}
        self.closed: ConnectionLost | None = None
        codec: Any = msgspec.json if subprotocol == JSON else msgspec.msgpack
        self._message = picows.WSMsgType.TEXT if subprotocol == JSON else picows.WSMsgType.BINARY
        self.encode: Callable[[Any], bytes] = codec.Encoder().encode
        self._decode_incoming: Callable[[Any], Incoming] = codec.Decoder(Incoming).decode
        self._decode_map: Callable[[Any], dict[str, Any]] = codec.Decoder(dict[str, Any]).decode
        self._transport: Any = None
        self._waiting: dict[int | str | None, Reply] = {}
        # What only learns that the connection is gone: the futures of `request`.
        self._futures: set[asyncio.Future[dict[str, Any]]] = set()
        self._last_id = 0
        self._parts: list[bytes] = []
        self._heartbeat: asyncio.TimerHandle | None = None
        self._last_sent_s = 0.0

    @classmethod
    async def connect(
        cls,
        base_url: str,
        token: str | None = None,
        *,
        subprotocol: str = MSGPACK,
        hello: bool = True,
        on_event: OnEvent | None = None,
        on_close: OnClose | None = None,
        deadline_s: float = CONNECT_DEADLINE_S,
        source: str | None = None,
    ) -> Self:
        """Connect to `<base_url>/ws`, from the local address `source`, and say hello.

        Raises ConnectionLost, or RequestRefused for a bad token.
        """
        client = cls(subprotocol)
        client.on_event, client.on_close = on_event, on_close
        try:
            await picows.ws_connect(
                lambda: client,
                "ws" + base_url.rstrip("/").removeprefix("http") + "/ws",
                websocket_handshake_timeout=deadline_s,
                extra_headers={"Sec-WebSocket-Protocol": subprotocol},
                max_frame_size=INCOMING_FRAME_BYTES_MAX,
                **({} if source is None else {"local_addr": (source, 0)}),
            )
        except (OSError, picows.WSError, TimeoutError) as error:
            raise ConnectionLost(CLOSE_CODE_ABNORMAL, str(error)) from error
        if client._transport is None:
            # The connection went down between the server's consent and now.
            raise ConnectionLost(CLOSE_CODE_ABNORMAL, "lost while connecting")
        if hello:
            await client._hello(token, deadline_s)
        return client

    async def _hello(self, token: str | None, deadline_s: float) -> None:
        try:
            self.session = await self.request("hello", deadline_s, **({"token": token} if token else {}))
        except BaseException:
            self.close()
            raise
        heartbeat_ms = self.session.get("heartbeat_ms")
        if isinstance(heartbeat_ms, int) and heartbeat_ms > 0:
            self._beat(heartbeat_ms / 1000)

    # --- requests ---

    async def request(self, op: str, deadline_s: float = REQUEST_DEADLINE_S, /, **fields: Any) -> dict[str, Any]:
        """Send one frame and wait for its reply. Raises RequestRefused, ConnectionLost or NotAnswered."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        request_id = self._next_id()

        def answered(reply: Incoming, payload: memoryview | bytes) -> None:
            if future.done():
                return
            if reply.ok:
                future.set_result(self._decode_map(payload))
            else:
                future.set_exception(RequestRefused(refusal_of(reply)))

        self._waiting[request_id] = answered
        self._futures.add(future)
        try:
            self.send_map({"op": op, "id": request_id, **fields})
            async with asyncio.timeout(deadline_s):
                return await future
        except TimeoutError:
            raise NotAnswered(f"no reply to {op} within {deadline_s:g} s") from None
        finally:
            self._futures.discard(future)
            self._waiting.pop(request_id, None)

    async def bid(self, auction: str, amount: int, key: str, deadline_s: float = REQUEST_DEADLINE_S) -> Ack | Refusal:
        """Bid once. Raises ConnectionLost or NotAnswered: then send the same key again (see `bid_surely`)."""
        try:
            reply = await self.request("bid", deadline_s, auction=auction, amount=amount, key=key)
        except RequestRefused as refused:
            return refused.refusal
        return msgspec.convert(reply, Ack)

    async def subscribe(self, channel: str, since: dict[str, Any] | None = None) -> dict[str, Any]:
        """Subscribe to a channel; updates go to `on_event`. The reply has `epoch`, `seq` and `state` or `events`."""
        return await self.request("subscribe", channel=channel, **({"since": since} if since else {}))

    def send_bid(self, auction: str, amount: int, key: str, answered: Reply) -> None:
        """The cheap way: no future, no deadline; `answered` is called with the reply. Raises ConnectionLost."""
        self._last_id = request_id = self._last_id + 1
        self._waiting[request_id] = answered
        self.send_raw(self.encode(BidFrame(request_id, auction, amount, key)))

    def send_bids(self, bids: list[tuple[str, int, str, Reply]]) -> None:
        """Several bids, `(auction, amount, key, answered)`, with one system call. Raises ConnectionLost."""
        if self.closed is not None:
            raise ConnectionLost(self.closed.code, self.closed.reason)
        frames = []
        for auction, amount, key, answered in bids:
            self._last_id = request_id = self._last_id + 1
            self._waiting[request_id] = answered
            frames.append(_client_frame(self._message, self.encode(BidFrame(request_id, auction, amount, key))))
        self._last_sent_s = time.monotonic()
        self._transport.underlying_transport.write(b"".join(frames))

    def send_map(self, frame: dict[str, Any]) -> None:
        """Send any map. Raises ConnectionLost when the connection is gone."""
        self.send_raw(self.encode(frame))

    def send_raw(self, frame: bytes) -> None:
        """Send bytes as they are, right or wrong. Raises ConnectionLost when the connection is gone."""
        if self.closed is not None:
            raise ConnectionLost(self.closed.code, self.closed.reason)
        self._last_sent_s = time.monotonic()
        self._transport.send(self._message, frame)

    def close(self) -> None:
        """Close with a closing handshake; safe to call twice."""
        if self._transport is not None and self.closed is None:
            self._transport.send_close(picows.WSCloseCode.OK)
            self._transport.disconnect()

    def cut(self) -> None:
        """Disconnect without a closing handshake, as a lost network would."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def wait_closed(self) -> ConnectionLost:
        """Wait for the end of the connection and say what it was."""
        await self._transport.wait_disconnected()
        assert self.closed is not None
        return self.closed

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # --- called by picows ---

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == self._message and frame.fin:
            self._take(frame.get_payload_as_memoryview())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type in (self._message, picows.WSMsgType.CONTINUATION):
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._take(whole)

    def _take(self, payload: memoryview | bytes) -> None:
        incoming = self._decode_incoming(payload)
        if incoming.channel is not None:
            if self.on_event is not None:
                self.on_event(incoming)
            return
        answered = self._waiting.pop(incoming.id, None)
        if answered is not None:
            answered(incoming, payload)

    def on_ws_disconnected(self, transport: Any) -> None:
        handshake = transport.close_handshake
        received = handshake.recv if handshake is not None else None
        lost = ConnectionLost(int(received.code), received.reason or "") if received else ConnectionLost(1006)
        self.closed = lost
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        self._waiting.clear()
        for future in self._futures:
            if not future.done():
                future.set_exception(ConnectionLost(lost.code, lost.reason))
        if self.on_close is not None:
            self.on_close(lost.code, lost.reason)

    def _beat(self, interval_s: float) -> None:
        """Ping when nothing was sent for an interval; look again half an interval later."""
        if self.closed is not None:
            return
        if time.monotonic() - self._last_sent_s >= interval_s / 2:
            self.send_map({"op": "ping", "id": self._next_id()})
        self._heartbeat = asyncio.get_running_loop().call_later(interval_s / 2, self._beat, interval_s)


def _client_frame(opcode: int, payload: bytes) -> bytes:
    """A whole frame as clients send it (RFC 6455 §5.2). The mask is of zeros, which leaves the payload as it is."""
    size = len(payload)
    head = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + head + bytes(4) + payload


def refusal_of(reply: Incoming) -> Refusal:
    """The refusal that an unsuccessful reply carries."""
    fields = dict(reply.error or {})
    return Refusal(str(fields.pop("code", "unknown")), fields)


Dial = Callable[[], Awaitable[WireClient]]
Answered = TypeVar("Answered")


async def bid_surely(
    dial: Dial,
    auction: str,
    amount: int,
    key: str,
    deadline_s: float = SURE_DEADLINE_S,
    on_retry: Callable[[Exception], None] = lambda failure: None,
) -> Ack | Refusal:
    """Bid until the outcome is known; see `surely`."""
    return await surely(dial, lambda client: client.bid(auction, amount, key), deadline_s, on_retry)


async def request_surely(
    dial: Dial,
    op: str,
    deadline_s: float = SURE_DEADLINE_S,
    on_retry: Callable[[Exception], None] = lambda failure: None,
    **fields: Any,
) -> dict[str, Any] | Refusal:
    """A request with a key, until its outcome is known; see `surely`."""

    async def once(client: WireClient) -> dict[str, Any] | Refusal:
        try:
            return await client.request(op, **fields)
        except RequestRefused as refused:
            return refused.refusal

    return await surely(dial, once, deadline_s, on_retry)


async def surely(
    dial: Dial,
    once: Callable[[WireClient], Awaitable[Answered | Refusal]],
    deadline_s: float,
    on_retry: Callable[[Exception], None],
) -> Answered | Refusal:
    """Do this until the outcome is known: again after `unavailable`, a lost or silent connection.

    It has to send the same key each time. `on_retry` is called with each such failure.

    `dial` gives a live connection, the same as before or a new one. Raises the last failure at the deadline.
    """
    ends_s = time.monotonic() + deadline_s
    backoff_s = BACKOFF_FIRST_S
    while True:
        wait_s = backoff_s
        try:
            answer = await once(await dial())
            if not isinstance(answer, Refusal) or answer.code not in RETRIED_CODES:
                return answer
            failure: Exception = RequestRefused(answer)
            wait_s = max(wait_s, answer.fields.get("retry_after_ms", 0) / 1000)
        except ConnectionLost as lost:
            if lost.final:
                raise
            failure = lost
        except NotAnswered as silence:
            failure = silence
        on_retry(failure)
        wait_s *= random.uniform(0.5, 1.5)
        if time.monotonic() + wait_s > ends_s:
            raise failure
        await asyncio.sleep(wait_s)
        backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
