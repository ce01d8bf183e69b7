"""Quote both sides for the copies of one card: buy below a fair price, sell above it.

Each round it lists its free copies of the card, with a reserve at the ask, and bids in the auctions of others, up to
the bid. What it may spend at once is bounded by its budget: the engine holds the maximum of each bid that leads.

    python market_maker.py http://127.0.0.1:8000 CARD FAIR LOGIN < file-with-the-password
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass

from ece_client import AuctionState, Client, Refused

UNITS = 1_000_000
SPREAD_BASIS_POINTS = 1_000
BUDGET_BIDS = 5
LISTINGS_MAX = 5
AUCTIONS_READ_MAX = 200
DURATION_MS = 3_600_000
ROUND_S = 5.0


@dataclass(frozen=True)
class Quote:
    """Prices in base units: it buys at `bid` at most and sells at `ask` at least."""

    bid: int
    ask: int

    @classmethod
    def around(cls, fair: int, spread_basis_points: int = SPREAD_BASIS_POINTS) -> "Quote":
        half = fair * spread_basis_points // 20_000
        return cls(fair - half, fair + half)


class MarketMaker:
    """Trades copies of `card` as the user of `client`."""

    def __init__(self, client: Client, card: str, quote: Quote, duration_ms: int = DURATION_MS) -> None:
        self._client = client
        self._card = card
        self._quote = quote
        self._duration_ms = duration_ms
        # The copies of each auction are those of one card or not, for good.
        self._known: dict[str, bool] = {}

    async def round(self) -> None:
        """Look at everything once."""
        await self._sell()
        await self._buy()

    async def _sell(self) -> None:
        listed = 0
        async for copy in self._client.catalog.my_copies("free"):
            if copy.card != self._card or listed >= LISTINGS_MAX:
                continue
            state = await self._client.auctions.create(
                f"{copy.name} #{copy.serial}", self._quote.bid, self._duration_ms,
                reserve_price=self._quote.ask, copies=[copy.id],
            )  # fmt: skip
            listed += 1
            print(f"listed {state.title} with a reserve of {self._quote.ask / UNITS:.2f}: {state.id}", flush=True)

    async def _buy(self) -> None:
        me = self._client.user
        assert me is not None
        # What is held counts all bids that lead, also those in auctions that are not looked at.
        left = BUDGET_BIDS * self._quote.bid - (await self._client.wallet.balance()).pending
        looked_at = 0
        async for state in self._client.auctions.list(status="open", sort="ending"):
            looked_at += 1
            if left < self._quote.bid or looked_at > AUCTIONS_READ_MAX:
                return
            others = me.username not in (state.leader, state.seller)
            if others and state.minimum <= self._quote.bid and await self._is_wanted(state) and await self._bid(state):
                left -= self._quote.bid

    async def _bid(self, state: AuctionState) -> bool:
        try:
            result = await self._client.bid(state.id, self._quote.bid)
        except Refused as refused:
            print(f"no bid in {state.title}: {refused}", flush=True)
            return False
        print(f"bid {self._quote.bid / UNITS:.2f} for {state.title}: {result.outcome}", flush=True)
        return result.outcome == "leading"

    async def _is_wanted(self, state: AuctionState) -> bool:
        """It sells one copy of the card."""
        if state.id not in self._known:
            copies = [copy.id async for copy in self._client.catalog.copies(self._card)]
            whole = await self._client.auctions.get(state.id)
            self._known[state.id] = len(whole.copies) == 1 and whole.copies[0] in copies
        return self._known[state.id]


async def main(url: str, card: str, fair: int, login: str, rounds: int) -> None:
    """Quote, round after round."""
    password = sys.stdin.readline().rstrip("\n")
    async with Client(url, login=login, password=password) as client:
        maker = MarketMaker(client, card, Quote.around(fair))
        for number in range(rounds):
            if number:
                await asyncio.sleep(ROUND_S)
            await maker.round()
        balance = await client.wallet.balance()
        print(f"available: {balance.available / UNITS:.2f}, held: {balance.pending / UNITS:.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("card", help="its id")
    parser.add_argument("fair", type=int, help="in base units: 5000000 is 5 USD")
    parser.add_argument("login")
    parser.add_argument("--rounds", type=int, default=720)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.card, arguments.fair, arguments.login, arguments.rounds))
