"""`ece analytics`, on the real PostgreSQL."""

import asyncio
import json

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from domain.sales.portfolio import day_of
from ece import cli
from tests.contracts.analytics.market_rows import Ledger, make_cards, make_copy, read_models, settle


async def sold(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        (card,) = await make_cards(connection, 1)
        for _ in range(3):
            await settle(connection, [await make_copy(connection, card, 1, 20_000)], 2, 5_000_000, 30_000)
    finally:
        await connection.close()


async def models_and_truth(url: str) -> tuple[object, object]:
    connection = await asyncpg.connect(url)
    try:
        found = await read_models(connection)
        as_of = await connection.fetchval("SELECT caught_up_at FROM analytics_progress")
        truth = (await Ledger.of(connection)).counted(day_of(as_of), 0)
        return found["holdings"] | found["card_days"], truth["holdings"] | truth["card_days"]
    finally:
        await connection.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, database_url: str):
    monkeypatch.setenv("ECE_DATABASE_URL", database_url)

    def runs(*words: str) -> Result:
        result = CliRunner().invoke(cli.app, ["analytics", *words])
        assert result.exit_code == 0, result.output
        return result

    return runs


def test_rebuilding_counts_everything_and_status_says_how_far_it_is(run, database_url: str):
    asyncio.run(sold(database_url))
    before = json.loads(run("status", "--json").stdout)
    assert (before["caught_up_at"], before["behind_s"]) == (None, None)
    assert before["waiting"] == {"sales": 3, "settlements": 3, "refunds": 0, "provenance": 6, "bids": 3}
    assert "A rebuild is in progress" in run("status").stdout
    for _ in range(2):
        assert "15 rows" in run("rebuild").stdout
        found, truth = asyncio.run(models_and_truth(database_url))
        assert found == truth
    after = json.loads(run("status", "--json").stdout)
    assert (set(after["waiting"].values()), after["values_due"]) == ({0}, 0)
    assert "Up to date" in run("status").stdout
