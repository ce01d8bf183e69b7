"""Holds for bids over a connection of their own: one round trip for all bids of a commit."""

from collections.abc import Mapping, Sequence

import asyncpg

from domain.ledger.refusals import Refusal
from domain.ledger.rules import Reserve
from persistence.ledger.store import HeldFor, Ledger
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.guard import UNAVAILABLE
from persistence.postgres.planner import LOOK_UPS
from persistence.postgres.writers import new_name, prefix_of

TIMEOUT_S = 5.0
CURRENCY = "USDC"
SERVER_SETTINGS = {"synchronous_commit": "off", **LOOK_UPS}


class BidHolds:
    """The ledger client of one host. Methods are called one after the other, and raise StoreUnavailable.

    Its commits are asynchronous: the log's commit that follows in the same database makes them durable. A hold that is
    lost in a crash was for a bid that was not acknowledged.
    """

    def __init__(self, database_url: str, *, writer: str = "") -> None:
        """``writer``: the host, as for ``EventLog``."""
        self._url = database_url
        self._prefix = prefix_of("holds", writer)
        self._connection: asyncpg.Connection | None = None

    async def prepare(self) -> None:
        """Connect and prepare the statements, so that the first bids need not wait. Raises StoreUnavailable."""
        await self.reserve([])

    async def close(self) -> None:
        """End the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def reserve(self, wanted: Sequence[Reserve]) -> Mapping[int, Refusal]:
        """Set all of these holds in one call. Returns, by index, those for which the balance is too small."""
        ledger = await self._ledger()
        try:
            return await ledger.reserve(wanted, CURRENCY)
        except StoreUnavailable:
            await self.close()
            raise

    async def held_for(self, references: Sequence[bytes]) -> list[HeldFor]:
        """All holds for these references (``domain.ledger.ids.held_for``)."""
        ledger = await self._ledger()
        try:
            return await ledger.held_for(references, CURRENCY)
        except StoreUnavailable:
            await self.close()
            raise

    async def _ledger(self) -> Ledger:
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await asyncpg.connect(
                    self._url,
                    timeout=TIMEOUT_S,
                    command_timeout=TIMEOUT_S,
                    server_settings={"application_name": new_name(self._prefix), **SERVER_SETTINGS},
                )
            except UNAVAILABLE as error:
                raise StoreUnavailable(str(error) or type(error).__name__) from error
        return Ledger(self._connection)
