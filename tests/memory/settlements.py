"""The settlements of auctions in memory."""

from collections.abc import Callable, Sequence

from domain.auction.commands import Settle
from domain.ledger.books import HOUSE
from domain.ledger.ids import held_for_auction, transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.refusals import Refusal
from domain.ledger.rules import Reserve, decide_all
from domain.ledger.rules import reserve as reserve_one
from domain.sales.settlement import Sale, split
from persistence.postgres.errors import StoreUnavailable
from persistence.sales.selling import Settlement
from persistence.sales.settlement import Due, Failure
from tests.memory.holds import MemoryHolds
from tests.memory.tables import MemoryTables, Weather, listed


class MemorySettlements:
    """`persistence.sales.settlement.Settlements` over summary rows and the pure rules, for auctions without copies."""

    FEE_BP = 500

    def __init__(self, tables: MemoryTables, holds: MemoryHolds, weather: Weather | None = None) -> None:
        self.tables = tables
        self.holds = holds
        self.weather = weather or Weather()
        self.progress: dict[int, str] = {}
        self.paid: dict[int, Settle] = {}
        self.failures: list[Failure] = []

    def ended(self) -> list[int]:
        """Auctions that have ended and are not done with: those that there are jobs for."""
        return sorted(
            head.auction
            for head in (listed(row) for row in self.tables.summaries.values() if row.kind == "auction")
            if head.status in ("closed", "cancelled") and self.progress.get(head.auction, "due") in ("due", "paid")
        )  # fmt: skip

    async def due(self, auctions: Sequence[int]) -> list[Due]:
        await self.weather.reach("the database")
        return [
            Due(auction, listed(self.tables.summaries[auction]).winner is not None, self.paid.get(auction))
            for auction in self.ended() if auction in auctions
        ]  # fmt: skip

    async def settle_unsold(self, auctions: Sequence[int], now_ms: int) -> int:
        done = [auction for auction in auctions if self.progress.get(auction, "due") == "due"]
        await self._write(lambda: self.progress.update(dict.fromkeys(done, "done")))
        return len(done)

    async def settle(self, auction: int, now_ms: int) -> Settlement | Failure | None:
        head = listed(self.tables.summaries[auction])
        assert head.winner is not None
        if self.progress.get(auction, "due") != "due":
            return None
        parts = split(Sale(head.seller, head.winner, head.price, self.FEE_BP), HOUSE)
        let_go = Reserve(held_for_auction(auction), head.winner, 0, 0)
        books, _ = reserve_one(self.holds.books, let_go, self.holds.books.accounts[head.winner])
        orders = [
            Transfer(
                transfer_id("settlement", auction, leg.kind), head.winner, leg.owner, leg.amount, leg.kind, auction
            )
            for leg in parts.legs
        ]
        books, outcomes = decide_all(books, orders, now_ms, together=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        if refused:
            failure = Failure(auction, refused[0].code, "", now_ms, 1)
            await self.fail(failure)
            return failure

        def pay() -> None:
            self.holds.books = books
            self.progress[auction] = "paid"
            self.paid[auction] = Settle(winner, head.price, parts.fee, parts.royalties)

        winner = head.winner
        await self._write(pay)
        return Settlement(
            auction, 1, "sold", now_ms, head.seller, winner, "USDC", head.price, parts.fee, 0, 0, [], head.seq, b""
        )

    async def fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        await self._write(lambda: self.progress.update({failure.auction: "failed"}))

    async def done(self, auctions: Sequence[int]) -> None:
        await self._write(lambda: self.progress.update(dict.fromkeys(auctions, "done")))

    async def _write(self, effect: Callable[[], None]) -> None:
        """All of it or nothing; perhaps with an unknown outcome."""
        fate = self.weather.writes.popleft() if self.weather.writes else "fine"
        if fate == "lost":
            raise StoreUnavailable("the connection broke before the commit")
        effect()
        if fate == "landed":
            raise StoreUnavailable("the connection broke after the commit")
        await self.weather.pause()
