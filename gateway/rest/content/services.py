"""What the routes of content need: the store, the process that decodes pictures, and places for uploads."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from actors.content.store import Content, ContentStore
from actors.scanning.scanner import Scanner
from chain.storage.files import IncomingFile
from chain.storage.images import MEDIA_TYPES
from domain.errors import OVERLOADED
from gateway.http.problems import Problem
from gateway.rest.content.thumbnails import Thumbnails

# Each takes a connection and a file.
UPLOADS_MAX = 8


class Picture(NamedTuple):
    """What is stored of an upload, and its size in pixels."""

    content: Content
    width: int
    height: int


class ContentService:
    """``store``, ``thumbnails``, and bounds of what a gateway does with images at the same time."""

    def __init__(self, store: ContentStore, scanner: Scanner, uploads_max: int = UPLOADS_MAX) -> None:
        """``scanner`` is not that of the scans: they don't wait for pictures that take long."""
        self.store = store
        self.scanner = scanner
        self.thumbnails = Thumbnails()
        self._places = uploads_max
        # One picture at a time is in memory, as it was sent and as it becomes.
        self._encoding = asyncio.Lock()

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

    async def picture(self, incoming: IncomingFile) -> Picture:
        """The picture of this file, encoded anew. One that is stored here already stays as it is: its id is known.

        Raises subclasses of ContentError, ScanTooSlow, StoreUnavailable, OSError.
        """
        async with self._encoding:
            sent = await asyncio.to_thread(incoming.path.read_bytes)
            found = await self.scanner.reencoded(sent)
        cid = incoming.node.cid.text
        if media_type := (await self._media_types([cid])).get(cid):
            return Picture(Content(sent, media_type), found.width, found.height)
        return Picture(Content(found.content, found.media_type), found.width, found.height)

    async def are_pictures(self, cids: Sequence[str]) -> bool:
        """Whether all of these are stored here as pictures. Raises StoreUnavailable."""
        return set(cids) <= (await self._media_types(cids)).keys()

    async def _media_types(self, cids: Sequence[str]) -> dict[str, str]:
        """Of those that are stored as pictures."""
        rows = await self.store.index.many(cids)
        return {cid: row.media_type for cid, row in rows.items() if row.media_type in MEDIA_TYPES.values()}
