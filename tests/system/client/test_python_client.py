"""The Python client against a real engine, whose gateway is killed in the middle of bids."""

import asyncio
import os
import signal
from contextlib import suppress
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from engines import SharedEngine
from people import HOUR_MS, USD, People

from domain.ids import parse_id
from ece_client import Client, Event, Options, Refused, Snapshot, new_key
from tests.faults.scene import until

pytestmark = pytest.mark.timeout(240)

BIDDERS, BIDS_EACH = 4, 60
ACCEPTED_KEYS = """
    SELECT command_key, count(*) FROM entity_events
    WHERE entity_id = $1 AND command_key IS NOT NULL GROUP BY command_key
"""


async def test_a_user_registers_lists_bids_follows_and_pays(engine: SharedEngine):
    engine.wait_until_ready()
    async with People(engine.base_url) as people:
        ann, bob = await people.join("ann", 0), await people.join("bob")
        auction = await ann.auctions.create("Charizard", USD, HOUR_MS)
        assert (await bob.auctions.get(auction.id)).status in ("scheduled", "open")
        async with ann.follow_auction(auction.id) as updates:
            first = await anext(updates)
            assert (first.reason, first.state.price) == ("subscribed", USD)
            key = new_key()
            result = await bob.bid(auction.id, 5 * USD, key=key)
            again = await bob.bid(auction.id, 5 * USD, key=key)
            assert (result.outcome, result.price, result.duplicate) == ("leading", USD, False)
            assert (again.seq, again.duplicate) == (result.seq, True)
            with pytest.raises(Refused) as refused:
                await ann.bid(auction.id, 9 * USD)
            assert refused.value.code == "own_auction"
            async for update in updates:
                if update.state.bids == 1:
                    break
            assert bob.user is not None
            assert update.state.leader == bob.user.username
            assert [bid.amount async for bid in bob.auctions.bids(auction.id)] == [5 * USD]
        balance = await bob.wallet.balance()
        assert (balance.posted, balance.pending) == (1_000 * USD, 5 * USD)
        assert [entry.kind async for entry in bob.wallet.entries()]
        assert auction.id in [one.id async for one in bob.auctions.list(seller=auction.seller)]
        assert bob.clock.error_ms is not None
        await bob.log_out()


async def test_killing_the_gateway_amid_bids_leaves_each_key_exactly_once_in_the_log(engine: SharedEngine):
    engine.wait_until_ready()
    async with People(engine.base_url) as people:
        seller = await people.join("seller", 0)
        bidders = [await people.join(f"bidder{n}") for n in range(BIDDERS)]
        auction = (await seller.auctions.create("Kept", USD, HOUR_MS, increments=[[0, 1]])).id
        seen: list[Event | Snapshot] = []
        following = asyncio.create_task(follow(seller, auction, seen))
        done = 0
        acked: list[int] = []

        async def bid_again_and_again(client: Client) -> None:
            nonlocal done
            for _ in range(BIDS_EACH):
                done += 1
                # A later amount may have come first, or be the bidder's own.
                with suppress(Refused):
                    acked.append((await client.bid(auction, USD + done * 1_000)).seq)

        bidding = [asyncio.create_task(bid_again_and_again(bidder)) for bidder in bidders]
        for share in (1, 2):
            wanted = share * BIDDERS * BIDS_EACH // 4
            await until(lambda: done >= wanted, f"{wanted} bids")  # noqa: B023
            os.kill(engine.children()["gateway"], signal.SIGKILL)
        await asyncio.gather(*bidding)
        assert all(bidder.session.connections >= 2 for bidder in bidders)
        rows = await keys_in_the_log(engine.database_url, auction)
        assert [row for row in rows if row["count"] != 1] == []
        assert len(rows) == len(set(acked)) == len(acked)
        last = max(acked)
        await until(lambda: seen and seen[-1].seq >= last, "the follower is at the last bid")
        following.cancel()
        assert in_order(seen)


async def follow(client: Client, auction: str, seen: list[Any]) -> None:
    async with client.follow(f"auction:{auction}") as feed:
        async for update in feed:
            seen.append(update)  # noqa: PERF401


def in_order(seen: list[Event | Snapshot]) -> bool:
    """Events follow each other without a gap; a state may skip, but not go back."""
    return all(b.seq == a.seq + 1 if isinstance(b, Event) else b.seq >= a.seq for a, b in pairwise(seen))


async def keys_in_the_log(database_url: str, auction: str) -> list[Any]:
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        return list(await connection.fetch(ACCEPTED_KEYS, parse_id(auction)))
    finally:
        await connection.close()


async def test_a_client_outlives_a_restart_of_the_gateway_between_two_calls(engine: SharedEngine):
    engine.wait_until_ready()
    async with Client(engine.base_url, options=Options(heartbeat_s=0.5)) as client:
        os.kill(engine.children()["gateway"], signal.SIGKILL)
        await until(lambda: client.session.connections >= 2, "it is connected again")
        assert client.clock.error_ms is not None
