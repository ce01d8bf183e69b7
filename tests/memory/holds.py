"""The holds of bids in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from domain.ledger.books import Books, opened
from domain.ledger.refusals import Refusal
from domain.ledger.rules import Reserve, balance_check
from domain.ledger.rules import reserve as reserve_one
from persistence.ledger.store import HeldFor
from persistence.log.event_log import Reserves
from persistence.postgres.errors import StoreUnavailable
from tests.memory.tables import Weather


class MemoryHolds:
    """`persistence.ledger.bid_holds.BidHolds` over the pure rules."""

    def __init__(self, funds: Mapping[int, int], weather: Weather | None = None) -> None:
        self.books = Books({owner: replace(opened(owner, owner, "USDC"), posted=sum_) for owner, sum_ in funds.items()})
        self.weather = weather or Weather()
        self.calls: list[list[Reserve]] = []

    async def reserve(self, wanted: Sequence[Reserve]) -> dict[int, Refusal]:
        await self.weather.reach("the ledger")
        self.calls.append(list(wanted))
        short = {}
        for place, want in enumerate(wanted):
            self.books, refusal = reserve_one(self.books, want, self.books.accounts.get(want.owner))
            if refusal is not None:
                short[place] = refusal
        return short

    def reserved_at_once(self, reserve: Reserves) -> Books | None:
        """The books after it, as the database's function does it in an append; None: not all of it can be."""
        _, owners, peaks, *columns = reserve
        wanted = [Reserve(*row) for row in zip(*columns, strict=True)]  # type: ignore[call-overload]
        checks = [balance_check(b"", owner, peak) for owner, peak in zip(owners, peaks, strict=True) if peak]  # type: ignore[call-overload]
        self.calls.append([*checks, *wanted])
        if self.weather.down:
            raise StoreUnavailable("the ledger is away")
        raised: Counter[int] = Counter()
        for want in wanted:
            held = self.books.holds.get((want.reference, want.owner))
            before = 0 if held is None else held.amount
            kept = want.unless_above is not None and before > want.unless_above
            raised[want.owner] += max(0, (before if kept else min(max(before, want.at_least), want.at_most)) - before)
        for owner, peak in zip(owners, peaks, strict=True):  # type: ignore[call-overload]
            account = self.books.accounts.get(owner)
            if peak + raised[owner] > (0 if account is None else account.posted - account.held):
                return None
        books = self.books
        for want in sorted(wanted, key=lambda want: want.at_least):
            books, refusal = reserve_one(books, want, books.accounts.get(want.owner))
            if refusal is not None:
                return None
        return books

    async def held_for(self, references: Sequence[bytes]) -> list[HeldFor]:
        await self.weather.reach("the ledger")
        return [
            HeldFor(reference, owner, hold.amount)
            for (reference, owner), hold in self.books.holds.items()
            if reference in references
        ]

    async def close(self) -> None:
        pass

    @property
    def held(self) -> dict[tuple[int, int], int]:
        """What is held, by (auction, bidder)."""
        return {
            (int.from_bytes(reference[8:], "big"), owner): hold.amount
            for (reference, owner), hold in self.books.holds.items()
        }
