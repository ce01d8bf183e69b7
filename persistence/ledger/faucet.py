"""The faucet: deposits without payment, for engines without real money, and for users of replays and benches."""

from collections.abc import Sequence

import asyncpg

from domain.ledger.books import HOUSE
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.rules import Done
from persistence.ledger.store import BATCH_MAX, Ledger
from persistence.postgres.errors import StoreError

CURRENCY = "USDC"
# In base units, 10,000,000 USD: more than a replay or a bench bids.
FUNDS = 10**13
# Accounts that pay out, chosen by the user. One account would be a row that all deposits wait for, and a house account
# may fall to -2^62 only. All together they pay out FUNDS to 29 million users.
FAUCETS = 64


class NotFunded(StoreError):
    """The ledger refused: another transfer has the same id."""


async def faucets_of(ledger: Ledger, users: Sequence[int], currency: str) -> dict[int, int]:
    """The account that pays out to each of these users, for each always the same one. Raises StoreUnavailable."""
    kinds = {user: f"faucet-{_faucet_number(user)}" for user in users}
    accounts = {kind: (await ledger.accounts([HOUSE], currency, kind))[HOUSE] for kind in sorted(set(kinds.values()))}
    return {user: accounts[kind] for user, kind in kinds.items()}


def _faucet_number(user: int) -> int:
    # Ids made one after the other differ in their lowest bits only: a multiplicative hash spreads them.
    return (user * 0x9E3779B97F4A7C15 & 2**64 - 1) * FAUCETS >> 64


async def fund(pool: asyncpg.Pool, users: Sequence[int], now_ms: int) -> None:
    """Give each of these users ``FUNDS``, once, however often this is called. Raises StoreUnavailable, NotFunded."""
    ledger = Ledger(pool)
    for start in range(0, len(users), BATCH_MAX):
        accounts = await ledger.accounts(users[start : start + BATCH_MAX], CURRENCY)
        faucets = await faucets_of(ledger, list(accounts), CURRENCY)
        orders = [
            Transfer(transfer_id("provisioned funds", user), faucets[user], account, FUNDS, "deposit")
            for user, account in accounts.items()
        ]
        for outcome in await ledger.execute(orders, now_ms):
            if not isinstance(outcome, Done):
                raise NotFunded(f"a provisioned user got no money: {outcome.code}")
