"""Settlement of ended auctions, exactly once: the winner pays and gets the copies, or the seller gets them back.

Every auction's settlement is one transaction, which locks the auction's row first; its progress is a column of
that row (``due`` → ``paid`` → ``done``, or ``failed``). A process may be killed at any point; another one continues.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.auction.commands import Settle
from domain.errors import CARD_GONE
from domain.ids import id_text
from domain.ledger.refusals import Refusal
from persistence.postgres.guard import guard, guarded
from persistence.sales.giving_up import Unpaid, give_up, notify_given_up
from persistence.sales.selling import CURRENCY, FEE_BP, FEE_JOINS, SaleImpossible, Selling, Settlement, read_legs, sell

# The kind of job that settles an auction; its key is the auction's id.
SETTLE = "settle"
DUE_MAX = 500
PAGE_MAX = 100
DETAIL_MAX = 500


class Due(msgspec.Struct, frozen=True):
    """An auction to settle. ``sold``: it has a winner; ``paid``: it was paid, which its log does not have yet."""

    auction: int
    sold: bool
    paid: Settle | None


class Failure(msgspec.Struct, frozen=True):
    """Why a sale could not be settled. ``code`` is stable; ``at`` is the time of the last attempt (ms)."""

    auction: int
    code: str
    detail: str
    at: int
    attempts: int


_DUE = """
    SELECT a.auction_id, winner_id IS NOT NULL, settlement = 'paid', s.buyer_id, s.price, s.fee, s.royalties
    FROM auctions a LEFT JOIN settlements s ON s.auction_id = a.auction_id AND s.round = 1
    WHERE a.auction_id = ANY($1::bigint[]) AND status IN ('closed', 'cancelled') AND settlement IN ('due', 'paid')
    ORDER BY a.auction_id
"""

_UNSOLD = """
    WITH ended AS (
        SELECT a.auction_id, a.seller_id, a.status, a.seq, event_hash(a.auction_id, a.seq) AS hash FROM auctions a
        WHERE a.auction_id = ANY($1::bigint[]) AND a.status IN ('closed', 'cancelled') AND a.winner_id IS NULL
            AND a.settlement = 'due'
        ORDER BY a.auction_id FOR NO KEY UPDATE OF a SKIP LOCKED
    ), freed AS (
        UPDATE copies c SET place = 'free', locked_by = NULL, locked_at = NULL
        FROM ended WHERE c.locked_by = ended.auction_id AND c.place = 'listed'
    ), written AS (
        INSERT INTO settlements (auction_id, round, outcome, at, seller_id, currency, price, fee, royalties, copies,
            event_seq, event_hash)
        SELECT auction_id, 1, CASE status WHEN 'closed' THEN 'unsold' ELSE 'cancelled' END, $2, seller_id, $3, 0, 0, 0,
            (SELECT count(*) FROM listed_copies l WHERE l.auction_id = ended.auction_id), seq, hash
        FROM ended ORDER BY auction_id
    )
    UPDATE auctions a SET settlement = 'done' FROM ended WHERE a.auction_id = ended.auction_id
"""

_SOLD = f"""
    SELECT a.seller_id, a.winner_id, a.price, a.seq, event_hash(a.auction_id, a.seq), {FEE_BP}
    FROM auctions a {FEE_JOINS}
    WHERE a.auction_id = $1 AND a.status = 'closed' AND a.winner_id IS NOT NULL AND a.settlement = 'due'
    FOR NO KEY UPDATE OF a SKIP LOCKED
"""

_PAID = """
    WITH paid AS (UPDATE auctions SET settlement = 'paid' WHERE auction_id = $1)
    DELETE FROM settlement_failures WHERE auction_id = $1
"""

_CANCELLED = """
    WITH done AS (UPDATE auctions SET settlement = 'done' WHERE auction_id = $1)
    DELETE FROM settlement_failures WHERE auction_id = $1
"""

_DONE = "UPDATE auctions SET settlement = 'done' WHERE auction_id = ANY($1::bigint[]) AND settlement = 'paid'"

_FAILED = """
    WITH marked AS (
        UPDATE auctions SET settlement = 'failed' WHERE auction_id = $1 AND settlement = 'due' RETURNING auction_id
    )
    INSERT INTO settlement_failures (auction_id, code, detail, at) SELECT auction_id, $2, $3, $4 FROM marked
    ON CONFLICT (auction_id) DO UPDATE SET code = excluded.code, detail = excluded.detail, at = excluded.at,
        attempts = settlement_failures.attempts + 1
"""

_AGAIN = """
    WITH again AS (
        UPDATE auctions SET settlement = 'due' WHERE auction_id = $1 AND settlement = 'failed' RETURNING auction_id
    ), added AS (
        INSERT INTO jobs (kind, key, run_at) SELECT $2, $3, 0 FROM again ON CONFLICT DO NOTHING
    )
    SELECT true FROM again
"""

_FAILURES = """
    SELECT auction_id, code, detail, at, attempts FROM auctions JOIN settlement_failures USING (auction_id)
    WHERE settlement = 'failed' AND ($1::bigint IS NULL OR auction_id < $1) ORDER BY auction_id DESC LIMIT $2
"""

SETTLEMENT_COLUMNS = """auction_id, round, outcome, at, seller_id, buyer_id, currency, price, fee, royalties, copies,
    legs::text, event_seq, event_hash"""
_OF = f"SELECT {SETTLEMENT_COLUMNS} FROM settlements WHERE auction_id = $1 ORDER BY round"


class Settlements:
    """Settles auctions. Every method may raise StoreUnavailable: then repeat the same call."""

    def __init__(self, pool: asyncpg.Pool, bidders: Callable[[int], Awaitable[Collection[int]]] | None = None) -> None:
        """``bidders`` of an auction are told of a sale that is cancelled, beside its seller and its winner."""
        self._pool = pool
        self._bidders = bidders

    async def due(self, auctions: Sequence[int]) -> list[Due]:
        """Those of these auctions that have ended and are not settled, the oldest first."""
        rows = await guarded(self._pool.fetch(_DUE, auctions))
        return [Due(row[0], row[1], Settle(*row[3:]) if row[2] else None) for row in rows]

    async def settle_unsold(self, auctions: Sequence[int], now_ms: int) -> int:
        """Return the copies of those of these auctions (at most DUE_MAX) that ended without a winner.

        Returns how many there were.
        """
        assert len(auctions) <= DUE_MAX, "pages have a maximum"
        done: str = await guarded(self._pool.execute(_UNSOLD, auctions, now_ms, CURRENCY))
        return int(done.removeprefix("UPDATE "))

    async def settle(self, auction: int, now_ms: int) -> Settlement | Failure | None:
        """Have the winner pay and get the copies; None if that was done, or another worker does it.

        A sale that can't be done is marked as failed, and what is held for it stays held. A sale whose card was moved
        on the chain is cancelled: that settlement has no buyer. Raises LedgerConflict too.
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            selling = await _ended(connection, auction)
            if selling is None:
                return None
            try:
                async with connection.transaction():
                    settlement = await sell(connection, selling, now_ms)
            except SaleImpossible as impossible:
                code, detail = impossible.refusal.code, detail_of(impossible)
                if code != CARD_GONE:
                    await connection.execute(_FAILED, auction, code, detail, now_ms)
                    return Failure(auction, code, detail, now_ms, 1)
            else:
                await connection.execute(_PAID, auction)
                return settlement
        return await self._cancel(auction, now_ms)

    async def _cancel(self, auction: int, now_ms: int) -> Settlement | None:
        """The card is gone for good, so this is a transaction of its own, after the bidders were read."""
        bidders = set() if self._bidders is None else set(await self._bidders(auction))
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            ended = await _ended(connection, auction)
            if ended is None:
                return None
            unpaid = Unpaid(auction, ended.seller, ended.buyer, ended.event_seq, ended.event_hash)
            settlement = await give_up(connection, unpaid, now_ms)
            await notify_given_up(connection, auction, bidders | {ended.seller, ended.buyer}, CARD_GONE, now_ms)
            await connection.execute(_CANCELLED, auction)
        return settlement

    async def fail(self, failure: Failure) -> None:
        """Mark a sale as failed, if nothing of it was settled."""
        await guarded(
            self._pool.execute(_FAILED, failure.auction, failure.code, failure.detail[:DETAIL_MAX], failure.at)
        )

    async def done(self, auctions: Sequence[int]) -> None:
        """Mark these as done: their logs have the settlement."""
        await guarded(self._pool.execute(_DONE, auctions))

    async def of(self, auction: int) -> list[Settlement]:
        """The settlements of an auction, in order of rounds."""
        return [settlement_of(row) for row in await guarded(self._pool.fetch(_OF, auction))]

    async def failures(self, before: int | None, limit: int) -> list[Failure]:
        """Failed sales, the newest auctions first."""
        rows = await guarded(self._pool.fetch(_FAILURES, before, min(limit, PAGE_MAX + 1)))
        return [Failure(*row) for row in rows]

    async def try_again(self, auction: int) -> bool:
        """Have a failed sale tried again; False if there is none."""
        return bool(await guarded(self._pool.fetchval(_AGAIN, auction, SETTLE, id_text(auction))))


async def _ended(connection: PoolConnectionProxy, auction: int) -> Selling | None:
    """A closed auction with a winner that is not settled, its row locked; None if another worker has it."""
    row = await connection.fetchrow(_SOLD, auction)
    if row is None:
        return None
    seller, winner, price, seq, digest, fee_bp = row
    return Selling(auction, 1, seller, winner, price, fee_bp, seq, digest, held=True)


def settlement_of(row: asyncpg.Record) -> Settlement:
    """A row of SETTLEMENT_COLUMNS."""
    values = list(row)
    values[11] = read_legs(values[11])
    return Settlement(*values)


def detail_of(impossible: SaleImpossible) -> str:
    """For an operator: what did not work, with amounts."""
    refusal: Refusal = impossible.refusal
    if refusal.available is None:
        return impossible.detail
    return f"{impossible.detail} (available {refusal.available}, required {refusal.required})"
