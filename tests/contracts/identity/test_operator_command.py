"""`ece operator` on a real database."""

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

from ece import cli
from ece.failure import Failure
from persistence.identity.store import UserStore
from persistence.postgres.pool import Pool


async def run(database_url: str, *arguments: str) -> Result:
    runner = CliRunner(env={"ECE_DATABASE_URL": database_url, "COLUMNS": "200"})
    return await asyncio.to_thread(runner.invoke, cli.app, ["operator", *arguments])


async def test_operators_are_made_named_and_unmade(pool: Pool, database_url: str):
    users = UserStore(pool)
    await users.create("ann", "ann@example.org", "hash")
    assert "Nobody has the role operator" in (await run(database_url, "list")).stdout
    assert "ann has the role operator" in (await run(database_url, "add", "Ann")).stdout
    assert json.loads((await run(database_url, "list", "--json")).stdout) == ["ann"]
    assert "no longer has the role operator" in (await run(database_url, "remove", "ann")).stdout
    assert json.loads((await run(database_url, "list", "--json")).stdout) == []


async def test_a_seller_is_exempt_from_quotas_and_no_operator_by_that(pool: Pool, database_url: str):
    await UserStore(pool).create("shop", "shop@example.org", "hash")
    await run(database_url, "add", "shop", "--role", "quota_exempt")
    exempt = await run(database_url, "list", "--role", "quota_exempt", "--json")
    assert (json.loads(exempt.stdout), json.loads((await run(database_url, "list", "--json")).stdout)) == (["shop"], [])


async def test_somebody_who_is_not_there_is_no_operator(database_url: str):
    result = await run(database_url, "add", "nobody")
    assert isinstance(result.exception, Failure)
    with pytest.raises(Failure, match="There is no user nobody"):
        raise result.exception
