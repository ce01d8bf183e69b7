"""`ece verify` on a real log, damaged on purpose."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from domain.ids import parse_id
from ece.cli import app
from persistence.postgres.pool import Pool
from tests.rest.rest_engine import USD, RestEngine


async def an_ended_auction(engine: RestEngine) -> str:
    """Rows: 1 listed, 2 opened, 3 to 7 bids, 8 closed."""
    seller, ann, bob = await engine.person(), await engine.person(), await engine.person()
    operator = await engine.person(role="admin")
    auction: str = (await seller.open_auction())["id"]
    for number in range(5):
        bidder = (ann, bob)[number % 2]
        await bidder.post(f"/auctions/{auction}/bids", {"amount": (number + 1) * 3 * USD})
    await operator.post(f"/admin/auctions/{auction}/close")
    return auction


async def ece_verify(database_url: str, *arguments: str) -> Result:
    import asyncio

    environment = {"ECE_DATABASE_URL": database_url, "COLUMNS": "200"}
    return await asyncio.to_thread(CliRunner().invoke, app, ["verify", *arguments], env=environment)


async def findings(database_url: str, auction: str) -> list[tuple[int, str]]:
    result = await ece_verify(database_url, auction, "--json")
    verdict: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if verdict["ok"] else 1)
    return [(finding["row"], finding["kind"]) for finding in verdict["findings"]]


async def test_a_sound_auction_is_verified(engine: RestEngine, database_url: str):
    auction = await an_ended_auction(engine)
    result = await ece_verify(database_url, auction)
    assert result.exit_code == 0
    assert "8 rows, all hashes and events are correct" in result.stdout
    assert "sold to" in result.stdout
    machine = json.loads((await ece_verify(database_url, auction, "--json")).stdout)
    assert (machine["ok"], machine["rows"], machine["judged_to"], machine["findings"]) == (True, 8, 8, [])
    assert (machine["result"]["status"], machine["result"]["bids"]) == ("closed", 5)


DAMAGES = {
    "changed": ("UPDATE entity_events SET body = set_byte(body, 20, 7) WHERE entity_id = $1 AND seq = 5", 5),
    "missing": ("DELETE FROM entity_events WHERE entity_id = $1 AND seq = 5", 5),
    "missing at the end": ("DELETE FROM entity_events WHERE entity_id = $1 AND seq = 8", 8),
    "reordered": (
        "UPDATE entity_events SET seq = CASE seq WHEN 4 THEN -6 ELSE -4 END WHERE entity_id = $1 AND seq IN (4, 6);",
        4,
    ),
    "claim": ("UPDATE auctions SET winner_id = 7 WHERE auction_id = $1", 8),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_named(engine: RestEngine, database_url: str, pool: Pool, damage: str):
    auction = await an_ended_auction(engine)
    statement, row = DAMAGES[damage]
    await pool.execute(statement.rstrip(";"), parse_id(auction))
    await pool.execute("UPDATE entity_events SET seq = -seq WHERE entity_id = $1 AND seq < 0", parse_id(auction))
    found = await findings(database_url, auction)
    assert (row, damage.removesuffix(" at the end")) in found
    shown = await ece_verify(database_url, auction)
    assert shown.exit_code == 1
    assert f"{row}  {damage.removesuffix(' at the end')}" in shown.stdout


async def test_all_auctions_are_verified_and_the_broken_ones_named(engine: RestEngine, database_url: str, pool: Pool):
    await an_ended_auction(engine)
    gone = await an_ended_auction(engine)
    await pool.execute("DELETE FROM entity_events WHERE entity_id = $1", parse_id(gone))
    result = await ece_verify(database_url, "--all", "--json")
    summary = json.loads(result.stdout)
    assert result.exit_code == 1
    assert summary["entities"] == await pool.fetchval("SELECT count(*) FROM auctions")
    broken = {finding["id"]: finding for finding in summary["findings"]}
    assert [f["detail"] for f in broken[gone]["findings"]] == ["rows 1 to 8 are missing: the summary row knows of them"]
    assert gone in (await ece_verify(database_url, "--all")).stdout


async def test_what_is_no_auction_is_said(engine: RestEngine, database_url: str):
    for wrong in ("nonsense", "0000000000000"):
        assert (await ece_verify(database_url, wrong)).exit_code == 2
    assert (await ece_verify(database_url)).exit_code == 2
    assert (await ece_verify(database_url, "nonsense", "--all")).exit_code == 2
