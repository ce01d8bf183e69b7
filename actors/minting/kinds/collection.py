"""Creates the collection of a set of cards."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from solders.pubkey import Pubkey

from actors.minting.chain_access import asking
from actors.minting.kinds.existing import UNTIL_FINAL_MS, Existence, existing
from actors.minting.kinds.kind import Connection, Finished, Kind, NotYet, Prepared, Ready, Record, Unfit
from chain.programs.paid_address import at_paid_address
from chain.rpc.client import ChainRpc
from chain.standards.registry import WITHOUT_SECRET
from chain.standards.standard import CollectionTerms, InvalidTerms, Standard
from persistence.chain.rows import ChainJob, DoneJob
from persistence.minting.assets import (
    Assets,
    SetToCreate,
    SignedCollection,
    record_created,
    record_signed_collections,
)
from persistence.minting.requests import CREATE_COLLECTION

UNKNOWN_STANDARD = "this engine does not know the standard"
# The signer has not given the secret of the standard yet.
SECRET_MS = 5_000
# The name and the symbol on the chain, and the URI of the metadata.
CollectionDocument = Callable[[SetToCreate], Awaitable[tuple[str, str, str]]]


class CreateCollection(Kind):
    """``key``: the standard and the set; on the chain the address is derived from it."""

    kind = CREATE_COLLECTION
    claim_max = 16

    def __init__(
        self, assets: Assets, rpc: ChainRpc, authority: Pubkey, document: CollectionDocument,
        standards: Mapping[str, Standard] = WITHOUT_SECRET,
    ) -> None:  # fmt: skip
        """``document`` stores the metadata of a set's collection."""
        self._assets = assets
        self._rpc = rpc
        self._authority = authority
        self._document = document
        self._standards = standards

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        sets = await self._assets.sets_of([job.id for job in jobs])
        return [await self._prepared(job, sets.get(job.id), payer) for job in jobs]

    async def _prepared(self, job: ChainJob, card_set: SetToCreate | None, payer: Pubkey) -> Prepared:
        standard = None if card_set is None else self._standards.get(card_set.standard)
        if card_set is None or standard is None:
            return Unfit(job, UNKNOWN_STANDARD)
        if not standard.can_create:
            return NotYet(job, SECRET_MS)
        address = standard.collection_address(self._authority, job.key)
        there = Existence.NO
        if job.attempts:
            [there], slot = await existing(self._rpc, [address])
            if there is Existence.FOR_GOOD:
                return Finished(job, slot)
            if there is Existence.NEWLY:
                return NotYet(job, UNTIL_FINAL_MS)
        name, symbol, uri = await self._document(card_set)
        try:
            terms = CollectionTerms(name, symbol, uri, card_set.size)
        except InvalidTerms as fault:
            return Unfit(job, str(fault))
        async with asking():
            size = standard.collection_bytes(terms)
            rents = {size: await self._rpc.minimum_balance(size)}
        bundle = standard.create_collection(payer, self._authority, job.key, terms, rents)
        if there is Existence.PAID:
            bundle = at_paid_address(bundle)
        signers = standard.collection_signers(self._authority, job.key)
        return Ready(job, bundle, signers, SignedCollection(job.id, str(address), uri))

    def signed(self, jobs: Sequence[Ready]) -> Record | None:
        async def record(connection: Connection) -> None:
            await record_signed_collections(connection, [one.detail for one in jobs])

        return record

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:
        await record_created(connection, jobs)
