"""Bid in one auction, up to a limit, so that last-second bids of others gain nothing.

It shows little of the limit as long as there is time: it only answers those who outbid it. In the last seconds, by the
server's clock, it hands its whole limit to the engine as a proxy bid. The engine then answers each later bid itself,
at once, so nobody has to be outrun. Where a late bid extends the auction, the last seconds begin anew, and nothing
is left to do.

    python snipe_proof_bidder.py http://127.0.0.1:8000 AUCTION LIMIT LOGIN < file-with-the-password
"""

import argparse
import asyncio
import sys

from ece_client import AuctionFeed, AuctionState, Client, Refused

LAST_SECONDS_MS = 5_000
UNITS = 1_000_000


class SnipeProofBidder:
    """Bids as the user of `client`; `limit` in base units."""

    def __init__(self, client: Client, auction: str, limit: int, last_ms: int = LAST_SECONDS_MS) -> None:
        self._client = client
        self._auction = auction
        self._limit = limit
        self._last_ms = last_ms
        self._maximum = 0

    async def run(self) -> AuctionState:
        """Until the auction has ended; its last state."""
        await self._client.synchronise_clock()
        async with self._client.follow_auction(self._auction) as feed:
            state = (await anext(feed)).state
            while not state.ended:
                await self._act(state)
                state = await self._next(feed, state)
            return state

    async def _act(self, state: AuctionState) -> None:
        me = self._client.user
        if state.status != "open" or self._maximum >= self._limit:
            return
        if self._client.server_time_ms() >= state.ends_at - self._last_ms:
            await self._bid(self._limit)
        elif (me is None or state.leader != me.username) and state.minimum <= self._limit:
            await self._bid(state.minimum)

    async def _bid(self, amount: int) -> None:
        try:
            result = await self._client.bid(self._auction, amount)
        except Refused as refused:
            # The price has moved on, or the auction ended: the next state says what to do.
            print(f"refused: {refused}", flush=True)
            return
        self._maximum = amount
        print(f"bid {amount / UNITS:.2f}: {result.outcome} at {result.price / UNITS:.2f}", flush=True)

    async def _next(self, feed: AuctionFeed, state: AuctionState) -> AuctionState:
        """The next state; at the latest when the last seconds begin."""
        until_last_s = (state.ends_at - self._last_ms - self._client.server_time_ms()) / 1000
        try:
            async with asyncio.timeout(until_last_s if until_last_s > 0 else None):
                return (await anext(feed)).state
        except TimeoutError:
            return state


async def main(url: str, auction: str, limit: int, login: str) -> None:
    """Bid, and say how it ended."""
    password = sys.stdin.readline().rstrip("\n")
    async with Client(url, login=login, password=password) as client:
        state = await SnipeProofBidder(client, auction, limit).run()
        print(f"{state.status}: {state.winner or 'nobody'} pays {state.price / UNITS:.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("auction")
    parser.add_argument("limit", type=int, help="in base units: 5000000 is 5 USD")
    parser.add_argument("login")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.auction, arguments.limit, arguments.login))
