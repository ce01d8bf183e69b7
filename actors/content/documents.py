"""The documents of cards that are minted: their pictures and metadata, stored, with the URIs that the chain gets."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from actors.content.pictures import MEDIA_PATH, cid_of, media_file
from actors.content.store import Content, ContentStore
from chain.storage.cids import Cid
from chain.storage.errors import ContentError
from chain.storage.images import IMAGE_BYTES_MAX, inspect_image
from domain.minting.cards import MintedCard, Picture, metadata_of
from domain.minting.metadata import InvalidMetadata, Metadata, encode, is_address, parse

log = structlog.get_logger()

DOCUMENT_TYPE = "application/json"
PICTURES_MAX = 10_000


class Document(NamedTuple):
    """A stored document: ``uri`` and what else the account on the chain holds."""

    uri: str
    name: str
    symbol: str
    royalty_basis_points: int


class CardDocuments:
    """Every method may raise StoreUnavailable and OSError; done again, it has the same result."""

    def __init__(self, store: ContentStore, media_dir: Path | None) -> None:
        """``media_dir``: the folder of pictures that this machine serves."""
        self._store = store
        self._media_dir = media_dir
        # By name: what a name stands for never changes.
        self._pictures: OrderedDict[str, Picture | None] = OrderedDict()

    async def persist(self, cards: Sequence[MintedCard]) -> list[Document | InvalidMetadata]:
        """Store the documents of these copies, as one batch. A card that breaks a rule has its error in its place."""
        pictures = [await self._picture(card.images) for card in cards]
        made = [_encoded(metadata_of(card, picture)) for card, picture in zip(cards, pictures, strict=True)]
        return await self._put(made)

    async def persist_documents(self, documents: Sequence[bytes]) -> list[Document | InvalidMetadata]:
        """The same with documents that somebody else wrote."""
        return await self._put([_parsed(document) for document in documents])

    async def _put(self, made: Sequence[tuple[Metadata, bytes] | InvalidMetadata]) -> list[Document | InvalidMetadata]:
        stored = await self._store.put_many(
            [Content(one[1], DOCUMENT_TYPE) for one in made if not isinstance(one, InvalidMetadata)]
        )
        cids = iter(stored)
        return [one if isinstance(one, InvalidMetadata) else _document(one[0], next(cids).cid) for one in made]

    async def _picture(self, images: Sequence[str]) -> Picture | None:
        """The first image that a wallet can reach. Images elsewhere are named as they are, and not fetched."""
        for image in images:
            found = await self._reachable(image)
            if found is not None:
                return found
        return None

    async def _reachable(self, image: str) -> Picture | None:
        if image in self._pictures:
            self._pictures.move_to_end(image)
            return self._pictures[image]
        cid = cid_of(image)
        if cid is not None:
            return await self._stored(cid)
        if image.startswith(MEDIA_PATH):
            found: Picture | None = await self._stored_file(image)
        else:
            found = Picture(image) if is_address(image) else None
        self._pictures[image] = found
        if len(self._pictures) > PICTURES_MAX:
            self._pictures.popitem(last=False)
        return found

    async def _stored(self, cid: Cid) -> Picture:
        row = await self._store.index.get(cid.text)
        return Picture(cid.uri, None if row is None else row.media_type)

    async def _stored_file(self, image: str) -> Picture | None:
        """A picture of this machine, stored as content."""
        path = media_file(self._media_dir, image)
        if path is None:
            return None
        if path.stat().st_size > IMAGE_BYTES_MAX:
            log.warning("picture_not_stored", name=path.name, error="it is too large")
            return None
        try:
            facts = await asyncio.to_thread(inspect_image, path)
        except ContentError as error:
            log.warning("picture_not_stored", name=path.name, error=str(error))
            return None
        stored = await self._store.put(await asyncio.to_thread(path.read_bytes), facts.media_type)
        return Picture(stored.cid.uri, facts.media_type)


def _encoded(metadata: Metadata) -> tuple[Metadata, bytes] | InvalidMetadata:
    try:
        return metadata, encode(metadata)
    except InvalidMetadata as invalid:
        return invalid


def _parsed(document: bytes) -> tuple[Metadata, bytes] | InvalidMetadata:
    try:
        metadata = parse(document)
        return metadata, encode(metadata)
    except InvalidMetadata as invalid:
        return invalid


def _document(metadata: Metadata, cid: Cid) -> Document:
    return Document(cid.uri, metadata.name, metadata.symbol, metadata.seller_fee_basis_points)
