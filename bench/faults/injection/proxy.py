"""A proxy on loopback, for faults of connections: it forwards, cuts, holds back, delays, limits and strands, and takes
single messages out of pub/sub.

It runs in a thread with an event loop of its own, so that it outlives the loop of a test; all methods may be called
from anywhere.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

CHUNK = 65_536
# What a limited connection forwards at a time, and the pause after it.
DRIP_BYTES, DRIP_S = 512, 0.02
Address = int | str | tuple[str, int]
"""A port of 127.0.0.1, the path of a UNIX socket, or an address with its port."""
Message = list[bytes]
"""What Redis pushes to a subscriber: kind, channel, payload."""


class Proxy:
    """Between clients and one server, `upstream`; None: what `listen` says."""

    def __init__(self, upstream: Address | None) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._links: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._servers: dict[Address, asyncio.Server] = {}
        self._delay_s = 0.0
        self._dripping = False
        self._stranded: set[asyncio.Task[None]] = set()
        self._drops: Callable[[Message], bool] | None = None
        self.dropped = 0
        self.port = 0

    def start(self) -> None:
        """Listen, if there is an upstream, on a `port` of 127.0.0.1."""
        self._thread.start()
        if self._upstream is not None:
            self.port = self._run(self._listen(0, self._upstream))

    def listen(self, address: Address, upstream: Address) -> None:
        """Forward what comes to this address, too; again: to a new socket of this address."""
        self._run(self._listen(address, upstream))

    def stop(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Close every connection; new ones may come."""
        self._run(self._cut())

    def hold(self) -> None:
        """Nothing gets through, in either direction, until `flow`; connections stand."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        self._loop.call_soon_threadsafe(self._flows.set)

    def delay(self, seconds: float) -> None:
        """Everything is late by so much from now on, in each direction; 0: nothing is."""
        self._delay_s = seconds

    def drip(self, on: bool) -> None:
        """Only a few bytes get through at a time."""
        self._dripping = on

    def strand(self) -> None:
        """On the connections that there are nothing is delivered any more, and neither end is told; new ones work."""
        self._stranded |= self._links

    def drop(self, which: Callable[[Message], bool] | None) -> None:
        """Take these messages out of what the server pushes (see `is_news`); None: no more. Redis alone."""
        self._drops = which

    # --- in the proxy's thread ---

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, address: Address, upstream: Address) -> int:
        former = self._servers.pop(address, None)
        if former is not None:
            former.close()
        serve = partial(self._serve, upstream)
        if isinstance(address, str):
            self._servers[address] = await asyncio.start_unix_server(serve, address)
            return 0
        host, port = address if isinstance(address, tuple) else ("127.0.0.1", address)
        server = self._servers[address] = await asyncio.start_server(serve, host, port)
        found: int = server.sockets[0].getsockname()[1]
        return found

    async def _end(self) -> None:
        for server in self._servers.values():
            server.close()
        await self._cut()
        # The transports close in the next turns.
        await asyncio.sleep(0.01)

    async def _cut(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _serve(self, upstream: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            far_reader, far_writer = await _connect(upstream)
        except OSError:
            writer.transport.abort()
            self._links.discard(task)
            return
        pipes = [
            asyncio.create_task(self._pipe(task, reader, far_writer, from_server=False)),
            asyncio.create_task(self._pipe(task, far_reader, writer, from_server=True)),
        ]
        try:
            with suppress(asyncio.CancelledError):
                await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            self._stranded.discard(task)
            writer.transport.abort()
            far_writer.transport.abort()
            self._links.discard(task)

    async def _pipe(
        self, link: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_server: bool
    ) -> None:
        waiting = b""
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if link in self._stranded:
                    continue
                if from_server and self._drops is not None:
                    data, waiting = self._sifted(waiting + data)
                elif waiting:
                    data, waiting = waiting + data, b""
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._forward(data, writer)

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        while self._dripping and len(data) > DRIP_BYTES:
            writer.write(data[:DRIP_BYTES])
            data = data[DRIP_BYTES:]
            await asyncio.sleep(DRIP_S)
        writer.write(data)
        await writer.drain()

    def _sifted(self, data: bytes) -> tuple[bytes, bytes]:
        """What is to be forwarded of whole replies, and the beginning of one that is not whole yet."""
        kept, at = [], 0
        while (end := end_of_reply(data, at)) is not None:
            message = pushed_message(data[at:end])
            if message is not None and self._drops is not None and self._drops(message):
                self.dropped += 1
            else:
                kept.append(data[at:end])
            at = end
        return b"".join(kept), data[at:]


async def _connect(upstream: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(upstream, str):
        return await asyncio.open_unix_connection(upstream)
    host, port = upstream if isinstance(upstream, tuple) else ("127.0.0.1", upstream)
    return await asyncio.open_connection(host, port)


def end_of_reply(data: bytes, at: int = 0) -> int | None:
    """Where the reply of Redis (RESP 2 or 3) that begins here ends; None while it is not whole."""
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, after = data[at : at + 1], line_end + 2
    if kind in b"+-:_#,(":
        return after
    size = int(data[at + 1 : line_end])
    if kind in b"$=!":
        whole = after if size < 0 else after + size + 2
        return whole if whole <= len(data) else None
    end: int | None = after
    for _ in range(max(0, size) * (2 if kind == b"%" else 1)):
        end = None if end is None else end_of_reply(data, end)
    return end


def pushed_message(reply: bytes) -> Message | None:
    """Kind, channel and payload where the reply is a message to a subscriber."""
    if reply[:4] not in (b"*3\r\n", b">3\r\n"):
        return None
    parts, at = [], 4
    for _ in range(3):
        end = end_of_reply(reply, at)
        if end is None or reply[at : at + 1] != b"$":
            return None
        parts.append(reply[reply.index(b"\r\n", at) + 2 : end - 2])
        at = end
    return parts if parts[0] == b"message" else None
