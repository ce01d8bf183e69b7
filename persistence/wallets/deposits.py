"""Deposits on chain: which wallets are followed, how far, and what has arrived.

A deposit is in the ledger once, however often it is seen: a transaction and a token account make one row.
"""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text
from domain.ledger.books import HOUSE
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.rules import Done
from persistence.ledger.store import Ledger
from persistence.postgres.guard import guard, guarded
from persistence.wallets.chain_jobs import SWEEP, AddChainJobs, TokenTransfer, job_row

PAGE_MAX = 100


class FollowedWallet(msgspec.Struct, frozen=True):
    """A custodial wallet and how far its history was read.

    All up to ``last_signature`` is in the ledger. If ``scan_newest`` is set, a reading began there and goes on before
    ``scan_before``.
    """

    user: int
    address: str
    last_signature: str | None = None
    scan_newest: str | None = None
    scan_before: str | None = None


class Arrival(msgspec.Struct, frozen=True):
    """What a final transaction added to a token account, in base units."""

    signature: str
    account: str
    amount: int
    slot: int


class Read(msgspec.Struct, frozen=True):
    """How far the history of a wallet has been read now; the fields are those of FollowedWallet."""

    last_signature: str | None
    scan_newest: str | None = None
    scan_before: str | None = None


class Deposit(msgspec.Struct, frozen=True):
    """A deposit that is in the ledger. ``at`` in milliseconds."""

    id: int
    user: int
    signature: str
    account: str
    currency: str
    amount: int
    slot: int
    at: int


_WALLET = "user_id, address, last_signature, scan_newest, scan_before"
_WATCH = "UPDATE custodial_wallets SET watched_until = greatest(watched_until, $2) WHERE user_id = $1"
_WATCHED = f"""
    SELECT {_WALLET} FROM custodial_wallets WHERE watched_until > $1 ORDER BY watched_until DESC LIMIT $2
"""
_PAGE = f"SELECT {_WALLET} FROM custodial_wallets WHERE user_id > $1 ORDER BY user_id LIMIT $2"
_OF = f"SELECT {_WALLET} FROM custodial_wallets WHERE user_id = ANY($1::bigint[]) ORDER BY user_id"
# One reader at a time for each wallet; one who comes late has read what is there already.
_LOCK = f"SELECT {_WALLET} FROM custodial_wallets WHERE user_id = $1 FOR NO KEY UPDATE"
_READ = """
    UPDATE custodial_wallets SET last_signature = $2, scan_newest = $3, scan_before = $4 WHERE user_id = $1
"""
_ADD = """
    INSERT INTO chain_deposits (user_id, signature, account, currency, amount, slot, at)
    SELECT $1, signature, account, $2, amount, slot, $3
    FROM unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[]) AS given (signature, account, amount, slot)
    ON CONFLICT (signature, account) DO NOTHING RETURNING deposit_id, amount, signature
"""
_NOTIFY = """
    SELECT notify_user($1, 'deposit', format('deposit %s', deposit_id), jsonb_build_object(
        'deposit', id_text(deposit_id), 'amount', amount, 'currency', currency, 'signature', signature), $3)
    FROM chain_deposits WHERE deposit_id = ANY($2::bigint[]) ORDER BY deposit_id
"""
_LIST = """
    SELECT deposit_id, user_id, signature, account, currency, amount, slot, at FROM chain_deposits
    WHERE user_id = $1 AND ($2::bigint IS NULL OR deposit_id < $2) ORDER BY deposit_id DESC LIMIT $3
"""


class Deposits:
    """The table ``chain_deposits`` and the reading of wallets. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, add_jobs: AddChainJobs | None = None, treasury: str | None = None) -> None:
        """With ``add_jobs``, what arrived is also moved to the treasury."""
        self._pool = pool
        self._add_jobs = add_jobs
        self._treasury = treasury

    async def watch(self, user: int, until_ms: int) -> None:
        """Look at this user's wallet often until then."""
        await guarded(self._pool.execute(_WATCH, user, until_ms))

    async def watched(self, now_ms: int, limit: int) -> list[FollowedWallet]:
        """Wallets that are to be looked at often, the latest watched first."""
        return [FollowedWallet(*row) for row in await guarded(self._pool.fetch(_WATCHED, now_ms, limit))]

    async def wallets(self, after_user: int, limit: int) -> list[FollowedWallet]:
        """The next wallets by user."""
        return [FollowedWallet(*row) for row in await guarded(self._pool.fetch(_PAGE, after_user, limit))]

    async def wallets_of(self, users: Sequence[int]) -> list[FollowedWallet]:
        """The wallets of these users."""
        return [FollowedWallet(*row) for row in await guarded(self._pool.fetch(_OF, list(users)))]

    async def credit(
        self, wallet: FollowedWallet, arrivals: Sequence[Arrival], read: Read, currency: str, now_ms: int
    ) -> int:
        """Credit what arrived and remember how far the wallet was read, in one transaction.

        Returns how many deposits are new. If another reader was faster, its position stays.
        """
        ledger = Ledger(self._pool)
        user = (await ledger.accounts([wallet.user], currency))[wallet.user]
        outside = (await ledger.accounts([HOUSE], currency, "outside"))[HOUSE]
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK, wallet.user)
            new = await self._added(connection, wallet, arrivals, currency, now_ms)
            orders = [
                Transfer(transfer_id("chain deposit", id), outside, user, amount, "deposit", id)
                for id, amount, _ in new
            ]
            for outcome in await Ledger(connection).execute(orders, now_ms) if orders else []:
                assert isinstance(outcome, Done), f"a deposit can be credited: {outcome}"
            await connection.fetch(_NOTIFY, wallet.user, [id for id, _, _ in new], now_ms)
            if row is not None and FollowedWallet(*row) == wallet:
                await connection.execute(_READ, wallet.user, read.last_signature, read.scan_newest, read.scan_before)
        return len(new)

    async def page(self, user: int, before: int | None, limit: int) -> list[Deposit]:
        """Up to ``limit`` deposits of a user, the newest first."""
        rows = await guarded(self._pool.fetch(_LIST, user, before, min(limit, PAGE_MAX + 1)))
        return [Deposit(*row) for row in rows]

    async def _added(
        self, connection: PoolConnectionProxy, wallet: FollowedWallet, arrivals: Sequence[Arrival], currency: str,
        now_ms: int,
    ) -> list[tuple[int, int, str]]:  # fmt: skip
        columns = [
            [arrival.signature for arrival in arrivals],
            [arrival.account for arrival in arrivals],
            [arrival.amount for arrival in arrivals],
            [arrival.slot for arrival in arrivals],
        ]
        rows = await connection.fetch(_ADD, wallet.user, currency, now_ms, *columns)
        if self._add_jobs is not None and self._treasury is not None and rows:
            sweeps = [TokenTransfer(currency, row[1], self._treasury, wallet.user) for row in rows]
            keys = [id_text(row[0]) for row in rows]
            await self._add_jobs(connection, [job_row(SWEEP, key, one) for key, one in zip(keys, sweeps, strict=True)])
        return [(row[0], row[1], row[2]) for row in rows]
