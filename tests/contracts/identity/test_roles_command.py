"""`ece roles` on a real database."""

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
    return await asyncio.to_thread(runner.invoke, cli.app, ["roles", *arguments])


async def test_admins_are_made_named_and_unmade_except_the_last_one(pool: Pool, database_url: str):
    users = UserStore(pool)
    for name in ("ann", "bob"):
        await users.create(name, f"{name}@example.org", "hash")
    assert "Nobody has the role admin" in (await run(database_url, "list")).stdout
    assert "ann has the role admin" in (await run(database_url, "grant", "Ann", "admin")).stdout
    assert json.loads((await run(database_url, "list", "--json")).stdout) == ["ann"]
    refused = await run(database_url, "revoke", "ann", "admin")
    assert "the last admin" in str(refused.exception)
    await run(database_url, "grant", "bob", "admin")
    assert "no longer has the role admin" in (await run(database_url, "revoke", "ann", "admin")).stdout
    assert json.loads((await run(database_url, "list", "--json")).stdout) == ["bob"]


async def test_a_seller_is_exempt_from_quotas_and_no_admin_by_that(pool: Pool, database_url: str):
    await UserStore(pool).create("shop", "shop@example.org", "hash")
    await run(database_url, "grant", "shop", "quota_exempt")
    exempt = await run(database_url, "list", "quota_exempt", "--json")
    assert json.loads(exempt.stdout) == ["shop"]
    shown = (await run(database_url, "show", "shop")).stdout
    assert "shop: collector, minter, quota_exempt, seller" in shown
    assert "unlimited" in shown
    assert "roles.manage" not in shown


async def test_somebody_who_is_not_there_gets_no_role(database_url: str):
    result = await run(database_url, "grant", "nobody", "admin")
    assert isinstance(result.exception, Failure)
    with pytest.raises(Failure, match="There is no user nobody"):
        raise result.exception
