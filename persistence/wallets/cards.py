"""Cards that leave custody, and those that come back.

A copy is `withdrawn` from the request on. Its owner stays the one who withdrew it until the card arrives at a
custodial wallet. Then it is free again, and its owner is the user of that wallet.
"""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import COPY_MOVING, COPY_NOT_FOUND, COPY_NOT_FREE, NOT_MINTED, NOT_YOUR_COPY
from domain.ids import id_text, parse_id
from persistence.audit.trail import Act, record_within
from persistence.postgres.guard import guard, guarded
from persistence.wallets.chain_jobs import CARD_WITHDRAWAL, AddChainJobs, AssetTransfer, job_row

PAGE_MAX = 100
REASON_LENGTH_MAX = 200


class NewCardWithdrawal(msgspec.Struct, frozen=True):
    """A copy to send to an outside address, with an id that is equal in a retry."""

    id: int
    copy: int
    user: int
    address: str


class CardWithdrawal(msgspec.Struct, frozen=True):
    """``state``: sending, sent or failed. Times in milliseconds."""

    id: int
    copy: int
    user: int
    address: str
    state: str
    requested_at: int
    finished_at: int | None
    signature: str | None
    reason: str | None


class CardRefusal(msgspec.Struct, frozen=True):
    """Why a copy can't be withdrawn."""

    code: str
    copy: int


class WithdrawnCard(msgspec.Struct, frozen=True):
    """A copy outside of custody: where it is on chain."""

    copy: int
    asset: str
    standard: str


class CardToSend(msgspec.Struct, frozen=True):
    """A withdrawal that is being sent, and the asset that it moves."""

    id: int
    copy: int
    user: int
    destination: str
    asset: str
    standard: str
    collection: str | None


class CardArrival(msgspec.Struct, frozen=True):
    """A card that a custodial wallet holds, as of a final slot."""

    copy: int
    holder: str
    slot: int


_COLUMNS = "withdrawal_id, copy_id, user_id, address, state, requested_at, finished_at, signature, reason"
_GET = f"SELECT {_COLUMNS} FROM card_withdrawals WHERE withdrawal_id = $1"
_LOCK_COPY = "SELECT FROM copies WHERE copy_id = $1 FOR NO KEY UPDATE"
# A statement of its own: it sees the moves that whoever had the lock before has added.
_COPY = """
    SELECT c.owner_id, c.place, coalesce(a.state = 'minted', false),
        w.address IS NOT NULL AND a.holder = w.address AND NOT EXISTS (
            SELECT FROM chain_jobs j WHERE j.moved_copy = c.copy_id AND j.state IN ('queued', 'signed')
        )
    FROM copies c LEFT JOIN assets a USING (copy_id) LEFT JOIN custodial_wallets w ON w.user_id = c.owner_id
    WHERE c.copy_id = $1
"""
_PLACE = "UPDATE copies SET place = $2 WHERE copy_id = $1"
_ADD = f"""
    INSERT INTO card_withdrawals (withdrawal_id, copy_id, user_id, address, requested_at) VALUES ($1, $2, $3, $4, $5)
    RETURNING {_COLUMNS}
"""
# What may be signed: these rows are the truth, whatever a job says.
_SENDING = """
    SELECT w.withdrawal_id, w.copy_id, w.user_id, w.address, a.address, a.standard, a.collection
    FROM card_withdrawals w JOIN assets a USING (copy_id)
    WHERE w.withdrawal_id = ANY($1::bigint[]) AND w.state = 'sending'
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM card_withdrawals
    WHERE user_id = $1 AND ($2::bigint IS NULL OR withdrawal_id < $2) ORDER BY withdrawal_id DESC LIMIT $3
"""
_END = """
    UPDATE card_withdrawals SET state = $2, signature = $3, reason = $4, finished_at = $5
    WHERE withdrawal_id = $1 AND state = 'sending' RETURNING copy_id, user_id, address
"""
_HOLDER = "UPDATE assets SET holder = $2, holder_slot = $3 WHERE copy_id = $1 AND coalesce(holder_slot, 0) <= $3"
_NOTIFY = """
    SELECT notify_user($1, $2, $3, jsonb_build_object('copy', id_text($4), 'address', $5::text, 'signature', $6::text,
        'reason', $7::text), $8)
"""
_OUTSIDE = """
    SELECT c.copy_id, a.address, a.standard FROM copies c JOIN assets a USING (copy_id)
    WHERE c.place = 'withdrawn' AND c.copy_id > $1
        AND NOT EXISTS (SELECT FROM card_withdrawals w WHERE w.copy_id = c.copy_id AND w.state = 'sending')
    ORDER BY c.copy_id LIMIT $2
"""
# A node that lags behind may say where the card was before it was sent: only later slots count.
_LOCK = """
    SELECT c.owner_id FROM copies c JOIN assets a USING (copy_id)
    WHERE c.copy_id = $1 AND c.place = 'withdrawn' AND coalesce(a.holder_slot, 0) < $2
        AND NOT EXISTS (SELECT FROM card_withdrawals w WHERE w.copy_id = c.copy_id AND w.state = 'sending')
    FOR NO KEY UPDATE OF c
"""
_USER = "SELECT user_id FROM custodial_wallets WHERE address = $1"
_BACK = """
    WITH moved AS (
        UPDATE copies SET place = 'free', owner_id = $3, cost = NULL, acquired_at = $4,
            provenance_seq = provenance_seq + 1
        WHERE copy_id = $1 RETURNING copy_id, provenance_seq
    )
    INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner)
    SELECT copy_id, provenance_seq, $4, 'deposit', $2, $3 FROM moved
"""


def card_key(withdrawal: int) -> str:
    """The key of the chain job that sends a withdrawn card."""
    return id_text(withdrawal)


def card_withdrawal_of(key: str) -> int:
    """The withdrawal behind the key of a chain job."""
    return parse_id(key)


class Cards:
    """Withdrawals and deposits of cards. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, add_jobs: AddChainJobs) -> None:
        self._pool = pool
        self._add_jobs = add_jobs

    async def get(self, withdrawal: int) -> CardWithdrawal | None:
        """One withdrawal."""
        row = await guarded(self._pool.fetchrow(_GET, withdrawal))
        return None if row is None else CardWithdrawal(*row)

    async def withdraw(self, wanted: NewCardWithdrawal, now_ms: int) -> CardWithdrawal | CardRefusal:
        """Send a free, minted copy to an outside address; idempotent by the id."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK_COPY, wanted.copy)
            row = await connection.fetchrow(_COPY, wanted.copy)
            known = await connection.fetchrow(_GET, wanted.id)
            if known is not None:
                return CardWithdrawal(*known)
            code = _refusal(row, wanted.user)
            if code is not None:
                return CardRefusal(code, wanted.copy)
            await connection.execute(_PLACE, wanted.copy, "withdrawn")
            details = {"copy": id_text(wanted.copy), "address": wanted.address}
            await record_within(connection, Act("card.withdrawn", wanted.user, None, id_text(wanted.id), details))
            made = await connection.fetchrow(_ADD, *msgspec.structs.astuple(wanted), now_ms)
            assert made is not None, "INSERT … RETURNING gives a row"
            payload = AssetTransfer(wanted.copy, wanted.address, wanted.user)
            await self._add_jobs(connection, [job_row(CARD_WITHDRAWAL, card_key(wanted.id), payload)])
        return CardWithdrawal(*made)

    async def page(self, user: int, before: int | None, limit: int) -> list[CardWithdrawal]:
        """Up to ``limit`` withdrawals of a user, the newest first."""
        rows = await guarded(self._pool.fetch(_PAGE, user, before, min(limit, PAGE_MAX + 1)))
        return [CardWithdrawal(*row) for row in rows]

    async def being_sent(self, withdrawals: Sequence[int]) -> dict[int, CardToSend]:
        """Those of these that are being sent: no other may be signed."""
        rows = await guarded(self._pool.fetch(_SENDING, list(withdrawals)))
        return {row[0]: CardToSend(*row) for row in rows}

    async def outside(self, after_copy: int, limit: int) -> list[WithdrawnCard]:
        """The next cards outside of custody, by copy; not those that are still being sent."""
        rows = await guarded(self._pool.fetch(_OUTSIDE, after_copy, min(limit, PAGE_MAX)))
        return [WithdrawnCard(*row) for row in rows]

    async def arrived(self, arrivals: Sequence[CardArrival], now_ms: int) -> list[int]:
        """These cards are back in custody. Returns the users who have a new notification."""
        users = []
        for arrival in sorted(arrivals, key=lambda one: one.copy):
            async with guard(), self._pool.acquire() as connection, connection.transaction():
                users += await _arrived(connection, arrival, now_ms)
        return users


async def card_sent(
    connection: PoolConnectionProxy, withdrawal: int, signature: str | None, slot: int, now_ms: int
) -> Sequence[int]:
    """The transfer is final, in the caller's transaction. Again, nothing changes. Returns the users to notify."""
    row = await connection.fetchrow(_END, withdrawal, "sent", signature, None, now_ms)
    if row is None:
        return []
    copy, user, address = row
    await connection.execute(_HOLDER, copy, address, slot)
    about = f"card withdrawal {withdrawal}"
    await connection.execute(_NOTIFY, user, "card_withdrawn", about, copy, address, signature, None, now_ms)
    return [user]


async def card_not_sent(connection: PoolConnectionProxy, withdrawal: int, reason: str, now_ms: int) -> Sequence[int]:
    """The transfer will never happen: the copy is free again. Again, nothing changes. Returns the users to notify."""
    row = await connection.fetchrow(_END, withdrawal, "failed", None, reason[:REASON_LENGTH_MAX], now_ms)
    if row is None:
        return []
    copy, user, address = row
    await connection.execute(_PLACE, copy, "free")
    about = f"card withdrawal {withdrawal}"
    values = (user, "card_withdrawal_failed", about, copy, address, None, reason[:REASON_LENGTH_MAX], now_ms)
    await connection.execute(_NOTIFY, *values)
    return [user]


async def _arrived(connection: PoolConnectionProxy, arrival: CardArrival, now_ms: int) -> list[int]:
    user = await connection.fetchval(_USER, arrival.holder)
    before = await connection.fetchval(_LOCK, arrival.copy, arrival.slot)
    if user is None or before is None:
        return []
    if user == before:
        await connection.execute(_PLACE, arrival.copy, "free")
    else:
        await connection.execute(_BACK, arrival.copy, before, user, now_ms)
    await connection.execute(_HOLDER, arrival.copy, arrival.holder, arrival.slot)
    about = f"card deposit {arrival.copy} {arrival.slot}"
    values = (user, "card_deposited", about, arrival.copy, arrival.holder, None, None, now_ms)
    await connection.execute(_NOTIFY, *values)
    return [user]


def _refusal(row: asyncpg.Record | None, user: int) -> str | None:
    if row is None:
        return COPY_NOT_FOUND
    owner, place, minted, held = row
    if owner != user:
        return NOT_YOUR_COPY
    if place != "free":
        return COPY_NOT_FREE
    if not minted:
        return NOT_MINTED
    # After a sale the card may still be on its way.
    return None if held else COPY_MOVING
