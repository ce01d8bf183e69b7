"""The examples of the Python client, each as a process of its own, against a real engine."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from engines import SharedEngine
from people import HOUR_MS, PASSWORD, USD, People

from ece.engine.accounts import ProvisionedAccounts
from ece_client import AuctionState, Client

pytestmark = pytest.mark.timeout(240)

EXAMPLES = Path(__file__).resolve().parents[3] / "clients/python/examples"


async def test_the_example_that_watches_sees_the_end(engine: SharedEngine):
    engine.wait_until_ready()
    async with People(engine.base_url) as people:
        seller, bob = await people.join("seller", 0), await people.join("bob")
        assert bob.user is not None
        auction = (await seller.auctions.create("Watched", USD, 6_000)).id
        watching = await start("watch.py", engine.base_url, auction)
        await said(watching, "(subscribed)")
        await bob.bid(auction, 2 * USD)
        output = await finished(watching)
        assert f"led by {bob.user.username}" in output
        assert f"closed sold to {bob.user.username}" in output.splitlines()[-1]


async def test_the_snipe_proof_bidder_wins_against_a_sniper(engine: SharedEngine):
    engine.wait_until_ready()
    async with People(engine.base_url) as people:
        seller, bob = await people.join("seller", 0), await people.join("bob")
        sniper = await people.join("sniper")
        assert bob.user is not None
        auction = await seller.auctions.create("Sniped", USD, 12_000)
        bidding = await start(
            "snipe_proof_bidder.py", engine.base_url, auction.id, str(9 * USD), bob.user.username, password=PASSWORD
        )
        await said(bidding, "bid 1.00: leading")
        await sniper.bid(auction.id, 2 * USD)
        await said(bidding, "bid 9.00: leading")
        # Too late to be answered by a person; the engine answers at once.
        assert (await sniper.bid(auction.id, 8 * USD)).outcome == "outbid"
        assert f"closed: {bob.user.username} pays 8.50" in await finished(bidding)


async def test_the_market_maker_buys_below_and_lists_above_the_fair_price(engine: SharedEngine):
    engine.wait_until_ready()
    async with People(engine.base_url) as people:
        maker, seller = await people.join("maker"), await people.join("seller", 0)
        assert maker.user is not None
        assert seller.user is not None
        card, mine, theirs = await two_copies(engine, maker.user.username, seller.user.username)
        cheap = await seller.auctions.create("Cheap", 3 * USD, HOUR_MS, copies=[theirs])
        other = await seller.auctions.create("No card", 3 * USD, HOUR_MS)
        making = await start(
            "market_maker.py", engine.base_url, card, str(10 * USD), maker.user.username, "--rounds", "2",
            password=PASSWORD,
        )  # fmt: skip
        output = await finished(making)
        assert "with a reserve of 10.50" in output
        assert "bid 9.50 for Cheap: leading" in output
        listed = [one async for one in maker.auctions.list(seller=maker.user.username)]
        assert [(await maker.auctions.get(one.id)).copies for one in listed] == [(mine,)]
        states: list[AuctionState] = [await seller.auctions.get(one.id) for one in (cheap, other)]
        assert [state.leader for state in states] == [maker.user.username, None]


async def two_copies(engine: SharedEngine, one: str, other: str) -> tuple[str, str, str]:
    """A new card, and a copy of it for each."""
    accounts = await ProvisionedAccounts(engine.database_url, engine.key_secrets).provision(["maker_op"], "admin")
    async with Client(engine.base_url, token=accounts["maker_op"].token, live=False) as operator:
        code = f"set{uuid4().hex[:8]}"
        body = {"set": code, "number": "1", "name": "Charizard", "rarity": "rare"}
        await operator.rest.post("/admin/catalog/cards", dict[str, Any], body)
        [card] = [card.id async for card in operator.catalog.cards(set=code)]
        made = [
            await operator.rest.post(f"/admin/catalog/cards/{card}/copies", dict[str, list[str]], {"owner": owner})
            for owner in (one, other)
        ]
    return card, made[0]["copies"][0], made[1]["copies"][0]


async def test_the_readme_of_the_client_works_as_shown(engine: SharedEngine, tmp_path: Path):
    engine.wait_until_ready()
    [code] = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / "README.md").read_text(), re.DOTALL)
    (tmp_path / "first.py").write_text(code)
    async with People(engine.base_url) as people:
        seller, bob = await people.join("seller", 0), await people.join("bob")
        assert bob.user is not None
        auction = (await seller.auctions.create("First", USD, HOUR_MS)).id
        output = await finished(
            await start(tmp_path / "first.py", engine.base_url, bob.user.username, PASSWORD, auction)
        )
    assert "outcome='leading'" in output
    assert output.splitlines()[-1] == f"{USD} {bob.user.username}"


class Running:
    """An example, and what it has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []


async def start(example: str | Path, *arguments: str, password: str = "") -> Running:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", str(EXAMPLES / example), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(f"{password}\n".encode())
    process.stdin.close()
    return Running(process)


async def said(running: Running, text: str) -> None:
    """Until it has printed this."""
    assert running.process.stdout is not None
    async with asyncio.timeout(60):
        while not any(text in line for line in running.lines):
            line = (await running.process.stdout.readline()).decode()
            assert line, f"it ended without saying {text!r}: {running.lines}"
            running.lines.append(line)


async def finished(running: Running) -> str:
    """Until it ends, well; all that it has printed."""
    assert running.process.stdout is not None
    async with asyncio.timeout(60):
        rest = (await running.process.stdout.read()).decode()
        code = await running.process.wait()
    output = "".join(running.lines) + rest
    assert code == 0, output
    return output
