"""What the routes of content need: the store, and places for uploads."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.content.store import ContentStore
from chain.storage.images import ImageFacts, inspect_image
from domain.errors import OVERLOADED
from gateway.http.problems import Problem
from gateway.rest.content.thumbnails import Thumbnails

# Each takes a connection and a file, and its image memory while it is decoded.
UPLOADS_MAX = 8


class ContentService:
    """``store``, ``thumbnails``, and bounds of what a gateway does with images at the same time."""

    def __init__(self, store: ContentStore, uploads_max: int = UPLOADS_MAX) -> None:
        self.store = store
        self.thumbnails = Thumbnails()
        self._places = uploads_max
        # One image at a time: a large one takes 64 MiB.
        self._decoding = asyncio.Lock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for an upload. Raises the problem ``overloaded`` if all are taken."""
        if self._places == 0:
            raise Problem(OVERLOADED, "too many uploads at once: nothing happened, try again in a moment")
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1

    async def inspect(self, path: Path) -> ImageFacts:
        """What kind of image a file is. Raises subclasses of ContentError."""
        async with self._decoding:
            return await asyncio.to_thread(inspect_image, path)
