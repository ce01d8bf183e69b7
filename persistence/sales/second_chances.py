"""Reversed sales: the money is returned, and the copies may be offered to the runner-up.

Each step is one transaction that locks the auction's row first, as settling does.
"""

from collections.abc import Awaitable, Callable

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import COPY_MOVED_ON, INSUFFICIENT_FUNDS, NOT_FOUND, NOT_SETTLED, OFFER_ENDED, SALE_CANCELLED
from domain.ledger.books import HOUSE
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.refusals import SET_REFUSED, Refusal
from persistence.ledger.store import Ledger
from persistence.postgres.guard import guard, guarded
from persistence.sales.giving_up import RELEASE, Unpaid, give_up
from persistence.sales.selling import (
    FEE_BP,
    FEE_JOINS,
    SaleImpossible,
    Selling,
    Settlement,
    lock_accounts,
    sell,
)
from persistence.sales.settlement import SETTLEMENT_COLUMNS, settlement_of

EXPIRE_MAX = 200
PAGE_MAX = 100

# Codes of refusals, in addition to those of the ledger.


class RunnerUp(msgspec.Struct, frozen=True):
    """The user who is offered the copies, the price (their maximum, base units), and the expiry (ms)."""

    bidder: int
    name: str
    price: int
    expires_at: int


class Reversal(msgspec.Struct, frozen=True):
    """An order to reverse a sale. ``advance``: the house pays for users who can't return what they got."""

    auction: int
    operator: int
    reason: str
    advance: bool = False
    offer: RunnerUp | None = None


class Offer(msgspec.Struct, frozen=True):
    """A second chance. ``state`` is ``offered``, ``accepted``, ``declined`` or ``expired``."""

    auction: int
    title: str
    seller_name: str
    bidder: int
    price: int
    state: str
    offered_at: int
    expires_at: int
    decided_at: int | None


Answered = Callable[[PoolConnectionProxy, Offer | None], Awaitable[None]]

_AUCTION = """
    SELECT a.seller_id, a.winner_id, a.settlement, a.seq, last_event_hash(a.auction_id) FROM auctions a
    WHERE a.auction_id = $1 FOR NO KEY UPDATE OF a
"""
_FIRST_ROUND = f"SELECT {SETTLEMENT_COLUMNS} FROM settlements WHERE auction_id = $1 AND round = 1"
_TAKEN_BACK = "SELECT EXISTS (SELECT FROM refunds WHERE auction_id = $1 AND round = 1)"
_COPIES = """
    SELECT c.copy_id, c.owner_id, c.place FROM listed_copies l JOIN copies c ON c.copy_id = l.copy_id
    WHERE l.auction_id = $1 ORDER BY c.copy_id FOR NO KEY UPDATE OF c
"""
_AVAILABLE = "SELECT account_id, posted - held FROM ledger_accounts WHERE account_id = ANY($1::bigint[])"
_REFUND = "INSERT INTO refunds (auction_id, round, at, by_operator, reason) VALUES ($1, 1, $2, $3, $4)"

# The seller has them as before, at what they had cost; locked still, where somebody else may have them.
_GIVE_BACK = """
    WITH moved AS (
        UPDATE copies c SET owner_id = s.seller_id, cost = s.seller_cost, acquired_at = $2,
            provenance_seq = c.provenance_seq + 1, place = CASE WHEN $3 THEN 'listed' ELSE 'free' END,
            locked_by = CASE WHEN $3 THEN $1::bigint END, locked_at = CASE WHEN $3 THEN $2::bigint END
        FROM sales s WHERE s.auction_id = $1 AND s.round = 1 AND c.copy_id = s.copy_id
        RETURNING c.copy_id, c.provenance_seq, s.seller_id, s.buyer_id
    )
    INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner, source_id, event_hash)
    SELECT copy_id, provenance_seq, $2, 'refund', buyer_id, seller_id, $1, $4 FROM moved
"""
_OVER = "UPDATE auctions SET settlement = 'done' WHERE auction_id = $1"
_OFFER = """
    INSERT INTO second_chances (auction_id, bidder_id, bidder_name, price, offered_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6)
"""

_SHOWN = """
    SELECT o.auction_id, a.title, a.seller_name, o.bidder_id, o.price, o.state, o.offered_at, o.expires_at, o.decided_at
    FROM second_chances o JOIN auctions a USING (auction_id)
"""
_OF_BIDDER = f"{_SHOWN} WHERE o.bidder_id = $1 AND ($2::bigint IS NULL OR o.auction_id < $2) ORDER BY 1 DESC LIMIT $3"
_STANDING = """
    SELECT bidder_id, price, state, expires_at FROM second_chances WHERE auction_id = $1 FOR NO KEY UPDATE
"""
_DECIDE = "UPDATE second_chances SET state = $2, decided_at = $3 WHERE auction_id = $1"
_EXPIRED = "SELECT auction_id FROM second_chances WHERE state = 'offered' AND expires_at <= $1 ORDER BY 1 LIMIT $2"

_FEE = f"SELECT {FEE_BP} FROM auctions a {FEE_JOINS} WHERE a.auction_id = $1"


class SecondChances:
    """Reversals of sales, and offers. Every method may raise StoreUnavailable, LedgerConflict."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def reverse(self, wanted: Reversal, now_ms: int, answered: Answered | None = None) -> Refusal | None:
        """Reverse an auction's first sale, whether it was paid or failed; or return why that is not possible.

        All who were paid return what they got. The hold of a winner who could not pay is released. ``answered`` stores
        the answer in the same transaction.
        """
        try:
            async with guard(), self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_AUCTION, wanted.auction)
                if row is None:
                    return Refusal(NOT_FOUND)
                seller, winner, progress, seq, digest = row
                if winner is None or progress not in ("done", "failed"):
                    return Refusal(NOT_SETTLED)
                first = await connection.fetchrow(_FIRST_ROUND, wanted.auction)
                if first is None:
                    unpaid = Unpaid(wanted.auction, seller, winner, seq, digest)
                    await give_up(connection, unpaid, now_ms, free=wanted.offer is None)
                else:
                    await _undo(connection, wanted, settlement_of(first), now_ms)
                await connection.execute(_OVER, wanted.auction)
                if wanted.offer is not None:
                    offer = wanted.offer
                    await connection.execute(
                        _OFFER, wanted.auction, offer.bidder, offer.name, offer.price, now_ms, offer.expires_at
                    )
                if answered is not None:
                    await answered(connection, await _offer_after(connection, wanted.auction))
        except SaleImpossible as impossible:
            return impossible.refusal
        return None

    async def is_reversed(self, auction: int) -> bool:
        """Whether an auction's first sale was reversed after it had been paid."""
        return bool(await guarded(self._pool.fetchval(_TAKEN_BACK, auction)))

    async def offers_to(self, bidder: int, before: int | None, limit: int) -> list[Offer]:
        """What somebody is or was offered, the newest auctions first."""
        rows = await guarded(self._pool.fetch(_OF_BIDDER, bidder, before, min(limit, PAGE_MAX + 1)))
        return [Offer(*row) for row in rows]

    async def get(self, auction: int) -> Offer | None:
        """The offer after this auction."""
        return await _offer_after(self._pool, auction)

    async def accept(self, auction: int, bidder: int, now_ms: int) -> Settlement | Refusal:
        """Pay, from what is available, and get the copies."""
        try:
            async with guard(), self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_AUCTION, auction)
                standing = await _offered_to(connection, auction, bidder, now_ms)
                if row is None or isinstance(standing, Refusal):
                    return standing if isinstance(standing, Refusal) else Refusal(NOT_FOUND)
                fee_bp = await connection.fetchval(_FEE, auction)
                first = await connection.fetchrow(_FIRST_ROUND, auction)
                assert first is not None, "an offer comes after it"
                closed = settlement_of(first)
                selling = Selling(
                    auction, 2, row[0], bidder, standing, fee_bp, closed.event_seq, closed.event_hash, False
                )
                settlement = await sell(connection, selling, now_ms)
                await connection.execute(_DECIDE, auction, "accepted", now_ms)
        except SaleImpossible as impossible:
            return impossible.refusal
        return settlement

    async def decline(self, auction: int, bidder: int, now_ms: int) -> Refusal | None:
        """The seller has the copies back."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_AUCTION, auction)
            standing = await _offered_to(connection, auction, bidder, now_ms)
            if isinstance(standing, Refusal):
                return standing
            await _end(connection, auction, "declined", now_ms)
        return None

    async def expire_due(self, now_ms: int) -> int:
        """End the offers whose time is over, EXPIRE_MAX at the most. How many."""
        due = await guarded(self._pool.fetch(_EXPIRED, now_ms, EXPIRE_MAX))
        for (auction,) in due:
            async with guard(), self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_AUCTION, auction)
                row = await connection.fetchrow(_STANDING, auction)
                if row is not None and row["state"] == "offered" and row["expires_at"] <= now_ms:
                    await _end(connection, auction, "expired", now_ms)
        return len(due)


async def _offer_after(database: asyncpg.Pool | PoolConnectionProxy, auction: int) -> Offer | None:
    row = await guarded(database.fetchrow(f"{_SHOWN} WHERE auction_id = $1", auction))
    return None if row is None else Offer(*row)


async def _undo(connection: PoolConnectionProxy, wanted: Reversal, done: Settlement, now_ms: int) -> None:
    if done.outcome != "sold" or await connection.fetchval(_TAKEN_BACK, wanted.auction):
        raise SaleImpossible(Refusal(SALE_CANCELLED), "it was taken back before")
    for copy, owner, place in await connection.fetch(_COPIES, wanted.auction):
        if owner != done.buyer or place != "free":
            raise SaleImpossible(Refusal(COPY_MOVED_ON), f"copy {copy} is not its buyer's, or not free")
    await _pay_back(connection, wanted, done, now_ms)
    await connection.execute(_REFUND, wanted.auction, now_ms, wanted.operator, wanted.reason)
    await connection.execute(_GIVE_BACK, wanted.auction, now_ms, wanted.offer is not None, done.event_hash)


async def _pay_back(connection: PoolConnectionProxy, wanted: Reversal, done: Settlement, now_ms: int) -> None:
    assert done.buyer is not None, "it was sold"
    accounts = await lock_accounts(connection, [done.buyer, *(owner for _, owner, _ in done.legs)])
    available = {row[0]: row[1] for row in await connection.fetch(_AVAILABLE, list(accounts.values()))}
    orders = []
    for kind, owner, amount in done.legs:
        giver = accounts[owner]
        if owner != HOUSE and available[giver] < amount:
            if not wanted.advance:
                raise SaleImpossible(Refusal(INSUFFICIENT_FUNDS, available[giver], amount), f"user {owner} lacks it")
            giver = accounts[HOUSE]
        refund = transfer_id("refund", wanted.auction, kind, owner)
        orders.append(Transfer(refund, giver, accounts[done.buyer], amount, f"{kind}_refund", wanted.auction))
    for outcome in await Ledger(connection).execute(orders, now_ms, together=True):
        if isinstance(outcome, Refusal) and outcome.code != SET_REFUSED:
            raise SaleImpossible(outcome, "it can't be paid back")


async def _offered_to(connection: PoolConnectionProxy, auction: int, bidder: int, now_ms: int) -> int | Refusal:
    """The price at which somebody may have it now."""
    row = await connection.fetchrow(_STANDING, auction)
    if row is None or row["bidder_id"] != bidder:
        return Refusal(NOT_FOUND)
    if row["state"] != "offered" or row["expires_at"] <= now_ms:
        return Refusal(OFFER_ENDED)
    price: int = row["price"]
    return price


async def _end(connection: PoolConnectionProxy, auction: int, state: str, now_ms: int) -> None:
    await connection.execute(_DECIDE, auction, state, now_ms)
    await connection.execute(RELEASE, auction)
