"""`ece bench compare` as a user runs it, for a moment, and acks of the engine that its log does not have."""

import asyncio
import json
from xml.etree import ElementTree

import msgspec
import pytest
from engines import SharedEngine
from test_bench import RUN_TIMEOUT_S, bench

from bench.engine import Engine
from bench.loads.shapes import Shape, run_load
from bench.peers.engine_stack import EngineStack
from bench.peers.node_packages import PackagesUnavailable, installed
from bench.peers.stack import FalseAcks
from ece.engine.accounts import ProvisionedAccounts

# Four more servers with a PostgreSQL each are started one after the other.
COMPARE_TIMEOUT_S = 2 * RUN_TIMEOUT_S
PEERS = ("prisma", "pg", "one-statement", "row-lock", "echo")


@pytest.fixture(scope="module")
def node_packages() -> None:
    try:
        asyncio.run(installed(lambda message: None))
    except PackagesUnavailable as unavailable:
        pytest.skip(str(unavailable))


@pytest.mark.timeout(COMPARE_TIMEOUT_S)
@pytest.mark.usefixtures("node_packages")
def test_every_peer_is_measured_beside_the_engine_and_all_acks_are_checked(tmp_path):
    picture = tmp_path / "picture.svg"
    peers = [option for peer in PEERS for option in ("--peer", peer)]
    options = ("--shape", "hot", "--rounds", "1", "--seconds", "1", "--picture", str(picture), "--json")
    done = bench("compare", *peers, *options, timeout_s=COMPARE_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    stacks = figures["shapes"]["hot"]
    assert list(stacks) == ["engine", *PEERS]
    for name, shown in stacks.items():
        assert shown["accepted_per_s"][0] > 0, name
        assert (shown["checked_acks"] > 0) == (name != "echo")
    # Peers send each bid to all 50; the engine merges updates of a hot auction.
    assert all(stacks[name]["updates_per_bid"] > 40 for name in PEERS[:-1])
    assert [goal["peer"] for goal in figures["goals"]] == ["prisma", "one-statement"]
    assert (figures["durability"]["fsync"], figures["durability"]["synchronous_commit"]) == ("on", "on")
    ElementTree.parse(picture)


@pytest.mark.timeout(RUN_TIMEOUT_S)
async def test_acks_of_the_engine_that_its_log_does_not_have_are_found(engine: SharedEngine):
    accounts = ProvisionedAccounts(engine.database_url, engine.key_secrets)
    stack = EngineStack(Engine(engine.base_url, accounts), engine.database_url)
    load = await stack.load(Shape("small", 2, 3, "2 auctions × 3 bidders"), 0.5)
    measured = await run_load(load)
    await stack.check(load, measured)
    first, second = measured.acknowledged
    seq, amount = second[-1]
    for wrong in ((seq, amount + 1), (seq + 1_000_000, amount)):
        with pytest.raises(FalseAcks, match=r"1 of .* are not in the database"):
            await stack.check(load, msgspec.structs.replace(measured, acknowledged=[first, [*second, wrong]]))
