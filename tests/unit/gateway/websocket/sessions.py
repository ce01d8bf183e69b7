"""Sessions and hubs with everything around them in a test's hands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from auction_examples import ANN, AUCTION, after, opened
from auction_examples import bid as place_bid
from auction_requests import public, refused, state_answer
from virtual_time import EPOCH_MS, VirtualClock, turns

from actors.stream.messages import Answer, GetState, PublicEvent, Request, Update
from domain.auction.events import Opened
from domain.auction.views import PublicState
from domain.ids import id_text
from domain.money import usd
from domain.permissions import DEFAULT_ROLES
from gateway.fanout.channels import FanOutCounts, FanOutLimits
from gateway.fanout.entity_channels import EntityChannels, UpdatePages
from gateway.fanout.hub import Hub, Source
from gateway.fanout.trade_channels import TradeChannels
from gateway.fanout.user_channels import UserChannels
from gateway.identity.credentials import Credentials
from gateway.identity.tokens import TokenIssuer
from gateway.limits.leases import Leases
from gateway.websocket.admission import Admission
from gateway.websocket.connection import SessionLimits, SocketClient
from gateway.websocket.operations.operation import OperationTable
from gateway.websocket.operations.table import JSON, MSGPACK, OPERATIONS
from gateway.websocket.session import Session
from gateway.websocket.traffic import Traffic
from gateway.wire.codec import Codec
from persistence.log.history import LoggedEvent
from persistence.notifications.store import Inbox, Notification
from persistence.postgres.errors import StoreUnavailable
from persistence.redis.announcements import DIRECTORY_CHANNEL, updates_channel

AUCTION_TEXT = id_text(AUCTION)
CHANNEL = f"auction:{AUCTION_TEXT}"
BOTH = pytest.mark.parametrize("codec", [MSGPACK, JSON], ids=["msgpack", "json"])
BID = {"auction": AUCTION_TEXT, "amount": 5, "key": "k"}
TOKENS = TokenIssuer("a-secret-of-at-least-thirty-two-characters", ttl_s=900)
NOW_S = EPOCH_MS // 1000


def decoded(codec: Codec, data: bytes) -> list[dict[str, Any]]:
    """The payloads of whole, unmasked WebSocket frames, one after the other."""
    decode: Callable[[bytes], Any] = msgspec.msgpack.decode if codec.binary else msgspec.json.decode
    payloads, at = [], 0
    while at < len(data):
        assert data[at] == (0x82 if codec.binary else 0x81)
        size, at = data[at + 1], at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + wide], "big"), at + wide
        payloads.append(decode(data[at : at + size]))
        at += size
    return payloads


def error(reply: dict[str, Any]) -> dict[str, Any]:
    """What a failure says, without its words."""
    assert reply["ok"] is False
    return {name: value for name, value in reply["error"].items() if name != "message"}


class Connection:
    """A socket that keeps what is written to it."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.frames: list[dict[str, Any]] = []
        self.closed: list[tuple[int, str]] = []
        self.unsent = 0
        self.pauses = 0

    def write_frame(self, frame: bytes) -> None:
        if not self.closed:
            self.frames += decoded(self.codec, frame)

    def write_soon(self, frame: bytes) -> None:
        self.write_frame(frame)

    def pause(self) -> bool:
        self.pauses += 1
        return True

    def unsent_bytes(self) -> int:
        return self.unsent

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def taken(self) -> list[dict[str, Any]]:
        """What came since the last call."""
        frames, self.frames = self.frames, []
        return frames


class Routes:
    """Takes requests; a test answers them. ``ask`` answers with the auction's state as ``auctions`` has it."""

    def __init__(self) -> None:
        self.sent: list[tuple[Request, Callable[[Answer], None]]] = []
        self.states: dict[int, Answer] = {}
        self.asked = 0
        self.looked_up = 0
        self.hold: asyncio.Event | None = None

    def send(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        self.sent.append((request, on_answer))

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer:
        assert isinstance(request, GetState)
        self.asked += 1
        answer = self.states.get(request.entity, refused("not_found", EPOCH_MS))
        if self.hold is not None:
            await self.hold.wait()
        else:
            await asyncio.sleep(0)
        return answer

    def look_up_soon(self) -> None:
        self.looked_up += 1


class Listener:
    """What is announced, in a test's hands."""

    def __init__(self) -> None:
        self.connected = True
        self._heard: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()

    async def messages(self) -> AsyncIterator[tuple[str, bytes] | None]:
        while True:
            yield await self._heard.get()

    async def close(self) -> None:
        self.connected = False

    def announce(self, *page: Update) -> None:
        self._heard.put_nowait((updates_channel(0), msgspec.msgpack.encode(list(page))))

    def publish(self, channel: str, message: bytes) -> None:
        self._heard.put_nowait((channel, message))

    def directory_changed(self) -> None:
        self._heard.put_nowait((DIRECTORY_CHANNEL, b"h1"))

    def reconnected(self) -> None:
        self._heard.put_nowait(None)


class History:
    """The log as a gateway reads it."""

    def __init__(self) -> None:
        self.events: dict[int, list[LoggedEvent]] = {}
        self.down = False
        self.asked = 0
        self.hold: asyncio.Event | None = None

    async def events_after(self, auction: int, after_seq: int, limit: int) -> list[LoggedEvent]:
        self.asked += 1
        found = [e for e in self.events.get(auction, ()) if e.seq > after_seq][:limit]
        if self.hold is not None:
            await self.hold.wait()
        else:
            await asyncio.sleep(0)
        if self.down:
            raise StoreUnavailable("the database is away")
        return found


class Inboxes:
    """Users' notifications, as the database has them."""

    def __init__(self) -> None:
        self.rows: dict[int, list[Notification]] = {}
        self.down = False

    def add(self, user: int, *kinds: str) -> None:
        """They have so many new ones."""
        rows = self.rows.setdefault(user, [])
        for kind in kinds:
            rows.append(Notification(user, len(rows) + 1, 100 + len(rows), kind, '{"n": 1}', EPOCH_MS, None))

    async def inbox(self, user: int) -> Inbox:
        await self._answer()
        return Inbox(1, len(self.rows.get(user, [])), 0)

    async def after(self, positions: Sequence[tuple[int, int]], limit_each: int) -> dict[int, list[Notification]]:
        await self._answer()
        found = {user: self.rows.get(user, [])[seq:][:limit_each] for user, seq in positions}
        return {user: rows for user, rows in found.items() if rows}

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise StoreUnavailable("the database is away")


class Redis:
    """What gateways publish: all listeners get it."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.waiting = 0

    def publish(self, channel: str, message: bytes) -> None:
        for listener in self.listeners:
            listener.publish(channel, message)


class Gateway:
    """A hub, and any number of sessions."""

    def __init__(
        self, in_flight_max: int = 100, operations: OperationTable = OPERATIONS, more_sources: Sequence[Source] = (),
        kinds: Sequence[str] = ("auction",), services: Any = None, redis: Redis | None = None, **fan_out: int,
    ) -> None:  # fmt: skip
        self.clock = VirtualClock()
        self.services = services
        self.operations = operations
        self.routes = Routes()
        self.listener = Listener()
        self.history = History()
        self.admission = Admission(in_flight_max)
        self.traffic = Traffic()
        self.inboxes = Inboxes()
        self.leases: Leases | None = None
        self.users = UserChannels(self.inboxes, self.clock.now_ms)
        limits = FanOutLimits(**fan_out)  # type: ignore[arg-type]
        counts = FanOutCounts()
        pages = UpdatePages()
        entities = [EntityChannels(kind, self.routes, self.history, counts, limits, pages) for kind in kinds]
        self.auctions = entities[0]
        self.redis = redis or Redis()
        self.redis.listeners.append(self.listener)
        self.trades = TradeChannels(self.routes, self.history, counts, self.redis, self.clock.now_ms, pages)
        sources = [self.auctions, self.trades, *entities[1:], self.users, *more_sources]
        self.hub = Hub(self.routes, self.listener, sources, counts, self.clock.now_ms)  # type: ignore[arg-type]

    def client(
        self, codec: Codec = MSGPACK, credentials: Credentials | None = None, address: str = "",
        cookie: str | None = None, **limits: int,
    ) -> "Client":  # fmt: skip
        codec = self.operations.codecs[codec.subprotocol]
        connection = Connection(codec)
        session = Session(
            connection, codec, self.operations, self.routes, self.hub, TOKENS, SessionLimits(**limits),
            self.admission, self.traffic, self.clock.now_ms, self.services, self.leases,
            SocketClient(address, cookie=cookie), credentials=credentials,
        )  # fmt: skip
        return Client(session, connection)

    def stands(self, auction: int = AUCTION, seq: int = 2, epoch: int = 1, **changes: Any) -> None:
        """What a host says of this auction from now on."""
        self.routes.states[auction] = state_answer(epoch, seq, state(**changes))


@asynccontextmanager
async def gateway(
    in_flight_max: int = 100, operations: OperationTable = OPERATIONS, more_sources: Sequence[Source] = (),
    kinds: Sequence[str] = ("auction",), services: Any = None, redis: Redis | None = None, **fan_out: int,
) -> AsyncIterator[Gateway]:  # fmt: skip
    running = Gateway(in_flight_max, operations, more_sources, kinds, services, redis, **fan_out)
    running.hub.start()
    try:
        yield running
    finally:
        await running.hub.stop()


class Client:
    """The other end of a session."""

    def __init__(self, session: Session, connection: Connection) -> None:
        self.session = session
        self.connection = connection
        self._last_id = 0

    def send(self, op: str, **fields: Any) -> int:
        """Send a frame without waiting; returns its id."""
        self._last_id += 1
        self.send_raw({"op": op, "id": self._last_id} | fields)
        return self._last_id

    def send_raw(self, frame: Any) -> None:
        if self.connection.codec.binary:
            self.session.received(msgspec.msgpack.encode(frame))
        else:
            self.session.received(msgspec.json.encode(frame).decode())

    async def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a frame; its reply, which must be the only one."""
        wanted = self.send(op, **fields)
        await turns(8)
        [reply] = [frame for frame in self.connection.frames if frame.get("id") == wanted]
        self.connection.frames.remove(reply)
        return reply

    async def hello(
        self, user: int | None = ANN, name: str = "ann", at_s: int = NOW_S, roles: tuple[str, ...] = DEFAULT_ROLES
    ) -> dict[str, Any]:
        token = None if user is None else TOKENS.issue(user, name, roles, at_s)
        return await self.ask("hello", token=token)

    def events(self) -> list[tuple[int, str]]:
        """(seq, type) of the events that came since the last look."""
        return [(f["seq"], f["type"]) for f in self.connection.taken() if "channel" in f]


def state(**changes: Any) -> PublicState:
    auction = after(opened(), place_bid(ANN, usd(5)))
    return msgspec.structs.replace(public(auction, EPOCH_MS), **changes)


def event(seq: int, kind: str = "bid", **data: Any) -> PublicEvent:
    return PublicEvent(seq, EPOCH_MS + seq, kind, msgspec.Raw(msgspec.msgpack.encode({"n": seq} | data)))


def update(
    seq: int, *seqs: int, auction: int = AUCTION, kind: str = "auction", epoch: int = 1, **changes: Any
) -> Update:
    """The auction stands at ``seq``; the events that led there are ``seqs``."""
    public_state = state(bids=seq, **changes)
    final = public_state.status not in ("scheduled", "open")
    raw = msgspec.Raw(msgspec.msgpack.encode(public_state))
    return Update(auction, kind, epoch, seq, EPOCH_MS + seq, raw, final, [event(s) for s in seqs])


def logged(seq: int, epoch: int = 1) -> LoggedEvent:
    return LoggedEvent(epoch, seq, EPOCH_MS + seq, Opened(), "opened", {})


async def watching(g: Gateway, since: dict[str, int] | None = None, **options: Any) -> tuple[Client, dict[str, Any]]:
    """A client that has said hello and watches the auction, and the reply to its subscription."""
    client = g.client(**options)
    await client.hello()
    reply = await client.ask("subscribe", channel=CHANNEL, **({} if since is None else {"since": since}))
    client.connection.taken()
    return client, reply


async def delivered(g: Gateway) -> None:
    """Long enough for what was announced to be sent."""
    await asyncio.sleep(0.1)
