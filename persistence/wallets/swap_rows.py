"""Rows of swaps, and how a swap ends: in the caller's transaction."""

from collections.abc import Mapping
from typing import NamedTuple

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text, parse_id
from domain.sales.swaps import SwapLeg
from persistence.chain.rows import ChainJobRow
from persistence.wallets.chain_jobs import add_chain_jobs

CREATE_NONCE = "create_nonce"
ADVANCE_NONCE = "advance_nonce"
OPEN_SWAP = "open_swap"
SEND_SWAP = "send_swap"

# Before the platform has signed.
UNSENT = ("preparing", "open", "signed")
REASON_LENGTH_MAX = 200

read_legs = msgspec.json.Decoder(tuple[SwapLeg, ...]).decode


class Swap(msgspec.Struct, frozen=True):
    """A swap. The first wallet is the proposer's. Times are milliseconds."""

    id: int
    proposer: int
    counterparty: int
    wallets: tuple[str, str]
    names: tuple[str, str]
    legs: tuple[SwapLeg, ...]
    state: str
    message: bytes | None
    signatures: tuple[str | None, str | None]
    created_at: int
    expires_at: int
    ended_at: int | None
    signature: str | None
    reason: str | None

    def place_of(self, user: int) -> int | None:
        """0 for the proposer, 1 for the counterparty, None for anybody else."""
        parties = (self.proposer, self.counterparty)
        return parties.index(user) if user in parties else None


class SwapRefusal(msgspec.Struct, frozen=True):
    """Why a swap was not proposed or changed: a code, and what its error says."""

    code: str
    detail: str | None = None
    fields: Mapping[str, str | int] = {}


class Ended(NamedTuple):
    """How a swap ends, and why."""

    state: str
    reason: str | None = None


SELECT = """
    SELECT s.swap_id, s.proposer_id, s.counterparty_id, s.proposer_wallet, s.counterparty_wallet, p.username,
        c.username, s.legs::text, s.state, s.message, s.proposer_signature, s.counterparty_signature, s.created_at,
        s.expires_at, s.ended_at, s.signature, s.reason
    FROM swaps s JOIN users p ON p.user_id = s.proposer_id JOIN users c ON c.user_id = s.counterparty_id
"""
_END = """
    UPDATE swaps SET state = $2, reason = $3, ended_at = $4 WHERE swap_id = $1
    RETURNING proposer_id, counterparty_id
"""
# What was never in a message has the value that it had.
_RELEASE = """
    UPDATE nonce_accounts n SET swap_id = NULL, value = coalesce(s.nonce, n.value)
    FROM swaps s WHERE n.swap_id = $1 AND s.swap_id = $1
"""
_NOTIFY = """
    SELECT notify_user($1, 'swap', $2,
        jsonb_build_object('swap', id_text($3), 'state', $4::text, 'reason', $5::text), $6)
"""


def swap_key(swap: int) -> str:
    """The key of the chain jobs of a swap."""
    return id_text(swap)


def swap_of(key: str) -> int:
    """The swap behind the key of a chain job."""
    return parse_id(key)


def swap_in(row: asyncpg.Record) -> Swap:
    """A row of SELECT."""
    id, proposer, counterparty, *texts = tuple(row)
    wallets, names, rest = texts[:2], texts[2:4], texts[4:]
    legs, state, message, one, two, *times = rest
    return Swap(
        id, proposer, counterparty, (wallets[0], wallets[1]), (names[0], names[1]), read_legs(legs), state, message,
        (one, two), *times,
    )  # fmt: skip


async def end_unsent(connection: PoolConnectionProxy, swap: int, ended: Ended, now_ms: int) -> None:
    """End one that the platform has not signed, and whose row is locked.

    If it has a message, its nonce is advanced, which makes all signatures over it void; then the nonce is free.
    """
    has_message = await connection.fetchval("SELECT message IS NOT NULL FROM swaps WHERE swap_id = $1", swap)
    await end(connection, swap, ended, now_ms)
    if has_message:
        await add_chain_jobs(connection, [ChainJobRow(ADVANCE_NONCE, swap_key(swap))])
    else:
        await release_nonce(connection, swap)


async def end(connection: PoolConnectionProxy, swap: int, ended: Ended, now_ms: int) -> None:
    """Record the end and notify both. The row is locked."""
    reason = None if ended.reason is None else ended.reason[:REASON_LENGTH_MAX]
    parties = await connection.fetchrow(_END, swap, ended.state, reason, now_ms)
    assert parties is not None, "its row is locked"
    await notify(connection, sorted(parties), swap, ended.state, reason, now_ms)


async def release_nonce(connection: PoolConnectionProxy, swap: int) -> None:
    """The nonce is free for another swap: it has another value, or was in no message."""
    await connection.execute(_RELEASE, swap)


async def notify(
    connection: PoolConnectionProxy, users: list[int], swap: int, state: str, reason: str | None, now_ms: int
) -> None:
    """Notify these users, in the order of their ids, of a new state."""
    for user in users:
        await connection.execute(_NOTIFY, user, f"swap {swap} {state}", swap, state, reason, now_ms)
