"""The embedded content store: an index in PostgreSQL, small content in its rows, the rest in files.

Content has the CID that IPFS gives it, so storing it again changes nothing. Documents stand in the index: a batch of
them is one statement, as durable as the rest of the database. A file is complete on the disk before its row is written.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from typing import NamedTuple

import structlog

from chain.storage.cids import Cid
from chain.storage.errors import ContentDamaged, ContentTooLarge
from chain.storage.files import ContentFiles, IncomingFile
from chain.storage.unixfs import file_cid
from persistence.content.index import ADD_MAX, ContentIndex, ContentRow

log = structlog.get_logger()

# Content up to this size stands in the index.
BODY_BYTES_MAX = 16_384
# Content of any kind.
CONTENT_BYTES_MAX = 64 * 1024 * 1024
# Of an upload, what is collected before it is written.
WRITE_BYTES = 262_144
# Files that this process has verified.
VERIFIED_MAX = 10_000


class Stored(NamedTuple):
    """Content that is stored. ``uri`` of the CID is what documents name."""

    cid: Cid
    size: int
    media_type: str


class Content(NamedTuple):
    """Content to store."""

    data: bytes
    media_type: str


class ContentStore:
    """Every method may raise StoreUnavailable, OSError (the disk), and subclasses of ContentError."""

    def __init__(
        self, index: ContentIndex, files: ContentFiles, now_ms: Callable[[], int], copy_jobs: Sequence[str] = ()
    ) -> None:
        """``copy_jobs``: the kinds of jobs that new content gets, which copy it to other services."""
        self.index = index
        self.files = files
        self._now_ms = now_ms
        self._copy_jobs = copy_jobs
        self._verified: OrderedDict[Cid, tuple[int, int]] = OrderedDict()

    async def put(self, data: bytes, media_type: str) -> Stored:
        """Store one content."""
        return (await self.put_many([Content(data, media_type)]))[0]

    async def put_many(self, contents: Sequence[Content], user: int | None = None) -> list[Stored]:
        """Store these, in their order: durable when this returns, and one statement for up to ADD_MAX documents."""
        stored = []
        for first in range(0, len(contents), ADD_MAX):
            page = contents[first : first + ADD_MAX]
            found = [Stored(await self._cid(one), len(one.data), one.media_type) for one in page]
            rows = [
                ContentRow(one.cid.text, one.size, one.media_type, given.data if one.size <= BODY_BYTES_MAX else None)
                for one, given in zip(found, page, strict=True)
            ]
            await self.index.add(rows, self._now_ms(), user=user, copy_jobs=self._copy_jobs)
            stored += found
        return stored

    async def _cid(self, content: Content) -> Cid:
        if len(content.data) > CONTENT_BYTES_MAX:
            raise ContentTooLarge(CONTENT_BYTES_MAX)
        if len(content.data) <= BODY_BYTES_MAX:
            return file_cid(content.data)
        return (await asyncio.to_thread(self.files.put, content.data)).cid

    @asynccontextmanager
    async def receive(self, pieces: AsyncIterator[bytes], bytes_max: int) -> AsyncIterator[IncomingFile]:
        """A stream as a temporary file, complete, which is removed at the end. Raises ContentTooLarge."""
        with await asyncio.to_thread(self.files.receive, bytes_max) as incoming:
            buffer = bytearray()
            async for piece in pieces:
                buffer += piece
                if len(buffer) >= WRITE_BYTES:
                    await asyncio.to_thread(incoming.write, bytes(buffer))
                    buffer.clear()
            await asyncio.to_thread(incoming.write, bytes(buffer))
            await asyncio.to_thread(incoming.finish)
            yield incoming

    async def find(self, cid: Cid) -> ContentRow | None:
        """The row of this content, after a check of its bytes; None if it is not stored. Raises ContentDamaged."""
        row = await self.index.get(cid.text)
        if row is None:
            return None
        if row.body is not None:
            if file_cid(row.body) != cid:
                raise ContentDamaged(f"the row of {row.cid} has another content")
        else:
            await self._verify(cid, row.size)
        return row

    async def _verify(self, cid: Cid, size: int) -> None:
        """Compute the CID of a file when this process reads it first, and again when the file has changed."""
        state = await asyncio.to_thread(self._file_state, cid)
        if self._verified.get(cid) == state:
            self._verified.move_to_end(cid)
            return
        if await asyncio.to_thread(self.files.verify, cid) != size:
            raise ContentDamaged(f"the file of {cid.text} has another size")
        self._verified[cid] = state
        if len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)

    def _file_state(self, cid: Cid) -> tuple[int, int]:
        try:
            found = self.files.path(cid).stat()
        except FileNotFoundError:
            raise ContentDamaged(f"{cid.text} is not in the content directory") from None
        return found.st_size, found.st_mtime_ns

    async def pieces(self, row: ContentRow, first: int, size: int) -> AsyncIterator[bytes]:
        """So many bytes of this content from ``first`` on. Raises ContentDamaged."""
        if row.body is not None:
            yield row.body[first : first + size]
            return
        with closing(self.files.pieces(Cid.parse(row.cid), first, size)) as pieces:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece

    async def read(self, row: ContentRow) -> bytes:
        """The whole content."""
        return b"".join([piece async for piece in self.pieces(row, 0, row.size)])
