"""Clients that record all that they send and receive: bidders who retry, watchers who resume."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from bench.faults.recording import (
    Acked,
    Order,
    ReceivedEvent,
    ReceivedState,
    Recording,
    RefusedOrder,
    Seeing,
    Seen,
)
from domain.permissions import DEFAULT_ROLES
from tests.simulation.loop import Process
from tests.simulation.network import End
from tests.simulation.processes import TOKENS, Machinery, RunningGateway
from tests.virtual_time import EPOCH_MS

REPLY_WITHIN_S = 6.0
RETRY_S = 0.1
UNCERTAIN = frozenset({"unavailable", "overloaded", "rate_limited", "still_running"})
UNIT = 10_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_tokens: dict[int, str] = {}


class ConnectionLost(Exception):
    """The connection is gone, or nobody answered: the outcome is unknown."""


def token_of(user: int) -> str:
    """The access token of a user; the same in all runs."""
    if user not in _tokens:
        _tokens[user] = TOKENS.issue(user, name_of(user), DEFAULT_ROLES, EPOCH_MS // 1000)
    return _tokens[user]


def name_of(user: int) -> str:
    return f"n{user}"


class ClientSocket:
    """One connection of a client to a gateway."""

    def __init__(self, end: End, on_event: Callable[[dict[str, Any]], None]) -> None:
        self._end = end
        self._on_event = on_event
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._buffer = b""
        self.closed = asyncio.get_running_loop().create_future()
        end.received, end.lost = self._received, self._lost

    async def request(self, op: str, **fields: Any) -> dict[str, Any]:
        """The reply. Raises ConnectionLost."""
        if self._end.closed:
            raise ConnectionLost
        self._last_id += 1
        body = _encode({"op": op, "id": self._last_id} | fields)
        self._end.write(len(body).to_bytes(4, "big") + body)
        reply = self._waiting[self._last_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(REPLY_WITHIN_S):
                return await reply
        except TimeoutError:
            self.close()
            raise ConnectionLost from None

    def close(self) -> None:
        self._end.close()

    def _received(self, data: bytes) -> None:
        self._buffer += data
        while (payload := self._next_frame()) is not None:
            frame = _decode(payload)
            if "channel" in frame and "ok" not in frame:
                self._on_event(frame)
            elif (reply := self._waiting.pop(frame["id"], None)) is not None and not reply.done():
                reply.set_result(frame)

    def _next_frame(self) -> bytes | None:
        """The payload of the next whole frame (RFC 6455, from a server)."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1], 2
        if size >= 126:
            at = 4 if size == 126 else 10
            if len(buffer) < at:
                return None
            size = int.from_bytes(buffer[2:at], "big")
        if len(buffer) < at + size:
            return None
        self._buffer = buffer[at + size :]
        return buffer[at : at + size]

    def _lost(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        waiting, self._waiting = self._waiting, {}
        for reply in waiting.values():
            if not reply.done():
                reply.set_exception(ConnectionLost())
                reply.exception()  # nobody may be waiting any more


class World:
    """What clients know of the engine: its gateways."""

    def __init__(self, machinery: Machinery, dice: random.Random) -> None:
        self.machinery = machinery
        self.dice = dice
        self.gateways: list[RunningGateway] = []

    def dial(self, process: Process, on_event: Callable[[dict[str, Any]], None]) -> ClientSocket | None:
        """Connect to any gateway that serves."""
        serving = [one for one in self.gateways if one.process.alive and one.serves]
        if not serving:
            return None
        gateway = self.dice.choice(serving)
        end = self.machinery.network.dial(process, gateway.process, gateway.accept)
        return ClientSocket(end, on_event)

    async def connect(
        self, process: Process, user: int | None, on_event: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> ClientSocket:
        """A connection that has said hello, as soon as there is one."""
        while True:
            socket = self.dial(process, on_event)
            if socket is not None:
                try:
                    reply = await socket.request("hello", token=None if user is None else token_of(user))
                except ConnectionLost:
                    reply = {"ok": False}
                if reply["ok"]:
                    return socket
                socket.close()
            await asyncio.sleep(self.dice.random() * RETRY_S)


class User:
    """A client with an account. ``surely`` sends a request until its outcome is known."""

    def __init__(self, world: World, user: int) -> None:
        self.world = world
        self.user = user
        self.process = world.machinery.loop.process(name_of(user))
        self.done = False
        self._socket: ClientSocket | None = None

    def now_ns(self) -> int:
        return round(self.world.machinery.loop.time() * 1e9)

    async def surely(self, op: str, **fields: Any) -> dict[str, Any]:
        """The reply that says what happened. The same key is sent again until there is one."""
        while True:
            socket = self._socket
            try:
                if socket is None or socket.closed.done():
                    socket = self._socket = await self.world.connect(self.process, self.user)
                reply = await socket.request(op, **fields)
            except ConnectionLost:
                self._socket = None
            else:
                if reply["ok"] or reply["error"]["code"] not in UNCERTAIN:
                    return reply
            await asyncio.sleep(self.world.dice.random() * RETRY_S)


class Bidder(User):
    """Bids a number of times; at times sends again what was answered, or twice at once."""

    def __init__(self, world: World, user: int, auctions: Sequence[str], recording: Recording, bids: int) -> None:
        super().__init__(world, user)
        self._auctions = auctions
        self._recording = recording
        self._bids = bids
        self._minimum: dict[str, int] = {}
        self.process.spawn(self._run())

    async def _run(self) -> None:
        dice = self.world.dice
        for number in range(self._bids):
            await asyncio.sleep(dice.random() * dice.choice((0.01, 0.2, 1.0)))
            auction = dice.choice(self._auctions)
            amount = self._minimum.get(auction, 1_000_000) + dice.randrange(-10, 300) * UNIT
            order = Order(auction, name_of(self.user), f"k{number}", max(UNIT, amount), self.now_ns())
            self._recording.orders.append(order)
            if dice.random() < 0.1:
                await asyncio.gather(self._send(order), self._send_apart(order))
            else:
                await self._send(order)
            if dice.random() < 0.15:
                await self._send(order)
        self.done = True

    async def _send(self, order: Order) -> None:
        self._record(order, await self.surely("bid", auction=order.auction, amount=order.amount, key=order.key))

    async def _send_apart(self, order: Order) -> None:
        """The same frame on another connection, as by a proxy that retries; nobody waits for its outcome."""
        socket = await self.world.connect(self.process, self.user)
        try:
            reply = await socket.request("bid", auction=order.auction, amount=order.amount, key=order.key)
        except ConnectionLost:
            return
        finally:
            socket.close()
        if reply["ok"] or reply["error"]["code"] not in UNCERTAIN:
            self._record(order, reply)

    def _record(self, order: Order, reply: dict[str, Any]) -> None:
        known = self._minimum.get(order.auction, 0)
        if reply["ok"]:
            self._minimum[order.auction] = max(known, reply["minimum"])
            self._recording.acks.append(
                Acked(order, self.now_ns(), reply["seq"], reply["at"], reply["outcome"], reply["price"],
                      reply["minimum"], reply["ends_at"], reply["duplicate"])
            )  # fmt: skip
            return
        error = reply["error"]
        self._minimum[order.auction] = max(known, error.get("minimum") or 0)
        self._recording.refused.append(
            RefusedOrder(order, error["code"], error.get("price"), error.get("minimum"), error.get("server_time"))
        )


class Watcher:
    """Follows a channel for good: resumes where it was after each loss."""

    def __init__(self, world: World, kind: str, entity: str, recording: Seeing, user: int | None, name: str) -> None:
        self._world = world
        self._channel = f"{kind}:{entity}"
        self._user = user
        self.process = world.machinery.loop.process(name)
        self.seen = Seen(entity)
        recording.seen.append(self.seen)
        self._held: list[dict[str, Any]] | None = []
        self.process.spawn(self._run())

    async def _run(self) -> None:
        while True:
            self._held = []
            socket = await self._world.connect(self.process, self._user, self._take)
            try:
                await self._subscribe(socket)
                await socket.closed
            except ConnectionLost:
                pass
            socket.close()
            await asyncio.sleep(self._world.dice.random() * RETRY_S)

    async def _subscribe(self, socket: ClientSocket) -> None:
        epoch, seq = self.seen.position
        since = {"since": {"epoch": epoch, "seq": seq}} if seq else {}
        reply = await socket.request("subscribe", channel=self._channel, **since)
        if not reply["ok"]:
            raise ConnectionLost
        self.seen.receive_answer(reply)
        held, self._held = self._held or [], None
        for frame in held:
            self._take(frame)

    def _take(self, frame: dict[str, Any]) -> None:
        if not isinstance(frame.get("seq"), int):
            return  # presence and typing have no place in the log
        if self._held is not None:
            self._held.append(frame)
        elif frame["type"] == "state":
            self.seen.receive_state(ReceivedState(frame["epoch"], frame["seq"], frame["data"]))
        else:
            self.seen.receive_event(ReceivedEvent.of(frame))
