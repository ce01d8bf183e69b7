"""Moves assets to where they belong: into the vault while they are listed, else to the wallet of their owner."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Protocol

import structlog
from solders.pubkey import Pubkey

from actors.minting.kinds.existing import arrived
from actors.minting.kinds.kind import Connection, Finished, Kind, NotYet, Prepared, Ready, Record, Unfit
from chain.rpc.client import ChainRpc
from chain.signing import Signer
from chain.standards.registry import STANDARDS
from chain.wallets.custody import KeyFault
from domain.minting.custody import WITH_OWNER, WITH_VAULT, belongs
from persistence.chain.rows import ChainJob, DoneJob
from persistence.minting.moves import MOVE, Move, Moves, record_moved, record_signed_moves

log = structlog.get_logger()

WAITS_MS = 1_000
KEY_MISSING_MS = 60_000


class Custodians(Protocol):
    """``chain.wallets.custody.Wallets``. May raise StoreUnavailable."""

    async def custodial_addresses(self, users: Sequence[int]) -> Mapping[int, Pubkey]: ...
    async def signers(self, users: Sequence[int]) -> Mapping[int, Signer | KeyFault]: ...


class CustodialUsers(Protocol):
    """``persistence.wallets.custody.CustodialWallets``. May raise StoreUnavailable."""

    async def users_of(self, addresses: Sequence[str]) -> dict[str, int]: ...


class MoveAssets(Kind):
    """A copy has one move in flight at most: the others wait for it, and then see where it has come.

    Jobs of a copy end in their order. Of those that are queued only the last one has something to do, and none once the
    copy is where it belongs: these are finished together, but not those after one that another actor has claimed, which
    may still sign a move.

    The copies of a trade are moved by one transaction where they fit, so that all of them change hands or none does.
    """

    kind = MOVE

    def __init__(self, moves: Moves, rpc: ChainRpc, wallets: Custodians, users: CustodialUsers, vault: Signer) -> None:
        self._moves = moves
        self._rpc = rpc
        self._wallets = wallets
        self._users = users
        self._vault = vault

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        """Each of database, chain and keys is asked once for all jobs."""
        moves = await self._moves.of([job.id for job in jobs])
        superseded = {move.job for move in moves.values() if move.superseded}
        ready = [move for move in moves.values() if not (move.waits or move.superseded)]
        places = await self._places(ready)
        destinations = await self._destinations(ready)
        there = {move.job for move in ready if destinations.get(move.job) in (None, places[move.job][0])}
        behind = _behind(moves.values(), there | superseded)
        signers = await self._signers([places[move.job][0] for move in ready if move.job not in there | behind])
        prepared: list[Prepared] = []
        for job in jobs:
            move = moves.get(job.id)
            if move is None:
                prepared.append(Unfit(job, "this copy is not on the chain"))
            elif job.id in behind:
                prepared.append(NotYet(job, WAITS_MS))
            elif job.id in superseded:
                prepared.append(Finished(job, move.slot))
            elif move.waits:
                prepared.append(NotYet(job, WAITS_MS))
            elif job.id in there:
                prepared.append(Finished(job, places[job.id][1]))
            else:
                holder, destination = places[job.id][0], destinations[job.id]
                prepared.append(_prepared(job, move, holder, signers.get(holder), destination, payer))
        return _held_together(prepared, moves)

    def signed(self, jobs: Sequence[Ready]) -> Record:
        moves = [one.detail for one in jobs]

        async def record(connection: Connection) -> None:
            await record_signed_moves(connection, moves)

        return record

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:
        await record_moved(connection, jobs)

    async def _places(self, moves: Sequence[Move]) -> dict[int, tuple[str, int]]:
        """By job, who has its asset, as of which slot: also where an earlier transaction has brought it."""
        places = {move.job: (move.holder, move.slot) for move in moves}
        sent = [(move, move.moving_to) for move in moves if move.moving_to is not None]
        final = await arrived(
            self._rpc,
            [(STANDARDS[move.standard], Pubkey.from_string(move.address), Pubkey.from_string(to)) for move, to in sent],
        )
        # A node that lags behind may say where it was before.
        there = [(move, to, slot) for (move, to), slot in zip(sent, final, strict=True) if slot and slot > move.slot]
        if there:
            await self._moves.arrived([(move.copy, to, slot) for move, to, slot in there])
        return places | {move.job: (to, slot) for move, to, slot in there}

    async def _destinations(self, moves: Sequence[Move]) -> dict[int, str]:
        """By job, the wallet where its asset belongs; nothing for one that belongs outside."""
        where = {move.job: belongs(move.place, move.owner) for move in moves}
        owners = sorted({move.owner for move in moves if where[move.job] == WITH_OWNER})
        wallets = await self._wallets.custodial_addresses(owners) if owners else {}
        vault = {job: str(self._vault.address) for job, place in where.items() if place == WITH_VAULT}
        return vault | {move.job: str(wallets[move.owner]) for move in moves if where[move.job] == WITH_OWNER}

    async def _signers(self, holders: Sequence[str]) -> dict[str, Signer | KeyFault]:
        """The keys of these wallets; nothing for one that is not in custody."""
        users = await self._users.users_of(sorted(set(holders))) if holders else {}
        keys = await self._wallets.signers(sorted(set(users.values()))) if users else {}
        return {holder: keys[user] for holder, user in users.items()} | {str(self._vault.address): self._vault}


def _behind(moves: Iterable[Move], idle: Set[int]) -> set[int]:
    """The jobs that have to wait for an earlier one of their copy. ``idle``: those that have nothing to do."""
    finished: Counter[int] = Counter()
    behind = set[int]()
    for move in sorted(moves, key=lambda move: move.job):
        if move.behind > finished[move.copy]:
            behind.add(move.job)
        elif move.job in idle:
            finished[move.copy] += 1
    return behind


def _prepared(
    job: ChainJob, move: Move, holder: str, signer: Signer | KeyFault | None, destination: str, payer: Pubkey
) -> Prepared:
    if signer is None:
        return Unfit(job, f"the wallet {holder} is not in custody")
    if isinstance(signer, KeyFault):
        log.error("custodial_key_unusable", holder=holder, error=str(signer), next_step="restore secrets/wallets")
        return NotYet(job, KEY_MISSING_MS)
    collection = None if move.collection is None else Pubkey.from_string(move.collection)
    bundle = STANDARDS[move.standard].transfer(
        payer, Pubkey.from_string(move.address), collection, signer.address, Pubkey.from_string(destination)
    )
    return Ready(job, bundle, (signer,), detail=(move.copy, destination), together=move.together)


def _held_together(prepared: list[Prepared], moves: Mapping[int, Move]) -> list[Prepared]:
    """Where a job of a trade has to wait, or is in another actor's claim, the others of the trade wait as well."""
    claimed: Counter[int] = Counter()
    waiting = set[int]()
    for one in prepared:
        move = moves.get(one.job.id)
        if move is not None and move.together is not None:
            claimed[move.together] += 1
            if isinstance(one, NotYet):
                waiting.add(move.together)
    groups = {move.together: move.of for move in moves.values() if move.together is not None}
    waiting |= {trade for trade, jobs in groups.items() if claimed[trade] < jobs}
    return [
        NotYet(one.job, WAITS_MS) if isinstance(one, Ready) and one.together in waiting else one for one in prepared
    ]
