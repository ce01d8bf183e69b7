"""Copies content to other services: to an IPFS node, to a pinning service, to Arweave. ``key``: the CID.

Each service names what it has stored, and a copy counts only if that is the id which was computed here. All requests
can be repeated: equal content has equal ids there, too.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from actors.content.store import ContentStore
from actors.workers.job import Job, Later
from chain.signing import Signer
from chain.storage.car import CarOfFile, car_header
from chain.storage.cids import Cid
from chain.storage.data_items import DataHash, Hashed, sign_item
from chain.storage.errors import ContentDamaged
from chain.storage.files import ContentFiles
from chain.storage.remotes.arweave import ArweaveUploads
from chain.storage.remotes.http import RemoteError
from chain.storage.remotes.kubo import KuboNode
from chain.storage.remotes.pinning_service import PinningService
from chain.storage.unixfs import FileTree
from persistence.content.index import ContentCopy, ContentRow
from persistence.jobs.store import Claimed

PIN_CONTENT = "pin_content"
REQUEST_PIN = "request_pin"
UPLOAD_ARWEAVE = "upload_arweave"
# The service of each kind, as in the table `content_copies`.
SERVICES = {PIN_CONTENT: "ipfs", REQUEST_PIN: "pinning", UPLOAD_ARWEAVE: "arweave"}
STORED, REQUESTED = "stored", "requested"

# How often a pinning service is asked for the state of a request, and when it has taken too long.
POLL_MS = 30_000
PINNED_WITHIN_MS = 24 * 3600 * 1000


class PinTooSlow(Exception):
    """The pinning service has not pinned the content within PINNED_WITHIN_MS, or says that it can't."""


class PinContent(Job):
    """Imports and pins content on an IPFS node: a batch is one CAR file with many roots."""

    kind = PIN_CONTENT
    batch_max = 100
    timeout_s = 300.0

    def __init__(self, store: ContentStore, node: KuboNode, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._node = node
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        rows = await _rows(self._store, jobs, SERVICES[PIN_CONTENT])
        if rows:
            roots = [Cid.parse(row.cid) for row in rows]
            await self._node.import_car(roots, self._car(roots, rows))
            await self._store.index.record_copies(
                SERVICES[PIN_CONTENT], [(row.cid, None) for row in rows], STORED, self._now_ms()
            )
        return []

    async def _car(self, roots: Sequence[Cid], rows: Sequence[ContentRow]) -> AsyncIterator[bytes]:
        """The file. Raises ContentDamaged, so that it is never complete with other content than that of its roots."""
        yield car_header(roots)
        for root, row in zip(roots, rows, strict=True):
            car = CarOfFile()
            async for piece in self._store.pieces(row, 0, row.size):
                if blocks := car.feed(piece):
                    yield blocks
            cid, blocks = car.finish()
            if cid != root:
                raise ContentDamaged(f"{row.cid} has another content")
            yield blocks


class RequestPin(Job):
    """Asks a pinning service to pin content, and waits until it has.

    The service fetches the content from the IPFS network: from the node of ``PinContent``, if there is one.
    """

    kind = REQUEST_PIN

    def __init__(
        self, store: ContentStore, service: PinningService, node: KuboNode | None, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._service = service
        self._node = node
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        again = []
        for job in jobs:
            copies = {copy.service: copy for copy in await self._store.index.copies([job.key])}
            copy = copies.get(SERVICES[REQUEST_PIN])
            if (copy is None or copy.state != STORED) and not await self._pinned(Cid.parse(job.key), copy):
                again.append(Later(job, POLL_MS))
        return again

    async def _pinned(self, cid: Cid, copy: ContentCopy | None) -> bool:
        found = await self._service.find(cid)
        if found is None:
            found = await self._service.request(cid, await self._origins())
        state = STORED if found.state == "pinned" else REQUESTED
        await self._store.index.record_copies(SERVICES[REQUEST_PIN], [(cid.text, found.id)], state, self._now_ms())
        waits_too_long = copy is not None and self._now_ms() - copy.updated_at > PINNED_WITHIN_MS
        if found.state == "failed" or (state == REQUESTED and waits_too_long):
            raise PinTooSlow(f"{cid.text}: the request {ascii(found.id)[:100]} is {found.state}")
        return state == STORED

    async def _origins(self) -> list[str]:
        if self._node is None:
            return []
        try:
            return await self._node.addresses()
        except RemoteError:
            # They only help the service to find the content sooner.
            return []


class UploadArweave(Job):
    """Uploads content to Arweave as signed data items. Equal content has the same id, whoever repeats the upload."""

    kind = UPLOAD_ARWEAVE
    batch_max = 20
    timeout_s = 300.0

    def __init__(self, store: ContentStore, uploads: ArweaveUploads, signer: Signer, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._uploads = uploads
        self._signer = signer
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        for row in await _rows(self._store, jobs, SERVICES[UPLOAD_ARWEAVE]):
            data = await self._hashed(row)
            tags = [("Content-Type", row.media_type), ("IPFS-CID", row.cid)]
            item = await sign_item(self._signer, data, tags)
            await self._uploads.upload(item, self._store.pieces(row, 0, row.size))
            # One by one: what was paid for is not paid for again when the next one fails.
            await self._store.index.record_copies(
                SERVICES[UPLOAD_ARWEAVE], [(row.cid, item.text)], STORED, self._now_ms()
            )
        return []

    async def _hashed(self, row: ContentRow) -> Hashed:
        """Size and hash of the content. Raises ContentDamaged: an item can't be taken back."""
        data, tree = DataHash(), FileTree()
        async for piece in self._store.pieces(row, 0, row.size):
            data.feed(piece)
            tree.feed(piece)
        if tree.finish().cid.text != row.cid:
            raise ContentDamaged(f"{row.cid} has another content")
        return data.finish()


class RemoveAbandonedFiles(Job):
    """Removes the incomplete files of uploads whose gateway died."""

    kind = "remove_abandoned_files"
    every_ms = 3_600_000

    def __init__(self, files: ContentFiles) -> None:
        self._files = files

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        await asyncio.to_thread(self._files.remove_abandoned)
        return []


async def _rows(store: ContentStore, jobs: Sequence[Claimed], service: str) -> list[ContentRow]:
    """The content of these jobs that has no copy on the service yet. Raises ContentDamaged."""
    done = {copy.cid for copy in await store.index.copies([job.key for job in jobs])
            if copy.service == service and copy.state == STORED}  # fmt: skip
    rows = []
    for job in jobs:
        if job.key not in done:
            row = await store.find(Cid.parse(job.key))
            if row is None:
                raise ContentDamaged(f"{job.key} is not stored")
            rows.append(row)
    return rows
