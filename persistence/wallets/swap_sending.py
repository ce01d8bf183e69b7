"""Swaps as the minting pool does them: their nonces, messages, transactions, and what follows from these."""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ledger.currencies import USDC
from domain.sales.swaps import CardLeg, SwapLeg
from persistence.chain.rows import ChainJobRow
from persistence.postgres.guard import guard, guarded
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.swap_rows import (
    ADVANCE_NONCE,
    OPEN_SWAP,
    Ended,
    end,
    end_unsent,
    notify,
    read_legs,
    release_nonce,
    swap_key,
)


class ToOpen(msgspec.Struct, frozen=True):
    """A swap without a message. ``last_value``: what its nonce had in an earlier message, None: none."""

    id: int
    wallets: tuple[str, str]
    legs: tuple[SwapLeg, ...]
    nonce_address: str
    last_value: str | None


class Message(msgspec.Struct, frozen=True):
    """What both sign."""

    swap: int
    nonce_address: str
    nonce: str
    payer: str
    message: bytes


class ToSend(msgspec.Struct, frozen=True):
    """A swap that both have signed. ``raw``, ``signature`` and ``sent_at`` (ms) once the platform has, too."""

    id: int
    state: str
    message: bytes
    payer: str
    signatures: dict[str, str]
    nonce_address: str
    nonce: str
    raw: bytes | None
    signature: str | None
    sent_at: int | None


class UsedNonce(msgspec.Struct, frozen=True):
    """A nonce to advance: ``value`` is the one that the message has."""

    address: str
    value: str


_CREATED = "UPDATE nonce_accounts SET address = $2 WHERE number = $1 AND address IS NULL RETURNING swap_id"
_USED = """
    SELECT s.swap_id, n.address, s.nonce FROM nonce_accounts n JOIN swaps s USING (swap_id)
    WHERE s.swap_id = ANY($1::bigint[]) AND s.nonce IS NOT NULL
"""
_TO_OPEN = """
    SELECT s.swap_id, s.proposer_wallet, s.counterparty_wallet, s.legs::text, n.address, n.value
    FROM swaps s JOIN nonce_accounts n USING (swap_id)
    WHERE s.swap_id = ANY($1::bigint[]) AND s.state = 'preparing' AND n.address IS NOT NULL
"""
_OPENED = """
    UPDATE swaps SET state = 'open', nonce_address = $2, nonce = $3, payer = $4, message = $5
    WHERE swap_id = $1 AND state = 'preparing' RETURNING proposer_id, counterparty_id
"""
_TO_SEND = """
    SELECT swap_id, state, message, payer, proposer_wallet, proposer_signature, counterparty_wallet,
        counterparty_signature, nonce_address, nonce, raw, signature, sent_at
    FROM swaps WHERE swap_id = ANY($1::bigint[]) AND state IN ('signed', 'sent')
"""
_SENT = """
    UPDATE swaps SET state = 'sent', raw = $2, signature = $3, sent_at = $4 WHERE swap_id = $1 AND state = 'signed'
    RETURNING true
"""
_LOCK = """
    SELECT legs::text, proposer_wallet, proposer_id, counterparty_id FROM swaps WHERE swap_id = $1 AND state = $2
    FOR NO KEY UPDATE
"""
_LOCK_COPIES = "SELECT FROM copies WHERE copy_id = ANY($1::bigint[]) ORDER BY copy_id FOR NO KEY UPDATE"
# What a later slot says of a card stands. Parts of one statement see the copies as they were before it.
_MOVE = """
    WITH given AS (
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[]) AS g (copy_id, taker, wallet, price)
    ), held AS (
        UPDATE assets a SET holder = g.wallet, holder_slot = $5, moving_to = NULL FROM given g
        WHERE a.copy_id = g.copy_id AND coalesce(a.holder_slot, 0) < $5 RETURNING a.copy_id
    ), moved AS (
        UPDATE copies c SET owner_id = g.taker, place = 'withdrawn', cost = nullif(g.price, 0), acquired_at = $6,
            provenance_seq = c.provenance_seq + 1
        FROM given g JOIN held USING (copy_id) WHERE c.copy_id = g.copy_id RETURNING c.copy_id, c.provenance_seq
    )
    INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner, price, currency, source_id)
    SELECT copy_id, m.provenance_seq, $6, 'trade', before.owner_id, g.taker, nullif(g.price, 0),
        CASE WHEN g.price > 0 THEN $7::text END, $8
    FROM moved m JOIN given g USING (copy_id) JOIN copies before USING (copy_id)
"""


class SwapSending:
    """What the kinds of chain jobs read and write. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def used_nonces(self, swaps: Sequence[int]) -> dict[int, UsedNonce]:
        """The nonces that are in the messages of these swaps, and not free yet."""
        rows = await guarded(self._pool.fetch(_USED, list(swaps)))
        return {row[0]: UsedNonce(row[1], row[2]) for row in rows}

    async def to_open(self, swaps: Sequence[int]) -> dict[int, ToOpen]:
        """Those of these that need a message."""
        rows = await guarded(self._pool.fetch(_TO_OPEN, list(swaps)))
        return {row[0]: ToOpen(row[0], (row[1], row[2]), read_legs(row[3]), row[4], row[5]) for row in rows}

    async def opened(self, made: Message, now_ms: int) -> None:
        """Store the message and notify both. Nothing changes if the swap has ended or has one."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            parties = await connection.fetchrow(_OPENED, *msgspec.structs.astuple(made))
            if parties is not None:
                await notify(connection, sorted(parties), made.swap, "open", None, now_ms)

    async def not_opened(self, swap: int, reason: str, now_ms: int) -> None:
        """No message can be built."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchrow(_LOCK, swap, "preparing") is not None:
                await end_unsent(connection, swap, Ended("failed", reason), now_ms)

    async def to_send(self, swaps: Sequence[int]) -> dict[int, ToSend]:
        """Those of these that are to be sent, or are sent and have no final outcome."""
        rows = await guarded(self._pool.fetch(_TO_SEND, list(swaps)))
        return {row[0]: _to_send(row) for row in rows}

    async def sent(self, swap: int, raw: bytes, signature: str, now_ms: int) -> bool:
        """Store the transaction, before it is sent. False: it must not be sent, since the swap was ended or sent."""
        return bool(await guarded(self._pool.fetchval(_SENT, swap, raw, signature, now_ms)))

    async def kill(self, swap: int) -> None:
        """Have the nonce of a swap advanced, so that its transaction lands now or never."""
        async with guard(), self._pool.acquire() as connection:
            await add_chain_jobs(connection, [ChainJobRow(ADVANCE_NONCE, swap_key(swap))])

    async def landed(self, swap: int, slot: int, now_ms: int) -> None:
        """Its transaction is final: the cards have new owners. Again, nothing changes."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK, swap, "sent")
            if row is None:
                return
            legs, proposer_wallet, proposer, counterparty = row
            cards = [leg for leg in read_legs(legs) if isinstance(leg, CardLeg)]
            copies = [leg.copy for leg in cards]
            takers = [proposer if leg.taker == proposer_wallet else counterparty for leg in cards]
            await connection.execute(_LOCK_COPIES, copies)
            await connection.execute(
                _MOVE, copies, takers, [leg.taker for leg in cards], [leg.price for leg in cards], slot, now_ms,
                USDC.code, swap,
            )  # fmt: skip
            await _ended(connection, swap, Ended("done"), now_ms)

    async def failed(self, swap: int, reason: str, now_ms: int) -> None:
        """Its transaction has failed for good, or can't land any more: nothing has moved. Again, nothing changes."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchrow(_LOCK, swap, "sent") is not None:
                await _ended(connection, swap, Ended("failed", reason), now_ms)


async def nonce_created(connection: PoolConnectionProxy, number: int, address: str) -> None:
    """The account of this number is final, in the caller's transaction. The swap that waits for it can be opened."""
    swap = await connection.fetchval(_CREATED, number, address)
    if swap is not None:
        await add_chain_jobs(connection, [ChainJobRow(OPEN_SWAP, swap_key(swap))])


async def nonce_advanced(connection: PoolConnectionProxy, swap: int) -> None:
    """The nonce has another value, for good: it is free, if the swap has ended. Else the end of the swap frees it."""
    if await connection.fetchval("SELECT ended_at IS NOT NULL FROM swaps WHERE swap_id = $1 FOR NO KEY UPDATE", swap):
        await release_nonce(connection, swap)


def _to_send(row: asyncpg.Record) -> ToSend:
    id, state, message, payer, one, signature_one, two, signature_two, *rest = row
    return ToSend(id, state, message, payer, {one: signature_one, two: signature_two}, *rest)


async def _ended(connection: PoolConnectionProxy, swap: int, ended: Ended, now_ms: int) -> None:
    """The transaction, or what made it void, has advanced the nonce."""
    await end(connection, swap, ended, now_ms)
    await release_nonce(connection, swap)
