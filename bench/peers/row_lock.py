"""A peer in our own language: a bid is one transaction with `SELECT … FOR UPDATE`, behind a plain WebSocket.
`python -m bench.peers.row_lock DATABASE_URL` prints its port.

It speaks what the load needs of our own protocol (hello, subscribe, bid, in msgpack), so that the same client loads it.
It authenticates nobody, has no keys, and reserves no funds.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import uvloop

from bench.peers.asgi import Message, Receive, Send, serve
from bench.wire.client import MSGPACK
from persistence.postgres.pool import Pool, close_pool, open_pool

# As many as the pools of the other peers.
CONNECTIONS_MAX = 10
LOCK = "SELECT current, ends_at FROM auction WHERE id = $1 FOR UPDATE"
WRITE = """
    WITH written AS (INSERT INTO bid (auction_id, bidder_id, amount) VALUES ($1, $2, $3))
    UPDATE auction SET current = $3, leader_id = $2, bid_count = bid_count + 1 WHERE id = $1 RETURNING bid_count
"""

Frame = dict[str, Any]
# Auction, bidder, amount: the fields of the reply.
Place = Callable[[int, int, int], Awaitable[Frame]]


class RowLock:
    """Bids in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def place(self, auction: int, bidder: int, amount: int) -> Frame:
        """Commit the bid, or refuse it."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(LOCK, auction)
            if row is None:
                return _refused("not_found", 0)
            if row["ends_at"] <= datetime.now(UTC):
                return _refused("auction_closed", row["current"])
            if amount <= row["current"]:
                return _refused("bid_too_low", row["current"])
            seq = await connection.fetchval(WRITE, auction, bidder, amount)
        return {"ok": True, "seq": seq, "price": amount, "minimum": amount + 1}


class Rooms:
    """The sockets of each auction; one bid of an auction is placed at a time, in the order of arrival."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._watchers: dict[int, list[Send]] = defaultdict(list)
        # Without it, the bids of a hot auction overtake each other while they wait for the row.
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._encode = msgspec.msgpack.Encoder().encode

    async def app(self, scope: Message, receive: Receive, send: Send) -> None:
        """One socket."""
        if scope["type"] != "websocket":
            raise NotImplementedError(scope["type"])
        decode = msgspec.msgpack.Decoder(Frame).decode
        await receive()
        await send({"type": "websocket.accept", "subprotocol": MSGPACK})
        bidder = 0
        while (message := await receive())["type"] == "websocket.receive":
            frame = decode(message["bytes"])
            if frame["op"] == "hello":
                bidder = int(frame["token"])
            reply = await self._answer(frame, bidder, send)
            await send({"type": "websocket.send", "bytes": self._encode({"id": frame["id"], **reply})})

    async def _answer(self, frame: Frame, bidder: int, send: Send) -> Frame:
        match frame["op"]:
            case "subscribe":
                self._watchers[int(frame["channel"].removeprefix("auction:"))].append(send)
            case "bid":
                return await self._bid(int(frame["auction"]), bidder, frame["amount"])
        return {"ok": True}

    async def _bid(self, auction: int, bidder: int, amount: int) -> Frame:
        async with self._turns[auction]:
            reply = await self._place(auction, bidder, amount)
        if reply["ok"]:
            update = {"channel": f"auction:{auction}", "seq": reply["seq"], "data": {"minimum": reply["minimum"]}}
            message = {"type": "websocket.send", "bytes": self._encode(update)}
            for watcher in self._watchers[auction]:
                await watcher(message)
        return reply


def _refused(code: str, current: int) -> Frame:
    return {"ok": False, "error": {"code": code, "minimum": current + 1}}


async def main(database_url: str) -> None:
    pool = await open_pool(database_url, size_max=CONNECTIONS_MAX)
    try:
        await serve(Rooms(RowLock(pool).place).app)
    finally:
        await close_pool(pool)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
