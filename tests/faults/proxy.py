"""A TCP proxy of the tests' own: it forwards, cuts, holds back, strands, and takes single messages out of pub/sub.

It runs in a thread with an event loop of its own, so that it outlives the loop of a test; all methods may be called
from anywhere.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

CHUNK = 65_536
Message = list[bytes]
"""What Redis pushes to a subscriber: kind, channel, payload."""


class Proxy:
    """Between clients and one server: `upstream` is a port of this machine or the path of a UNIX socket."""

    def __init__(self, upstream: int | str) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._links: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._stranded: set[asyncio.Task[None]] = set()
        self._drops: Callable[[Message], bool] | None = None
        self.dropped = 0
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        self.port = self._run(self._listen())

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

    def strand(self) -> None:
        """On the connections that there are nothing is delivered any more, and neither end is told; new ones work."""
        self._stranded |= self._links

    def drop(self, which: Callable[[Message], bool] | None) -> None:
        """Take these messages out of what the server pushes (see `is_news`); None: no more. Redis alone."""
        self._drops = which

    # --- in the proxy's thread ---

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        self._server = server
        return port

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        # The transports close in the next turns.
        await asyncio.sleep(0.01)

    async def _cut(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            if isinstance(self._upstream, str):
                far_reader, far_writer = await asyncio.open_unix_connection(self._upstream)
            else:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
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
        end = after if size < 0 else after + size + 2
        return end if end <= len(data) else None
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
