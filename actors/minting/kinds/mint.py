"""Mints copies of cards, each to the custodial wallet of its owner."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from solders.pubkey import Pubkey

from actors.minting.chain_access import asking
from actors.minting.kinds.collection import SECRET_MS, UNKNOWN_STANDARD
from actors.minting.kinds.existing import UNTIL_FINAL_MS, Existence, existing
from actors.minting.kinds.kind import Connection, Finished, Kind, NotYet, Prepared, Ready, Record, Unfit
from chain.programs.paid_address import at_paid_address
from chain.rpc.client import ChainRpc
from chain.standards.registry import WITHOUT_SECRET
from chain.standards.standard import AssetTerms, InvalidTerms, Standard
from persistence.chain.rows import ChainJob, DoneJob, PoisonedJob
from persistence.minting.assets import (
    Assets,
    Changed,
    Collection,
    CopyToMint,
    SignedAsset,
    record_minted,
    record_signed,
)
from persistence.minting.requests import MINT

# A collection that is not there yet: it was signed, or rolled back.
COLLECTION_MS = 1_000
NO_COLLECTION = "its collection could not be created"


class AssetDocument(NamedTuple):
    """The metadata of a copy, stored: what its account on the chain says."""

    name: str
    symbol: str
    uri: str
    royalty_basis_points: int


# By copy; a text in the place of a document is why there is none.
StoreDocuments = Callable[[Sequence[int]], Awaitable[Mapping[int, AssetDocument | str]]]
Addresses = Callable[[Sequence[int]], Awaitable[Mapping[int, Pubkey]]]


class MintCopies(Kind):
    """``key``: the copy; on the chain the address of its asset is derived from it."""

    kind = MINT
    claim_max = 256

    def __init__(
        self, assets: Assets, rpc: ChainRpc, authority: Pubkey, wallets: Addresses, documents: StoreDocuments,
        changed: Callable[[Sequence[Changed]], None], standards: Mapping[str, Standard] = WITHOUT_SECRET,
    ) -> None:  # fmt: skip
        """``wallets``: the custodial addresses of users; ``changed`` is told of requests that have changed.

        ``standards``: those that can create assets here.
        """
        self._assets = assets
        self._rpc = rpc
        self._authority = authority
        self._wallets = wallets
        self._documents = documents
        self._changed = changed
        self._standards = standards

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        copies = await self._assets.copies_of([job.id for job in jobs])
        ended, paid = await self._ended(jobs, copies)
        left = [job for job in jobs if job.id not in ended and job.id in copies]
        wanted = [copies[job.id] for job in left]
        collections = await self._collections(wanted)
        owners = await self._wallets([copy.owner for copy in wanted])
        documents = await self._documents([copy.copy for copy in wanted])
        prepared: list[Prepared] = [*ended.values()]
        for job in left:
            copy = copies[job.id]
            collection = collections.get((copy.standard, copy.set_id))
            if collection is not None and collection.failed:
                prepared.append(Unfit(job, NO_COLLECTION))
            elif collection is None or collection.address is None or not (collection.final or not job.attempts):
                # A job that was tried before waits for finality: of its transactions, a rollback fails one at most.
                prepared.append(NotYet(job, COLLECTION_MS))
            else:
                address, document = collection.address, documents[copy.copy]
                built = await self._built(job, copy, address, owners[copy.owner], document, payer)
                if isinstance(built, Ready) and job.id in paid:
                    built = replace(built, bundle=at_paid_address(built.bundle))
                prepared.append(built)
        return prepared

    async def _ended(
        self, jobs: Sequence[ChainJob], copies: Mapping[int, CopyToMint]
    ) -> tuple[dict[int, Prepared], set[int]]:
        """Jobs that need no transaction, or can't have one now; and those at whose addresses SOL is."""
        ended: dict[int, Prepared] = {}
        for job in jobs:
            standard = self._standards.get(copies[job.id].standard) if job.id in copies else None
            if standard is None:
                ended[job.id] = Unfit(job, UNKNOWN_STANDARD)
            elif not standard.can_create:
                ended[job.id] = NotYet(job, SECRET_MS)
        tried = [job for job in jobs if job.attempts and job.id not in ended]
        addresses = [
            self._standards[copies[job.id].standard].asset_address(self._authority, job.key) for job in tried
        ]  # fmt: skip
        found, slot = await existing(self._rpc, addresses)
        for job, there in zip(tried, found, strict=True):
            if there is Existence.FOR_GOOD:
                ended[job.id] = Finished(job, slot)
            elif there is Existence.NEWLY:
                ended[job.id] = NotYet(job, UNTIL_FINAL_MS)
        return ended, {job.id for job, there in zip(tried, found, strict=True) if there is Existence.PAID}

    async def _collections(self, wanted: Sequence[CopyToMint]) -> dict[tuple[str, int], Collection]:
        """Those that are on the chain, confirmed at least, and those that have failed."""
        found: dict[tuple[str, int], Collection] = {}
        for standard in sorted({copy.standard for copy in wanted}):
            sets = sorted({copy.set_id for copy in wanted if copy.standard == standard})
            known = await self._assets.collections(sets, standard)
            found |= {(standard, set_id): one for set_id, one in known.items()}
        new = [(key, one.address) for key, one in found.items() if one.address is not None and not one.final]
        there, _ = await existing(self._rpc, [Pubkey.from_string(address) for _, address in new])
        for (key, _), existence in zip(new, there, strict=True):
            if existence in (Existence.NO, Existence.PAID) and not found[key].failed:
                del found[key]
        return found

    async def _built(
        self, job: ChainJob, copy: CopyToMint, collection: str, owner: Pubkey, document: AssetDocument | str,
        payer: Pubkey,
    ) -> Prepared:  # fmt: skip
        if isinstance(document, str):
            return Unfit(job, document)
        standard = self._standards[copy.standard]
        try:
            terms = AssetTerms(
                document.name, document.symbol, document.uri, Pubkey.from_string(collection),
                document.royalty_basis_points,
            )  # fmt: skip
        except InvalidTerms as fault:
            return Unfit(job, str(fault))
        size = standard.asset_bytes(terms)
        async with asking():
            rents = {size: await self._rpc.minimum_balance(size)}
        bundle = standard.mint(payer, self._authority, job.key, owner, terms, rents)
        address = standard.asset_address(self._authority, job.key)
        signers = standard.asset_signers(self._authority, job.key)
        detail = SignedAsset(job.id, str(address), collection, document.uri, str(owner))
        return Ready(job, bundle, signers, detail)

    def signed(self, jobs: Sequence[Ready]) -> Record | None:
        async def record(connection: Connection) -> None:
            await record_signed(connection, [one.detail for one in jobs])

        return record

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:
        self._changed(await record_minted(connection, jobs, []))

    async def poisoned(self, connection: Connection, jobs: Sequence[PoisonedJob]) -> None:
        self._changed(await record_minted(connection, [], jobs))
