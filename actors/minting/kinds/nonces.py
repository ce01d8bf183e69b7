"""Nonce accounts of swaps: creates them, and advances those whose swap has ended without its transaction."""

from collections.abc import Sequence

from solders.pubkey import Pubkey

from actors.minting.chain_access import asking
from actors.minting.kinds.existing import UNTIL_FINAL_MS, Existence, existing
from actors.minting.kinds.kind import Connection, Finished, Kind, NotYet, Prepared, Ready, Unfit
from chain.programs.paid_address import at_paid_address
from chain.rpc.client import ChainRpc
from chain.transactions.nonce import (
    NONCE_BYTES,
    NonceAccount,
    NotANonce,
    advance_nonce,
    create_nonce,
    nonce_address,
    parse_nonce,
)
from persistence.chain.rows import ChainJob, DoneJob
from persistence.wallets.swap_rows import ADVANCE_NONCE, CREATE_NONCE, swap_of
from persistence.wallets.swap_sending import SwapSending, UsedNonce, nonce_advanced, nonce_created


class CreateNonces(Kind):
    """``key``: the number of the account; its address follows from it. The authority of the platform may advance it."""

    kind = CREATE_NONCE
    claim_max = 8

    def __init__(self, rpc: ChainRpc, authority: Pubkey) -> None:
        self._rpc = rpc
        self._authority = authority

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        # Also at the first attempt: a database that was restored counts from an earlier number.
        found, slot = await existing(self._rpc, [nonce_address(self._authority, job.key) for job in jobs])
        async with asking():
            rent = await self._rpc.minimum_balance(NONCE_BYTES)
        return [self._prepared(job, state, slot, payer, rent) for job, state in zip(jobs, found, strict=True)]

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:
        for one in jobs:
            await nonce_created(connection, int(one.job.key), str(nonce_address(self._authority, one.job.key)))

    def _prepared(self, job: ChainJob, state: Existence, slot: int, payer: Pubkey, rent: int) -> Prepared:
        if state is Existence.FOR_GOOD:
            return Finished(job, slot)
        if state is Existence.NEWLY:
            return NotYet(job, UNTIL_FINAL_MS)
        bundle = create_nonce(payer, self._authority, job.key, self._authority, rent)
        return Ready(job, at_paid_address(bundle) if state is Existence.PAID else bundle)


class AdvanceNonces(Kind):
    """``key``: the swap whose signatures must not be used any more. Its nonce is free afterwards."""

    kind = ADVANCE_NONCE
    claim_max = 16

    def __init__(self, sending: SwapSending, rpc: ChainRpc, authority: Pubkey) -> None:
        self._sending = sending
        self._rpc = rpc
        self._authority = authority

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        used = await self._sending.used_nonces([swap_of(job.key) for job in jobs])
        values, slot = await nonces_on_chain(self._rpc, [one.address for one in used.values()])
        return [self._prepared(job, used.get(swap_of(job.key)), values, slot) for job in jobs]

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:
        for one in jobs:
            await nonce_advanced(connection, swap_of(one.job.key))

    def _prepared(self, job: ChainJob, used: UsedNonce | None, values: dict[str, NonceAccount], slot: int) -> Prepared:
        if used is None:
            return Finished(job, slot)
        if used.address not in values:
            return Unfit(job, "its nonce account is not on the chain")
        if str(values[used.address].value) != used.value:
            return Finished(job, slot)
        return Ready(job, advance_nonce(Pubkey.from_string(used.address), self._authority))


async def nonces_on_chain(rpc: ChainRpc, addresses: Sequence[str]) -> tuple[dict[str, NonceAccount], int]:
    """The final nonces at these addresses, and the slot as of which. Raises ChainFault."""
    if not addresses:
        return {}, 0
    async with asking():
        found = await rpc.accounts([Pubkey.from_string(one) for one in addresses], commitment="finalized")
    nonces = {}
    for address, state in zip(addresses, found.accounts, strict=True):
        try:
            nonces[address] = parse_nonce(b"" if state is None else state.data)
        except NotANonce:
            continue
    return nonces, found.slot
