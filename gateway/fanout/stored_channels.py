"""Channels whose contents are in the database, such as notifications: what sends a message names only what has changed.

Whoever changes something announces over Redis which keys it concerns; gateways read those that somebody follows. If a
message is lost, updates are late by some seconds, and not lost.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec
import structlog

from domain.errors import UNAVAILABLE
from gateway.fanout.channels import C, ChannelSource
from gateway.wire.faults import RequestFailed
from persistence.postgres.errors import StoreError

RETRY_S = 1.0
CHANNELS_PER_READ = 500

log = structlog.get_logger()

_decode_keys = msgspec.msgpack.Decoder(list[int]).decode


class StoredChannels(ChannelSource[C]):
    """The base of their sources. Keys are ids; a message of the topics is a list of them, in msgpack."""

    private = True
    # The database is also read at this interval, without a message.
    poll_every_s = 10.0
    # The pause after each read: what changes in between is part of the next one.
    pause_s = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._changed: set[Hashable] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def read(self, channels: Sequence[C]) -> None:
        """Read what is new in these, which are loaded, and send it to their watchers. May raise StoreError."""

    def start(self) -> None:
        """Start to read changes."""
        self._task = asyncio.create_task(self._follow(), name=f"{self.prefix}channels")

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def received(self, message: bytes) -> None:
        """These keys have changed."""
        try:
            self.read_soon(_decode_keys(message))
        except msgspec.MsgspecError as error:
            log.error("unreadable_update", error=str(error))

    def missed(self) -> None:
        """A message may have been lost."""
        self.read_soon(self.channels)

    def read_soon(self, keys: Iterable[Hashable]) -> None:
        """Have those of these that somebody follows read."""
        followed = [key for key in keys if key in self.channels]
        if followed:
            self._changed.update(followed)
            self._wake.set()

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """A subscriber waits for this read: StoreError as RequestFailed."""
        try:
            yield
        except StoreError as error:
            log.warning("channel_not_read", channels=self.prefix, error=str(error))
            raise RequestFailed(UNAVAILABLE, f"{what} can't be read now") from None

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.poll_every_s):
                    await self._wake.wait()
            self._wake.clear()
            keys, self._changed = self._changed or set(self.channels), set()
            try:
                await self._read_all(list(keys))
            except StoreError as error:
                log.warning("channels_not_read", channels=self.prefix, error=str(error))
                self._changed |= keys
                self._wake.set()
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(self.pause_s)

    async def _read_all(self, keys: Sequence[Hashable]) -> None:
        for first in range(0, len(keys), CHANNELS_PER_READ):
            found = [self.channels.get(key) for key in keys[first : first + CHANNELS_PER_READ]]
            channels = [channel for channel in found if channel is not None and channel.loaded]
            if channels:
                await self.read(channels)
