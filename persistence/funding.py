"""Money out of the faucet for users that replays and benches make: their bids have to be covered as anybody's."""

from collections.abc import Sequence

import asyncpg

from domain.ledger.books import HOUSE
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.rules import Done
from persistence.errors import StoreError
from persistence.ledger import BATCH_MAX, Ledger

CURRENCY = "USDC"
# Far more than anybody bids in all, and half of what an account may have.
FUNDS = 2**52


class NotFunded(StoreError):
    """The ledger refused: somebody has other money under the same name."""


async def fund(pool: asyncpg.Pool, users: Sequence[int], now_ms: int) -> None:
    """Give each of these users ``FUNDS``, once, however often this is called. Raises StoreUnavailable, NotFunded."""
    ledger = Ledger(pool)
    faucet = (await ledger.accounts([HOUSE], CURRENCY, "faucet"))[HOUSE]
    for start in range(0, len(users), BATCH_MAX):
        accounts = await ledger.accounts(users[start : start + BATCH_MAX], CURRENCY)
        orders = [
            Transfer(transfer_id("provisioned funds", user), faucet, account, FUNDS, "deposit")
            for user, account in accounts.items()
        ]
        for outcome in await ledger.execute(orders, now_ms):
            if not isinstance(outcome, Done):
                raise NotFunded(f"a provisioned user got no money: {outcome.code}")
