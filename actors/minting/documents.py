"""The metadata of what is minted: stored content, as the kinds of jobs need it."""

from collections.abc import Mapping, Sequence

from actors.content.documents import CardDocuments
from actors.minting.kinds.mint import AssetDocument
from domain.minting.cards import collection_metadata
from domain.minting.metadata import InvalidMetadata, encode
from persistence.content.minted_cards import minted_cards
from persistence.minting.assets import SetToCreate
from persistence.postgres.pool import Pool


class MintingDocuments:
    """Stores documents over ``CardDocuments``. Every method may raise StoreUnavailable and OSError."""

    def __init__(self, pool: Pool, documents: CardDocuments) -> None:
        self._pool = pool
        self._documents = documents

    async def of_copies(self, copies: Sequence[int]) -> Mapping[int, AssetDocument | str]:
        """The documents of these copies; a text is why one can't be made."""
        cards = await minted_cards(self._pool, copies)
        known = [copy for copy in copies if copy in cards]
        stored = await self._documents.persist([cards[copy] for copy in known])
        found: dict[int, AssetDocument | str] = dict.fromkeys(copies, "there is no such copy")
        for copy, one in zip(known, stored, strict=True):
            found[copy] = (
                f"{one.field}: {one}"
                if isinstance(one, InvalidMetadata)
                else AssetDocument(one.name, one.symbol, one.uri, one.royalty_basis_points)
            )
        return found

    async def of_collection(self, card_set: SetToCreate) -> tuple[str, str, str]:
        """Name, symbol and URI of a collection."""
        metadata = collection_metadata(card_set.code, card_set.name, card_set.cards)
        [stored] = await self._documents.persist_documents([encode(metadata)])
        assert not isinstance(stored, InvalidMetadata), "it was made within the limits"
        return stored.name, stored.symbol, stored.uri
