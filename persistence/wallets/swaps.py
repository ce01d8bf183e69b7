"""Swaps as their two users see them: proposed, signed, cancelled, expired."""

from collections.abc import Mapping

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import (
    COPY_NOT_FOUND,
    NOT_FOUND,
    NOT_IN_WALLET,
    NOT_MINTED,
    NOT_YOUR_COPY,
    SWAP_ENDED,
    SWAP_NOT_READY,
    SWAPS_FULL,
    WALLET_NOT_LINKED,
)
from domain.ids import id_text
from domain.sales.settlement import Payee
from domain.sales.swaps import CardLeg, GivenCopy, Side, SwapLeg
from persistence.chain.rows import ChainJobRow
from persistence.postgres.guard import guard, guarded
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.swap_rows import (
    CREATE_NONCE,
    OPEN_SWAP,
    SELECT,
    SEND_SWAP,
    UNSENT,
    Ended,
    Swap,
    SwapRefusal,
    end_unsent,
    swap_in,
    swap_key,
)

PAGE_MAX = 100
# Of one proposer: each has a nonce, whose rent the platform pays.
UNSENT_MAX = 10
EXPIRE_PAGE = 100


class Offer(msgspec.Struct, frozen=True):
    """What one side would give: copies, and base units of USDC."""

    user: int
    wallet: str
    copies: tuple[int, ...]
    pays: int


class NewSwap(msgspec.Struct, frozen=True):
    """A swap to propose, with an id that is equal in a retry. The first one proposes."""

    id: int
    users: tuple[int, int]
    wallets: tuple[str, str]
    legs: tuple[SwapLeg, ...]
    expires_at: int


_read_royalty = msgspec.json.Decoder(tuple[Payee, ...]).decode

_LINKED = "SELECT EXISTS (SELECT FROM linked_wallets WHERE address = $1 AND user_id = $2)"
_COPIES = """
    SELECT c.copy_id, c.card_id, c.owner_id, coalesce(a.state = 'minted', false), a.address, a.standard, a.collection,
        a.holder, k.royalty::text
    FROM copies c JOIN cards k USING (card_id) LEFT JOIN assets a USING (copy_id) WHERE c.copy_id = ANY($1::bigint[])
"""
_FEE_BP = "SELECT fee_bp FROM users JOIN seller_tiers ON tier = seller_tier WHERE user_id = $1"
_LOCK_USER = "SELECT FROM users WHERE user_id = $1 FOR NO KEY UPDATE"
_UNSENT = "SELECT count(*) FROM swaps WHERE proposer_id = $1 AND state = ANY($2::text[])"
_ADD = """
    INSERT INTO swaps (swap_id, proposer_id, counterparty_id, proposer_wallet, counterparty_wallet, legs, created_at,
        expires_at)
    VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8)
"""
_ADD_COPIES = "INSERT INTO swap_copies (swap_id, copy_id) SELECT $1, * FROM unnest($2::bigint[])"
_FREE_NONCE = """
    UPDATE nonce_accounts SET swap_id = $1 WHERE number = (
        SELECT number FROM nonce_accounts WHERE swap_id IS NULL AND address IS NOT NULL
        ORDER BY number LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ) RETURNING number
"""
_NEW_NONCE = "INSERT INTO nonce_accounts (swap_id) VALUES ($1) RETURNING number"
_GET = f"{SELECT} WHERE s.swap_id = $1"
_LOCK = "SELECT FROM swaps WHERE swap_id = $1 FOR NO KEY UPDATE"
_PAGE = f"""
    ({SELECT} WHERE s.proposer_id = $1 AND ($2::bigint IS NULL OR s.swap_id < $2) ORDER BY s.swap_id DESC LIMIT $3)
    UNION ALL
    ({SELECT} WHERE s.counterparty_id = $1 AND ($2::bigint IS NULL OR s.swap_id < $2) ORDER BY s.swap_id DESC LIMIT $3)
    ORDER BY swap_id DESC LIMIT $3
"""
_SIGN = """
    UPDATE swaps SET proposer_signature = $2, counterparty_signature = $3, state = $4 WHERE swap_id = $1
"""
_EXPIRED = """
    SELECT swap_id FROM swaps WHERE state = ANY($1::text[]) AND expires_at <= $2
    ORDER BY swap_id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
"""


class Swaps:
    """The table ``swaps``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def side(self, offer: Offer, place: str, *, held: bool = True) -> Side | SwapRefusal:
        """One side with its assets, as far as the wallet is the user's and holds them. ``place`` names it in errors.

        Not ``held``: it may have given them away already.
        """
        if not await guarded(self._pool.fetchval(_LINKED, offer.wallet, offer.user)):
            return SwapRefusal(WALLET_NOT_LINKED, fields={"wallet": place})
        rows = {row[0]: row for row in await guarded(self._pool.fetch(_COPIES, list(offer.copies)))}
        given = [_given(copy, rows, offer, held) for copy in offer.copies]
        for one in given:
            if isinstance(one, SwapRefusal):
                return one
        return Side(offer.user, offer.wallet, tuple(one for one in given if isinstance(one, GivenCopy)), offer.pays)

    async def fee_bp(self, seller: int) -> int:
        """The fee of the house for what this user sells, in basis points."""
        return int(await guarded(self._pool.fetchval(_FEE_BP, seller)))

    async def propose(self, new: NewSwap, now_ms: int) -> Swap | SwapRefusal:
        """Store it, and have its message prepared; idempotent by the id."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK_USER, new.users[0])
            known = await connection.fetchrow(_GET, new.id)
            if known is not None:
                return swap_in(known)
            if await connection.fetchval(_UNSENT, new.users[0], UNSENT) >= UNSENT_MAX:
                return SwapRefusal(SWAPS_FULL, fields={"maximum": UNSENT_MAX})
            legs = msgspec.json.encode(new.legs).decode()
            await connection.execute(_ADD, new.id, *new.users, *new.wallets, legs, now_ms, new.expires_at)
            copies = [leg.copy for leg in new.legs if isinstance(leg, CardLeg)]
            await connection.execute(_ADD_COPIES, new.id, copies)
            await _take_nonce(connection, new.id)
            return await _now(connection, new.id)

    async def get(self, swap: int) -> Swap | None:
        """One swap."""
        row = await guarded(self._pool.fetchrow(_GET, swap))
        return None if row is None else swap_in(row)

    async def page(self, user: int, before: int | None, limit: int) -> list[Swap]:
        """Up to ``limit`` swaps of a user, the newest first."""
        rows = await guarded(self._pool.fetch(_PAGE, user, before, min(limit, PAGE_MAX + 1)))
        return [swap_in(row) for row in rows]

    async def sign(self, swap: int, user: int, signature: str, now_ms: int) -> Swap | SwapRefusal:
        """Store a verified signature of the user's wallet. With both, the platform signs and sends."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            known = await _locked(connection, swap)
            place = None if known is None else known.place_of(user)
            if known is None or place is None:
                return SwapRefusal(NOT_FOUND)
            if known.signatures[place] is not None:
                return known
            if known.state == "preparing":
                return SwapRefusal(SWAP_NOT_READY)
            if known.state != "open" or known.expires_at <= now_ms:
                return SwapRefusal(SWAP_ENDED, fields={"state": known.state})
            if not await connection.fetchval(_LINKED, known.wallets[place], user):
                return SwapRefusal(WALLET_NOT_LINKED, fields={"wallet": "wallet"})
            both = [signature if number == place else known.signatures[number] for number in (0, 1)]
            complete = all(one is not None for one in both)
            await connection.execute(_SIGN, swap, *both, "signed" if complete else "open")
            if complete:
                await add_chain_jobs(connection, [ChainJobRow(SEND_SWAP, swap_key(swap))])
            return await _now(connection, swap)

    async def cancel(self, swap: int, user: int, now_ms: int) -> Swap | SwapRefusal:
        """End a swap that is not sent yet; either of the two may. Again, nothing changes."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            known = await _locked(connection, swap)
            if known is None or known.place_of(user) is None:
                return SwapRefusal(NOT_FOUND)
            if known.state == "cancelled":
                return known
            if known.state not in UNSENT:
                return SwapRefusal(SWAP_ENDED, fields={"state": known.state})
            await end_unsent(connection, swap, Ended("cancelled"), now_ms)
            return await _now(connection, swap)

    async def expire_due(self, now_ms: int) -> None:
        """End some of those whose time is over."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            for row in await connection.fetch(_EXPIRED, UNSENT, now_ms, EXPIRE_PAGE):
                await end_unsent(connection, row[0], Ended("expired"), now_ms)


async def _locked(connection: PoolConnectionProxy, swap: int) -> Swap | None:
    """The row as it is once the lock is had."""
    await connection.execute(_LOCK, swap)
    row = await connection.fetchrow(_GET, swap)
    return None if row is None else swap_in(row)


async def _now(connection: PoolConnectionProxy, swap: int) -> Swap:
    """As this transaction has changed it."""
    row = await connection.fetchrow(_GET, swap)
    assert row is not None, "it is locked, or was added"
    return swap_in(row)


async def _take_nonce(connection: PoolConnectionProxy, swap: int) -> None:
    """A free nonce, or a new one: then the message is prepared once that exists."""
    if await connection.fetchval(_FREE_NONCE, swap) is not None:
        await add_chain_jobs(connection, [ChainJobRow(OPEN_SWAP, swap_key(swap))])
    else:
        number = await connection.fetchval(_NEW_NONCE, swap)
        await add_chain_jobs(connection, [ChainJobRow(CREATE_NONCE, str(number))])


def _given(copy: int, rows: Mapping[int, asyncpg.Record], offer: Offer, held: bool) -> GivenCopy | SwapRefusal:
    named = {"copy": id_text(copy)}
    if copy not in rows:
        return SwapRefusal(COPY_NOT_FOUND, fields=named)
    _, card, owner, minted, asset, standard, collection, holder, royalty = rows[copy]
    if owner != offer.user:
        return SwapRefusal(NOT_YOUR_COPY, fields=named)
    if not minted:
        return SwapRefusal(NOT_MINTED, fields=named)
    if held and holder != offer.wallet:
        return SwapRefusal(NOT_IN_WALLET, fields=named)
    return GivenCopy(copy, card, asset, standard, collection, _read_royalty(royalty))
