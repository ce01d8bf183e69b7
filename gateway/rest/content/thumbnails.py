"""Pictures in the sizes in which pages show them: made when one is asked for first, and kept in memory."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from chain.storage.thumbnails import Thumbnail, thumbnail

CACHE_BYTES_MAX = 32 * 1024 * 1024
# One is made at a time, since a large image takes 64 MiB; so many may wait for it.
WAITING_MAX = 64


class ThumbnailsBusy(Exception):
    """Too many requests wait for a thumbnail that has to be made."""


class Thumbnails:
    """Those of one gateway, by name and width; the ones used least recently make room for others."""

    def __init__(self, cache_bytes_max: int = CACHE_BYTES_MAX, waiting_max: int = WAITING_MAX) -> None:
        self._made: OrderedDict[tuple[str, int], Thumbnail] = OrderedDict()
        self._bytes = 0
        self._bytes_max = cache_bytes_max
        self._places = waiting_max
        self._making = asyncio.Lock()

    async def get(self, name: str, width: int, read: Callable[[], Awaitable[bytes | None]]) -> Thumbnail | None:
        """A picture in this width, or narrower; None where ``read`` finds none.

        Raises ThumbnailsBusy, and what ``read`` and ``decoded_image`` raise.
        """
        key = (name, width)
        if key not in self._made and self._places == 0:
            raise ThumbnailsBusy
        if key not in self._made:
            self._places -= 1
            try:
                async with self._making:
                    # Perhaps it was made meanwhile.
                    if key not in self._made:
                        picture = await read()
                        if picture is None:
                            return None
                        return self._keep(key, await asyncio.to_thread(thumbnail, picture, width))
            finally:
                self._places += 1
        self._made.move_to_end(key)
        return self._made[key]

    def _keep(self, key: tuple[str, int], made: Thumbnail) -> Thumbnail:
        self._made[key] = made
        self._bytes += len(made.content)
        while self._bytes > self._bytes_max:
            _, oldest = self._made.popitem(last=False)
            self._bytes -= len(oldest.content)
        return made
