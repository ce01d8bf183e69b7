"""Swaps of outside wallets: builds what both sign, and sends what both have signed.

The pipeline has no part in their transactions: a message is fixed days before it is sent, and a durable nonce takes the
place of its blockhash. The same rules hold: what is sent was stored before, anyone may send it again, and only a final
outcome counts. The nonce makes it land once at most.
"""

from collections.abc import Callable, Sequence

import structlog
from solders.pubkey import Pubkey
from solders.signature import Signature

from actors.minting.assembler import UNIT_PRICE_MAX
from actors.minting.chain_access import ChainAccess, asking
from actors.minting.kinds.kind import Finished, Kind, NotYet, Prepared, Unfit
from actors.minting.kinds.nonces import nonces_on_chain
from chain.rpc.answers import SignatureStatus
from chain.rpc.client import ChainRpc
from chain.signing import Signer, SignerRefused, SignerUnavailable
from chain.transactions.cosigned import stored_message
from chain.transactions.nonce import Nonce, NonceAccount
from chain.transactions.packing import TooLarge
from chain.transactions.swap import InvalidSwap
from chain.transactions.swap_message import SwapBuilder
from persistence.chain.rows import ChainJob
from persistence.wallets.swap_rows import OPEN_SWAP, SEND_SWAP, swap_of
from persistence.wallets.swap_sending import Message, SwapSending, ToOpen, ToSend

log = structlog.get_logger()

RESEND_MS = 1_000
KEY_MISSING_MS = 60_000
SIGNER_MS = 15_000
# A read of the chain that is older than the last use of the nonce.
STALE_MS = 1_000
# A transaction that has not landed after this time is made void.
LANDS_WITHIN_MS = 600_000
NOT_LANDED = "the transaction did not land"


class OpenSwaps(Kind):
    """``key``: a swap whose nonce account is there. Its message is built and stored: both may sign."""

    kind = OPEN_SWAP
    claim_max = 8

    def __init__(self, sending: SwapSending, rpc: ChainRpc, builder: SwapBuilder, now_ms: Callable[[], int]) -> None:
        self._sending = sending
        self._rpc = rpc
        self._builder = builder
        self._now_ms = now_ms

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        waiting = await self._sending.to_open([swap_of(job.key) for job in jobs])
        nonces, slot = await nonces_on_chain(self._rpc, [one.nonce_address for one in waiting.values()])
        async with asking():
            price = min(await self._rpc.priority_fee([payer]), UNIT_PRICE_MAX)
        return [await self._prepared(job, waiting.get(swap_of(job.key)), nonces, slot, payer, price) for job in jobs]

    async def _prepared(
        self, job: ChainJob, swap: ToOpen | None, nonces: dict[str, NonceAccount], slot: int, payer: Pubkey, price: int
    ) -> Prepared:
        if swap is None:
            return Finished(job, slot)
        account = nonces.get(swap.nonce_address)
        if account is None or str(account.value) == swap.last_value:
            return NotYet(job, STALE_MS)
        owners = (Pubkey.from_string(swap.wallets[0]), Pubkey.from_string(swap.wallets[1]))
        nonce = Nonce(Pubkey.from_string(swap.nonce_address), account)
        try:
            message = self._builder.message(payer, owners, swap.legs, nonce, price).message
        except (InvalidSwap, TooLarge) as fault:
            await self._sending.not_opened(swap.id, str(fault), self._now_ms())
        else:
            made = Message(swap.id, swap.nonce_address, str(account.value), str(payer), message)
            await self._sending.opened(made, self._now_ms())
        return Finished(job, slot)


class SendSwaps(Kind):
    """``key``: a swap that both have signed. The platform signs last; then the job runs until the outcome is final."""

    kind = SEND_SWAP
    claim_max = 16

    def __init__(
        self, sending: SwapSending, rpc: ChainRpc, signers: Callable[[], Sequence[Signer]], now_ms: Callable[[], int]
    ) -> None:
        """``signers``: the authority and all fee payers."""
        self._sending = sending
        self._rpc = rpc
        self._chain = ChainAccess(rpc)
        self._signers = signers
        self._now_ms = now_ms

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        swaps = await self._sending.to_send([swap_of(job.key) for job in jobs])
        signed = [one for one in swaps.values() if one.signature is not None]
        # Nonces first: one that is used by then shows in the statuses.
        nonces, slot = await nonces_on_chain(self._rpc, [one.nonce_address for one in signed])
        signatures = [Signature.from_string(one.signature or "") for one in signed]
        async with asking():
            found = await self._rpc.statuses(signatures, search_history=True) if signatures else []
        seen = {one.id: status for one, status in zip(signed, found, strict=True)}
        prepared: list[Prepared] = []
        for job in jobs:
            swap = swaps.get(swap_of(job.key))
            if swap is None:
                prepared.append(Finished(job, slot))
            elif swap.signature is None:
                prepared.append(await self._first_sent(job, swap))
            else:
                prepared.append(await self._followed(job, swap, seen[swap.id], nonces.get(swap.nonce_address), slot))
        return prepared

    async def _first_sent(self, job: ChainJob, swap: ToSend) -> Prepared:
        """Sign, store, send. Raises ChainFault."""
        message = stored_message(swap.message)
        signatures = {Pubkey.from_string(wallet): Signature.from_string(one) for wallet, one in swap.signatures.items()}
        signers = {one.address: one for one in self._signers()}
        for address in message.signers:
            if address in signatures:
                continue
            if address not in signers:
                log.error("swap_key_missing", swap=job.key, address=str(address), next_step="restore this fee payer")
                return NotYet(job, KEY_MISSING_MS)
            try:
                signatures[address] = await signers[address].sign(message.message)
            except SignerRefused as refused:
                return Unfit(job, str(refused))
            except SignerUnavailable as outage:
                # Other jobs of the claim may need other keys.
                log.warning("swap_not_signed", swap=job.key, error=str(outage))
                return NotYet(job, SIGNER_MS)
        raw = message.assembled(signatures)
        first = str(signatures[message.signers[0]])
        if not await self._sending.sent(swap.id, raw, first, self._now_ms()):
            # It was ended meanwhile, or another actor has stored it: the next look says which.
            return NotYet(job, 0)
        await self._chain.send(raw)
        return NotYet(job, RESEND_MS)

    async def _followed(
        self, job: ChainJob, swap: ToSend, seen: SignatureStatus | None, nonce: NonceAccount | None, slot: int
    ) -> Prepared:
        now_ms = self._now_ms()
        if seen is not None:
            if seen.commitment != "finalized":
                return NotYet(job, RESEND_MS)
            if seen.error is None:
                await self._sending.landed(swap.id, seen.slot, now_ms)
            else:
                await self._sending.failed(swap.id, str(seen.error), now_ms)
            return Finished(job, seen.slot)
        # Another chain has no such account.
        if nonce is None or str(nonce.value) != swap.nonce:
            await self._sending.failed(swap.id, NOT_LANDED, now_ms)
            return Finished(job, slot)
        if swap.sent_at is None or swap.raw is None:
            return Unfit(job, "what was sent is not stored")
        if now_ms - swap.sent_at > LANDS_WITHIN_MS:
            await self._sending.kill(swap.id)
        await self._chain.send(swap.raw)
        return NotYet(job, RESEND_MS)
