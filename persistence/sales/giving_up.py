"""A sale that is given up before anything was paid, in the caller's transaction."""

from collections.abc import Collection

import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ledger.ids import held_for_auction
from domain.ledger.rules import Reserve
from persistence.ledger.store import Ledger
from persistence.sales.selling import CURRENCY, Settlement, store_settlement

CARD_IS_GONE = "sale_cancelled"
"""The kind of the notification of a sale whose card is gone."""

RELEASE = """
    UPDATE copies SET place = 'free', locked_by = NULL, locked_at = NULL WHERE locked_by = $1 AND place = 'listed'
"""
# In the order of the copies' ids, as whoever sells them does.
_COPIES = """
    SELECT c.copy_id FROM listed_copies l JOIN copies c ON c.copy_id = l.copy_id
    WHERE l.auction_id = $1 ORDER BY c.copy_id FOR NO KEY UPDATE OF c
"""
_NOTIFY = """
    SELECT notify_user(given.to_user, $2, 'sale_cancelled ' || $3::bigint, jsonb_build_object(
        'auction', jsonb_build_object('id', id_text($3::bigint), 'title', a.title), 'reason', $4::text), $5)
    FROM (SELECT DISTINCT to_user FROM unnest($1::bigint[]) AS g (to_user) ORDER BY 1) AS given, auctions a
    WHERE a.auction_id = $3
"""


class Unpaid(msgspec.Struct, frozen=True):
    """An auction that has ended with a winner who did not pay. The last two are of the event that closed it."""

    auction: int
    seller: int
    winner: int
    event_seq: int
    event_hash: bytes


async def give_up(connection: PoolConnectionProxy, unpaid: Unpaid, now_ms: int, *, free: bool = True) -> Settlement:
    """The winner's money is released, and nobody owes anything. ``free``: the seller has what is listed still.

    The caller has locked the auction's row.
    """
    copies = len(await connection.fetch(_COPIES, unpaid.auction))
    await Ledger(connection).reserve([Reserve(held_for_auction(unpaid.auction), unpaid.winner, 0, 0)], CURRENCY)
    settlement = Settlement(
        unpaid.auction, 1, "cancelled", now_ms, unpaid.seller, None, CURRENCY, 0, 0, 0, copies, [],
        unpaid.event_seq, unpaid.event_hash,
    )  # fmt: skip
    await store_settlement(connection, settlement)
    if free:
        await connection.execute(RELEASE, unpaid.auction)
    return settlement


async def notify_given_up(
    connection: PoolConnectionProxy, auction: int, users: Collection[int], reason: str, now_ms: int
) -> None:
    """Tell these users that the sale was given up, and why."""
    await connection.execute(_NOTIFY, list(users), CARD_IS_GONE, auction, reason, now_ms)
