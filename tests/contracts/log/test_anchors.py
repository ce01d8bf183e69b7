"""From an ended auction to a memo on a local chain, and back: proofs over REST, by `ece verify`, by anyone."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from solders.hash import Hash
from typer.testing import CliRunner, Result

from actors.workers.anchors import AnchorEnded
from chain.programs.memo import final_memos
from chain.rpc.client import ChainRpc
from domain.ids import parse_id
from domain.log.anchors import parse_memo
from ece.cli import app
from persistence.chain.genesis import ChainGenesis
from persistence.log.anchors import Anchors
from persistence.postgres.pool import Pool
from tests.chain_process import ChainProcess
from tests.contracts.minting.minting_scene import MintingScene, config_of, member
from tests.job_runs import run_due
from tests.rest.rest_engine import USD, RestEngine

GENESIS = str(Hash(b"\x05" * 32))
HOUR_MS = 3_600_000
WITHIN_S = 30.0


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    with closing(ChainProcess(tmp_path / "chain")) as mine:
        mine.start()
        yield mine


@pytest.fixture(autouse=True)
async def nothing_waits(pool: Pool) -> None:
    await pool.execute("DELETE FROM chain_jobs WHERE kind = 'anchor'")
    await ChainGenesis(pool).pin(GENESIS)
    await pool.execute("TRUNCATE unanchored, anchors, anchor_leaves")


@pytest.fixture
async def rpc(chain: ChainProcess) -> AsyncIterator[ChainRpc]:
    mine = ChainRpc([chain.url])
    await mine.start()
    yield mine
    await mine.stop()


async def ended_auctions(engine: RestEngine, count: int) -> list[str]:
    seller, bidder = await engine.person(), await engine.person()
    operator = await engine.person(role="admin")
    auctions = [(await seller.open_auction())["id"] for _ in range(count)]
    for auction in auctions:
        await bidder.post(f"/auctions/{auction}/bids", {"amount": 2 * USD})
        await operator.post(f"/admin/auctions/{auction}/close")
    return auctions


async def collected(engine: RestEngine, anchors: Anchors) -> int:
    """All that has ended, without waiting for more."""
    return await anchors.collect(engine.services.now_ms() + 1, 0, 0)


async def proof_of(engine: RestEngine, auction: str) -> dict[str, Any]:
    answer = await engine.request("GET", f"/auctions/{auction}/proof")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def until_final(engine: RestEngine, auction: str) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            proof = await proof_of(engine, auction)
            if proof["state"] != "pending":
                return proof
            await asyncio.sleep(0.02)


def verified_by_anyone(proof: dict[str, Any]) -> bool:
    """The algorithm of docs/protocol.md, without code of the engine."""
    node, place, last = hashlib.sha256(b"\x00" + proof["leaf"].encode()).digest(), proof["place"], proof["leaves"] - 1
    for sibling in map(bytes.fromhex, proof["proof"]):
        if place % 2 or place == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        place, last = place // 2, last // 2
    return last == 0 and node.hex() == proof["root"] and proof["root"] in proof["memo"]


async def ece_verify(database_url: str, *arguments: str, **environment: str) -> Result:
    settings = {"ECE_DATABASE_URL": database_url, "COLUMNS": "200", **environment}
    return await asyncio.to_thread(CliRunner().invoke, app, ["verify", *arguments], env=settings)


async def test_an_ended_auction_is_anchored_and_anyone_can_check_it(
    engine: RestEngine, database_url: str, pool: Pool, chain: ChainProcess, rpc: ChainRpc, tmp_path: Path
):
    auctions = await ended_auctions(engine, 5)
    assert await collected(engine, Anchors(pool)) == 5
    waiting = await proof_of(engine, auctions[0])
    assert (waiting["state"], waiting["signature"], waiting["slot"]) == ("pending", None, None)
    scene = MintingScene(pool, chain, tmp_path)
    async with member(config_of(database_url, chain, tmp_path)):
        proofs = [await until_final(engine, auction) for auction in auctions]
    assert all(verified_by_anyone(proof) for proof in proofs)
    assert not verified_by_anyone(proofs[0] | {"leaf": proofs[1]["leaf"]})
    [signature] = {proof["signature"] for proof in proofs}
    memos = await final_memos(rpc, signature)
    assert memos is not None
    [memo] = memos.memos
    assert (memo.text, memo.signers, memos.slot) == (proofs[0]["memo"], (str(scene.authority),), proofs[0]["slot"])
    said, ids = parse_memo(memo.text), sorted(map(parse_id, auctions))
    assert (said.root.hex(), said.leaves, said.first, said.last) == (proofs[0]["root"], 5, ids[0], ids[-1])

    environment = {"ECE_SOLANA_RPC_URL": chain.url, "ECE_DATA_DIR": str(tmp_path / "none")}
    shown = await ece_verify(database_url, auctions[2], **environment)
    assert (shown.exit_code, "the inclusion proof is correct" in shown.stdout) == (0, True), shown.output
    assert "the memo on the chain has this root" in shown.stdout
    machine = json.loads((await ece_verify(database_url, auctions[2], "--json", "--chain", **environment)).stdout)
    assert machine["anchor"] == {
        "row": proofs[2]["seq"], "place": 2, "leaves": 5, "root": proofs[2]["root"], "included": True,
        "state": "final", "signature": signature, "slot": proofs[2]["slot"], "signer": str(scene.authority),
        "on_chain": True,
    }  # fmt: skip
    everything = await ece_verify(database_url, "--all", "--chain", **environment)
    assert everything.exit_code == 0, everything.output

    # A root in the database that is not the one on the chain.
    await pool.execute("UPDATE anchors SET memo = replace(memo, ':5:', ':6:')")
    await pool.execute("UPDATE anchors SET leaves = 6")
    forged = await ece_verify(database_url, auctions[2], "--json", **environment)
    assert forged.exit_code == 1
    assert "anchor" in {finding["kind"] for finding in json.loads(forged.stdout)["findings"]}


_FLIPPED = "set_byte({0}, 3, 255 - get_byte({0}, 3))"
CHANGES = {
    "the leaf": f"UPDATE anchor_leaves SET hash = {_FLIPPED.format('hash')} WHERE entity_id = $1",
    "the proof": f"UPDATE anchor_leaves SET path = {_FLIPPED.format('path')} WHERE entity_id = $1",
    "the root": f"UPDATE anchors SET root = {_FLIPPED.format('root')} WHERE $1::bigint > 0",
    "the place": "UPDATE anchor_leaves SET place = 7 WHERE entity_id = $1",
    "a row of the log": "UPDATE entity_events SET body = set_byte(body, 20, 255) WHERE entity_id = $1 AND seq = 3",
    "the last row of the log": "DELETE FROM entity_events WHERE entity_id = $1 AND seq = 4",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_byte_is_found(engine: RestEngine, database_url: str, pool: Pool, change: str):
    auctions = await ended_auctions(engine, 3)
    await collected(engine, Anchors(pool))
    sound = await ece_verify(database_url, auctions[1], "--no-chain")
    assert sound.exit_code == 0, sound.output
    await pool.execute(CHANGES[change], parse_id(auctions[1]))
    assert (await ece_verify(database_url, auctions[1], "--no-chain")).exit_code == 1


async def test_a_log_that_was_written_anew_is_found_by_its_anchor(engine: RestEngine, database_url: str, pool: Pool):
    one, other = await ended_auctions(engine, 2)
    await collected(engine, Anchors(pool))
    # Every hash of the log is right, but its last row has another time, and so another hash.
    [row] = await pool.fetch(
        "SELECT a.hash AS before, b.epoch, b.seq, b.at, b.body FROM entity_events a JOIN entity_events b"
        " ON b.entity_id = a.entity_id AND b.seq = a.seq + 1 WHERE a.entity_id = $1 ORDER BY b.seq DESC LIMIT 1",
        parse_id(one),
    )  # fmt: skip
    position = b"".join(number.to_bytes(8, "big") for number in (row["epoch"], row["seq"], row["at"] + 1))
    forged = hashlib.sha256(row["before"] + position + row["body"]).digest()
    await pool.execute(
        "UPDATE entity_events SET at = at + 1, hash = $3 WHERE entity_id = $1 AND seq = $2",
        parse_id(one),
        row["seq"],
        forged,
    )
    result = json.loads((await ece_verify(database_url, one, "--json", "--no-chain")).stdout)
    assert "the anchor is not what the log gives" in result["findings"][0]["detail"]
    assert (await ece_verify(database_url, other, "--no-chain")).exit_code == 0


async def test_before_its_end_and_before_its_anchor_an_auction_has_no_proof(engine: RestEngine, pool: Pool):
    auction = (await (await engine.person()).open_auction())["id"]
    for unknown, code in ((auction, "not_anchored"), ("0" * 13, "not_found")):
        answer = await engine.request("GET", f"/auctions/{unknown}/proof")
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    [ended] = await ended_auctions(engine, 1)
    assert (await engine.request("GET", f"/auctions/{ended}/proof")).json()["code"] == "not_anchored"


async def test_what_ended_waits_for_others_but_not_for_long(engine: RestEngine, pool: Pool):
    await ended_auctions(engine, 2)
    now_ms, anchors = engine.services.now_ms(), Anchors(pool, leaves_max=3)
    assert await anchors.collect(now_ms + 1_000, 0, HOUR_MS) == 0
    await ended_auctions(engine, 2)
    assert await anchors.collect(now_ms + 5_000, 0, HOUR_MS) == 3
    assert await anchors.collect(now_ms + 5_000, 0, HOUR_MS) == 0
    assert await anchors.collect(now_ms + 5_000 + HOUR_MS, 0, HOUR_MS) == 1


async def test_a_log_that_goes_on_after_its_end_is_anchored_again(engine: RestEngine, pool: Pool):
    [auction] = await ended_auctions(engine, 1)
    anchors, entity = Anchors(pool), parse_id(auction)
    await collected(engine, anchors)
    first = await anchors.of_entity(entity)
    await pool.execute(
        "INSERT INTO entity_events (entity_id, kind, seq, epoch, at, command_key, body, hash)"
        " SELECT entity_id, kind, seq + 1, epoch, at, NULL, body, sha256(hash) FROM entity_events"
        " WHERE entity_id = $1 ORDER BY seq DESC LIMIT 1", entity,
    )  # fmt: skip
    await pool.execute("UPDATE entities SET seq = seq + 1 WHERE entity_id = $1", entity)
    assert await collected(engine, anchors) == 1
    second = await anchors.of_entity(entity)
    assert first is not None
    assert second is not None
    assert (second.claim.seq, second.claim.included) == (first.claim.seq + 1, True)
    # The same summary row again changes nothing.
    await pool.execute("UPDATE entities SET seq = seq WHERE entity_id = $1", entity)
    assert await collected(engine, anchors) == 0


async def test_an_end_that_is_committed_late_is_not_missed(engine: RestEngine, pool: Pool):
    late, anchors = parse_id((await ended_auctions(engine, 1))[0]), Anchors(pool)
    await collected(engine, anchors)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("INSERT INTO unanchored (entity_id, since) VALUES ($1, 0)", late)
        # Others end, and are collected, with later numbers.
        await ended_auctions(engine, 2)
        assert await collected(engine, anchors) == 2
        await transaction.commit()
    assert await collected(engine, anchors) == 1
    assert await pool.fetchval("SELECT count(*) FROM unanchored") == 0


async def test_two_workers_anchor_each_entity_once(engine: RestEngine, pool: Pool):
    await ended_auctions(engine, 6)
    anchors = Anchors(pool, leaves_max=2)
    counts = await asyncio.gather(*(collected(engine, anchors) for _ in range(4)))
    while more := await collected(engine, anchors):
        counts.append(more)
    assert sum(counts) == 6
    assert await pool.fetchval("SELECT count(DISTINCT entity_id) FROM anchor_leaves") == 6
    assert await pool.fetchval("SELECT sum(leaves) FROM anchors") == 6
    assert await pool.fetchval("SELECT count(*) FROM chain_jobs WHERE kind = 'anchor'") == await pool.fetchval(
        "SELECT count(*) FROM anchors"
    )


async def test_the_job_anchors_what_is_old_enough(engine: RestEngine, pool: Pool):
    await ended_auctions(engine, 3)
    later = engine.services.now_ms() + 60_000
    await pool.execute("INSERT INTO jobs (kind, key, run_at) VALUES ('anchor_ended', 'periodic', 0)")
    await run_due(pool, AnchorEnded(Anchors(pool), 60_000, lambda: later + 1_000))
    assert await pool.fetchval("SELECT sum(leaves) FROM anchors") == 3


async def test_an_anchor_whose_job_is_poisoned_says_so(
    engine: RestEngine, database_url: str, pool: Pool, chain: ChainProcess, tmp_path: Path
):
    [auction] = await ended_auctions(engine, 1)
    await collected(engine, Anchors(pool))
    await pool.execute("UPDATE chain_jobs SET payload = '{}' WHERE kind = 'anchor'")
    async with member(config_of(database_url, chain, tmp_path)):
        proof = await until_final(engine, auction)
    assert (proof["state"], proof["signature"]) == ("failed", None)
