"""`ece verify` of trades: the log by its rules, and what was executed by the log."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from domain.ids import id_text
from domain.money import usd
from domain.trade.commands import Reverse
from domain.trade.terms import Leg
from ece.cli import app
from persistence.postgres.pool import Pool
from tests.contracts.sales.sale_scenes import a_life
from tests.contracts.trades.trade_scenes import TradeScene

DAMAGES = {
    "other terms": "UPDATE trade_copies SET receiver_id = 1 WHERE trade_id = $1",
    "another fee": "UPDATE trade_settlements SET fee = 0 WHERE trade_id = $1",
    "no settlement": "DELETE FROM trade_settlements WHERE trade_id = $1",
    "a failure": "UPDATE trade_settlements SET code = 'x' WHERE trade_id = $1",
    "an order that was changed": "UPDATE trade_settlements SET event_hash = 'x' WHERE trade_id = $1",
}


async def findings(database_url: str, trade: int) -> list[tuple[str, str]]:
    environment = {"ECE_DATABASE_URL": database_url}
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["verify", id_text(trade), "--json", "--no-chain"], env=environment
    )
    verdict = json.loads(result.stdout)
    assert (verdict["kind"], verdict["id"]) == ("trade", id_text(trade))
    assert result.exit_code == (0 if verdict["ok"] else 1)
    return [(finding["kind"], finding["detail"]) for finding in verdict["findings"]]


async def executed(scene: TradeScene, database_url: str, *, reversed_too: bool = False) -> int:
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
        trade = await scene.confirm(host, Leg(ann, bob, (hers,), usd(600)), Leg(bob, ann, (his,)))
        await scene.execute(host)
        if reversed_too:
            await scene.order(host, trade, Reverse(9, "r", "stolen"))
            await scene.reverse(host)
    return trade


@pytest.mark.parametrize("reversed_too", [False, True])
async def test_a_sound_trade_is_verified(pool: Pool, database_url: str, reversed_too: bool):
    trade = await executed(TradeScene(pool), database_url, reversed_too=reversed_too)
    assert await findings(database_url, trade) == []


@pytest.mark.parametrize("damage", DAMAGES)
async def test_what_was_not_executed_as_agreed_is_found(pool: Pool, database_url: str, damage: str):
    trade = await executed(TradeScene(pool), database_url)
    for table in ("trade_settlements", "trade_copies"):
        await pool.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_stay")
    await pool.execute(DAMAGES[damage], trade)
    for table in ("trade_settlements", "trade_copies"):
        await pool.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_stay")
    assert [kind for kind, _ in await findings(database_url, trade)] == ["settlement"]
