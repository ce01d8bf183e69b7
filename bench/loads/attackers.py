"""Attackers on loopback: `python -m bench.loads.attackers` reads an Attack as JSON on stdin, runs its clients
against the engine for its time, and prints an Attacked as JSON on stdout.

None has an account. Each works as a few lines of a script would; one that is disconnected reconnects after a pause.
"""

import asyncio
import os
import socket
from dataclasses import dataclass
from typing import cast

import msgspec

from bench.loads.order import run_order
from bench.wire.socket_pool import sockets_allowed

# The machine is shared with the engine: what is measured is what the attack does, not the attacker's own work.
NICENESS = 19
PAUSE_S = 0.25
CONNECTING_MAX = 64
# What the kernel takes for an attacker that does not read.
UNREAD_BYTES = 4_096
PIECE_BYTES = 500_000
# Another address of this machine's loopback, which is no trusted proxy.
ONE_ADDRESS = "127.0.0.2"

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ece.v1.json\r\n\r\n"
)
POST = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
GET = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"


def frame(first: int, payload: bytes) -> bytes:
    """A client's frame of up to 125 bytes, masked with zeros."""
    return bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload


HELLO = frame(0x81, b'{"op":"hello","id":1}')
PINGS = frame(0x89, b"x" * 125) * 500
FRAGMENTS = frame(0x00, b"") * 10_000


@dataclass(frozen=True)
class Kind:
    """So many connections, each of which sends `first`, then `then` again and again."""

    about: str
    connections: int
    first: bytes = b""
    # Sent once the gateway has had the time to answer `first`.
    second: bytes = b""
    then: bytes = b""
    every_s: float = 0.0
    reads: bool = True
    from_address: str | None = None


KINDS = {
    "silent": Kind("16,000 connections that say nothing", 16_000),
    "one_address": Kind("3,000 connections of one address that say nothing", 3_000, from_address=ONE_ADDRESS),
    "slow_bodies": Kind("600 requests whose bodies come a byte a second", 600, first=POST, then=b" ", every_s=1.0),
    "unread_responses": Kind("8 × 60 pipelined requests; nothing is read", 8, first=GET * 60, reads=False),
    "endless_header": Kind(
        "2 headers without an end", 2, first=b"GET / HTTP/1.1\r\nHost: a\r\nX: ", then=b"x" * PIECE_BYTES
    ),
    "ping_flood": Kind("4 sockets that ping without an end; nothing is read", 4, HANDSHAKE, HELLO, PINGS, reads=False),
    "fragment_flood": Kind(
        "4 sockets that send empty fragments without an end", 4, HANDSHAKE, HELLO + frame(0x01, b""), FRAGMENTS
    ),
}


class Attack(msgspec.Struct, frozen=True):
    """Which kind, where, for how long; and with how many connections, if not with those of its kind."""

    kind: str
    host: str
    port: int
    seconds: float
    connections: int | None = None


class Attacked(msgspec.Struct):
    """Connections opened, refused by the system, cut by the gateway, still open at the end; HTTP answers by status."""

    opened: int = 0
    refused: int = 0
    cut: int = 0
    open: int = 0
    sent_bytes: int = 0
    answers: dict[str, int] = {}


class Client(asyncio.Protocol):
    """One connection of an attack."""

    def __init__(self, attacked: Attacked) -> None:
        self._attacked = attacked
        self.transport: asyncio.Transport
        self.gone = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._attacked.opened += 1
        self._attacked.open += 1

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 "):
            answers, status = self._attacked.answers, data[9:12].decode()
            answers[status] = answers.get(status, 0) + 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._attacked.open -= 1
        self.gone.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    async def send(self, data: bytes) -> None:
        await self.writable.wait()
        if data and not self.gone.is_set():
            self._attacked.sent_bytes += len(data)
            self.transport.write(data)


async def run(attack: Attack) -> Attacked:
    """Attack for its time."""
    kind, attacked = KINDS[attack.kind], Attacked()
    connecting = asyncio.Semaphore(CONNECTING_MAX)

    async def attacker() -> None:
        while True:
            client = Client(attacked)
            try:
                async with connecting:
                    await _connect(client, attack, kind)
            except OSError:
                attacked.refused += 1
            else:
                await _misbehave(client, kind)
                attacked.cut += 1
            await asyncio.sleep(PAUSE_S)

    attackers = [
        asyncio.create_task(attacker()) for _ in range(sockets_allowed(attack.connections or kind.connections))
    ]
    await asyncio.sleep(attack.seconds)
    ended = msgspec.structs.replace(attacked, answers=dict(attacked.answers))
    for task in attackers:
        task.cancel()
    await asyncio.gather(*attackers, return_exceptions=True)
    return ended


async def _connect(client: Client, attack: Attack, kind: Kind) -> None:
    loop, connection = asyncio.get_running_loop(), socket.socket()
    try:
        connection.setblocking(False)
        if kind.from_address is not None:
            connection.bind((kind.from_address, 0))
        if not kind.reads:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES)
        await loop.sock_connect(connection, (attack.host, attack.port))
    except BaseException:
        connection.close()
        raise
    await loop.create_connection(lambda: client, sock=connection)


async def _misbehave(client: Client, kind: Kind) -> None:
    """Until the gateway cuts the connection."""
    if not kind.reads:
        client.transport.pause_reading()
    await client.send(kind.first)
    if kind.second:
        await asyncio.sleep(PAUSE_S)
        await client.send(kind.second)
    while kind.then and not client.gone.is_set():
        await client.send(kind.then)
        await asyncio.sleep(kind.every_s)
    await client.gone.wait()


def main() -> None:
    os.nice(NICENESS)
    run_order(run, Attack, "attackers")


if __name__ == "__main__":
    main()
