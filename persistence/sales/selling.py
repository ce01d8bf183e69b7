"""One sale, in the caller's transaction: money and copies change owners together, or neither does."""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import CARD_GONE, COPIES_NOT_LOCKED
from domain.ledger.books import HOUSE
from domain.ledger.ids import held_for_auction, transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.refusals import SET_REFUSED, Refusal
from domain.ledger.rules import Reserve
from domain.sales.settlement import FEE, Leg, Payee, Sale, Share, SoldCopy, Split, split
from persistence.ledger.store import Ledger
from persistence.postgres.guard import guarded

CURRENCY = "USDC"
FEES = "fees"

Connection = asyncpg.Connection | PoolConnectionProxy

legs_json = msgspec.json.Encoder().encode
read_legs = msgspec.json.Decoder(list[tuple[str, int, int]]).decode
_read_royalty = msgspec.json.Decoder(tuple[Payee, ...]).decode


class SaleImpossible(Exception):
    """Nothing of the sale may stay: roll back to before it. ``refusal`` has a stable code, ``detail`` is for people."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail


class Selling(msgspec.Struct, frozen=True):
    """What is sold to whom. ``held``: the price is part of what is held of the buyer's balance for this auction."""

    auction: int
    round: int
    seller: int
    buyer: int
    price: int
    fee_bp: int
    event_seq: int
    event_hash: bytes
    held: bool


class Settlement(msgspec.Struct, frozen=True):
    """The result of an auction in one round (1: its own end, 2: the runner-up's second chance). Base units.

    ``outcome`` is ``sold``, ``unsold`` or ``cancelled``; ``legs`` are (kind, user or 0 for the house, amount);
    ``event_seq`` and ``event_hash`` are those of the event that closed the auction.
    """

    auction: int
    round: int
    outcome: str
    at: int
    seller: int
    buyer: int | None
    currency: str
    price: int
    fee: int
    royalties: int
    copies: int
    legs: list[tuple[str, int, int]]
    event_seq: int
    event_hash: bytes


# The fee that was promised when auction `a` was listed; one that never was listed through a gateway has that of today.
FEE_BP = "coalesce(l.fee_bp, t.fee_bp)"
FEE_JOINS = """
    LEFT JOIN listings l ON l.auction_id = a.auction_id LEFT JOIN users u ON u.user_id = a.seller_id
    LEFT JOIN seller_tiers t ON t.tier = coalesce(u.seller_tier, 'standard')
"""

_COPIES = """
    SELECT c.copy_id, c.card_id, c.owner_id, c.place, c.locked_by, k.royalty::text,
        EXISTS (SELECT FROM assets s WHERE s.copy_id = c.copy_id AND s.state = 'minted')
    FROM listed_copies l JOIN copies c ON c.copy_id = l.copy_id JOIN cards k ON k.card_id = c.card_id
    WHERE l.auction_id = $1 ORDER BY c.copy_id FOR NO KEY UPDATE OF c
"""

_LOCK_ACCOUNTS = """
    SELECT FROM ledger_accounts WHERE account_id = ANY($1::bigint[]) ORDER BY account_id FOR NO KEY UPDATE
"""

# Parts of one statement see the copies as they were before it.
_HAND_OVER = """
    WITH given AS (
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
            AS g (copy_id, price, fee, royalties)
    ), moved AS (
        UPDATE copies c SET owner_id = $7, place = 'free', locked_by = NULL, locked_at = NULL, cost = g.price,
            acquired_at = $10, provenance_seq = c.provenance_seq + 1
        FROM given g WHERE c.copy_id = g.copy_id RETURNING c.copy_id, c.card_id, c.provenance_seq
    ), recorded AS (
        INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner, price, currency, source_id, event_hash)
        SELECT copy_id, provenance_seq, $10, 'sale', $6, $7, nullif(g.price, 0),
            CASE WHEN g.price > 0 THEN $8 END, $5, $9 FROM moved JOIN given g USING (copy_id)
    )
    INSERT INTO sales (auction_id, round, copy_id, card_id, seller_id, buyer_id, currency, price, fee, royalties,
        seller_cost, at)
    SELECT $5, $11, m.copy_id, m.card_id, $6, $7, $8, g.price, g.fee, g.royalties, before.cost, $10
    FROM moved m JOIN given g USING (copy_id) JOIN copies before USING (copy_id) ORDER BY m.copy_id
"""

_SETTLED = """
    INSERT INTO settlements (auction_id, round, outcome, at, seller_id, buyer_id, currency, price, fee, royalties,
        copies, legs, event_seq, event_hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::jsonb, $13, $14)
"""


async def sell(connection: Connection, selling: Selling, now_ms: int) -> Settlement:
    """Pay, hand over, and write down what was done. Raises SaleImpossible, StoreUnavailable, LedgerConflict.

    The caller has locked the auction's row: after it come the copies, then the accounts by id, as everywhere.
    """
    copies = await _copies_of(connection, selling)
    sale = Sale(selling.seller, selling.buyer, selling.price, selling.fee_bp, copies)
    parts = split(sale, HOUSE)
    await _pay(connection, selling, parts, now_ms)
    await _hand_over(connection, selling, parts.shares, now_ms)
    settlement = Settlement(
        selling.auction, selling.round, "sold", now_ms, selling.seller, selling.buyer, CURRENCY, selling.price,
        parts.fee, parts.royalties, len(copies), [(leg.kind, leg.owner, leg.amount) for leg in parts.legs],
        selling.event_seq, selling.event_hash,
    )  # fmt: skip
    await store_settlement(connection, settlement)
    return settlement


async def store_settlement(connection: Connection, settlement: Settlement) -> None:
    """Store a settlement."""
    values = list(msgspec.structs.astuple(settlement))
    values[11] = legs_json(settlement.legs).decode()
    await guarded(connection.execute(_SETTLED, *values))


async def lock_accounts(connection: Connection, owners: Sequence[int]) -> dict[int, int]:
    """The accounts of these users and of the house's fees (owner 0), opened and locked in the order of their ids."""
    ledger = Ledger(connection)
    accounts = await ledger.accounts([owner for owner in owners if owner != HOUSE], CURRENCY)
    accounts |= await ledger.accounts([HOUSE], CURRENCY, FEES)
    await guarded(connection.execute(_LOCK_ACCOUNTS, sorted(accounts.values())))
    return accounts


async def _copies_of(connection: Connection, selling: Selling) -> tuple[SoldCopy, ...]:
    rows = await guarded(connection.fetch(_COPIES, selling.auction))
    for copy, _, owner, place, locked_by, _, minted in rows:
        if (owner, place, locked_by) != (selling.seller, "listed", selling.auction):
            # Of a minted copy only the chain ends the lock (persistence/minting/ownership.py).
            code = CARD_GONE if minted else COPIES_NOT_LOCKED
            raise SaleImpossible(Refusal(code), f"copy {copy} is not the seller's, locked for this auction")
    return tuple(SoldCopy(row[0], row[1], _read_royalty(row[5])) for row in rows)


async def _pay(connection: Connection, selling: Selling, parts: Split, now_ms: int) -> None:
    accounts = await lock_accounts(connection, [selling.buyer, *(leg.owner for leg in parts.legs)])
    ledger = Ledger(connection)
    if selling.held:
        # The whole hold is released here, and the price taken, before anything else can reserve it.
        await ledger.reserve([Reserve(held_for_auction(selling.auction), selling.buyer, 0, 0)], CURRENCY)
    orders = [
        Transfer(
            _id_of(selling, leg), accounts[selling.buyer], accounts[leg.owner], leg.amount, leg.kind, selling.auction
        )
        for leg in parts.legs
    ]
    for leg, outcome in zip(parts.legs, await ledger.execute(orders, now_ms, together=True), strict=True):
        if isinstance(outcome, Refusal) and outcome.code != SET_REFUSED:
            to = "the house" if leg.kind == FEE else f"user {leg.owner}"
            raise SaleImpossible(outcome, f"{leg.kind} of {leg.amount} to {to}: {outcome.code}")


def _id_of(selling: Selling, leg: Leg) -> bytes:
    return transfer_id("settlement", selling.auction, selling.round, leg.kind, leg.owner)


async def _hand_over(connection: Connection, selling: Selling, shares: Sequence[Share], now_ms: int) -> None:
    if not shares:
        return
    await guarded(
        connection.execute(
            _HAND_OVER,
            [share.copy for share in shares],
            [share.price for share in shares],
            [share.fee for share in shares],
            [share.royalties for share in shares],
            selling.auction,
            selling.seller,
            selling.buyer,
            CURRENCY,
            selling.event_hash,
            now_ms,
            selling.round,
        )
    )
