"""What waits to be written to one socket: bounded, so that a client that reads slowly is disconnected."""

import asyncio
from typing import Any

import msgspec

FRAMES_MAX = 5_000


class Outbox:
    """`overflowed` is set once a frame did not fit; the connection ends then."""

    def __init__(self, frames_max: int = FRAMES_MAX) -> None:
        self.overflowed = asyncio.Event()
        self._frames: asyncio.Queue[str] = asyncio.Queue(frames_max)

    def put(self, message: dict[str, Any]) -> None:
        try:
            self._frames.put_nowait(msgspec.json.encode(message).decode())
        except asyncio.QueueFull:
            self.overflowed.set()

    async def get(self) -> str:
        """The next frame. Waits for one."""
        return await self._frames.get()
