"""Watch an auction until it ends: python watch.py http://127.0.0.1:8000 AUCTION"""

import argparse
import asyncio

from ece_client import AuctionUpdate, Client

UNITS = 1_000_000


async def watch(url: str, auction: str) -> None:
    """Print each change, and what was skipped."""
    async with Client(url) as client, client.follow_auction(auction) as updates:
        async for update in updates:
            print(line_of(update), flush=True)
            if update.state.ended:
                return


def line_of(update: AuctionUpdate) -> str:
    """One update for people."""
    state = update.state
    what = f"({update.reason})" if update.event is None else update.event.type
    who = f"led by {state.leader}" if state.leader else "without a bid"
    ended = f" sold to {state.winner}" if state.winner else " unsold" if state.ended else ""
    return f"#{update.seq} {what}: {state.price / UNITS:.2f} USD, {who}, {state.bids} bids, {state.status}{ended}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("auction")
    arguments = parser.parse_args()
    asyncio.run(watch(arguments.url, arguments.auction))
