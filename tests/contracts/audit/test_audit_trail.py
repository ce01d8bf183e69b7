"""The audit trail in PostgreSQL: it only grows, acts don't wait for it, and `ece audit verify` finds every change."""

import asyncio
import json
import time

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from domain.audit import Entry
from ece import cli
from ece.failure import Failure
from persistence.audit.chain import BATCH_MAX, AuditChain
from persistence.audit.trail import ORIGIN, Act, AuditTrail, Filter, Origin, record_within
from persistence.identity.roles import RoleStore
from persistence.identity.store import RefreshReused, RefreshTokens, UserStore
from persistence.postgres.pool import Pool


@pytest.fixture
async def database_url(postgres: object, database_url: str) -> str:
    """Each test breaks the trail in its own way: it begins with an empty one."""
    await tampered(
        database_url, "DELETE FROM audit_entries", "DELETE FROM audit_chain", "DELETE FROM audit_pending",
    )  # fmt: skip
    return database_url


async def tampered(database_url: str, *statements: str) -> None:
    """As somebody with all rights on the database, who switches the triggers off."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement)
    finally:
        await connection.close()


async def verify(database_url: str, *arguments: str) -> Result:
    runner = CliRunner(env={"ECE_DATABASE_URL": database_url, "COLUMNS": "200"})
    return await asyncio.to_thread(runner.invoke, cli.app, ["audit", "verify", *arguments])


async def kinds(database_url: str, *arguments: str) -> list[str]:
    result = await verify(database_url, "--json", *arguments)
    answer = json.loads(result.stdout)
    assert result.exit_code == (0 if answer["ok"] else 1)
    return [one["kind"] for one in answer["findings"]]


async def trail_of(pool: Pool, count: int) -> list[Entry]:
    """The oldest first."""
    trail = AuditTrail(pool)
    for n in range(count):
        await trail.record(Act("test", subject=str(n)))
    await AuditChain(pool).extend()
    return (await trail.page(Filter(), 100))[::-1]


async def test_an_entry_says_who_did_what_from_where(pool: Pool):
    token = ORIGIN.set(Origin("192.0.2.1", "r1"))
    try:
        await AuditTrail(pool).record(Act("role.granted", 7, "ann", "x" * 300, {"b": "y" * 300, "a": 1}))
    finally:
        ORIGIN.reset(token)
    (entry,) = await AuditTrail(pool).page(Filter(), 10)
    assert entry == Entry(
        entry.entry_id, entry.at, "role.granted", 7, "ann", "x" * 200, "192.0.2.1", "r1",
        json.dumps({"a": 1, "b": "y" * 200}),
    )  # fmt: skip
    assert abs(entry.at - time.time() * 1000) < 60_000


async def test_rows_can_neither_be_changed_nor_deleted(pool: Pool):
    await trail_of(pool, 2)
    for table in ("audit_entries", "audit_chain"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET entry_id = 1", f"TRUNCATE {table}"):
            with pytest.raises(asyncpg.RestrictViolationError):
                await pool.execute(statement)


async def test_an_act_that_is_rolled_back_leaves_no_entry(pool: Pool):
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await record_within(connection, Act("test"))
        await transaction.rollback()
    assert await AuditTrail(pool).page(Filter(), 10) == []


async def test_an_open_act_delays_neither_other_acts_nor_the_chain(pool: Pool, database_url: str):
    async with asyncio.timeout(20), pool.acquire() as connection:
        opened = connection.transaction()
        await opened.start()
        await record_within(connection, Act("slow"))
        await trail_of(pool, 3)
        assert (await AuditChain(pool).head()).position == 3
        await opened.commit()
        assert await AuditChain(pool).extend() == 1
    assert await kinds(database_url) == []


async def test_two_workers_make_one_chain(pool: Pool, database_url: str):
    await pool.execute(
        "INSERT INTO audit_entries (action, subject, details) SELECT 'test', n, '{}' FROM generate_series(1, $1) n",
        BATCH_MAX + 500,
    )
    counts = await asyncio.gather(*(AuditChain(pool).extend() for _ in range(3)))
    assert sorted(counts) == [0, 500, BATCH_MAX]
    assert await kinds(database_url) == []


async def test_a_changed_row_is_found(pool: Pool, database_url: str):
    await trail_of(pool, 5)
    result = await verify(database_url)
    assert "5 entries, all as they were written" in result.stdout
    await tampered(database_url, "UPDATE audit_entries SET subject = 'other' WHERE subject = '2'")
    assert await kinds(database_url) == ["changed"]


async def test_a_missing_row_and_a_missing_link_are_found(pool: Pool, database_url: str):
    await trail_of(pool, 5)
    await tampered(database_url, "DELETE FROM audit_entries WHERE subject = '2'")
    assert await kinds(database_url) == ["missing"]
    await tampered(database_url, "DELETE FROM audit_chain WHERE position = 3")
    assert await kinds(database_url) == ["gap"]


async def test_rows_in_another_order_are_found(pool: Pool, database_url: str):
    await trail_of(pool, 4)
    await tampered(
        database_url,
        "UPDATE audit_chain c SET entry_id = -o.entry_id FROM audit_chain o WHERE c.position + o.position = 5"
        " AND c.position IN (2, 3)",
        "UPDATE audit_chain SET entry_id = -entry_id WHERE entry_id < 0",
    )
    assert await kinds(database_url) == ["changed", "changed"]


async def test_a_row_that_was_put_in_without_the_chain_is_found(pool: Pool, database_url: str):
    await trail_of(pool, 2)
    await tampered(database_url, "INSERT INTO audit_entries (action, subject, details) VALUES ('test', '', '{}')")
    assert await kinds(database_url) == ["unchained"]


async def test_a_trail_whose_end_was_cut_is_found_with_a_noted_head(pool: Pool, database_url: str):
    await trail_of(pool, 3)
    head = json.loads((await verify(database_url, "--json")).stdout)["head"]
    await trail_of(pool, 2)
    assert await kinds(database_url, "--head", head) == []
    await tampered(
        database_url, "DELETE FROM audit_chain WHERE position > 2",
        "DELETE FROM audit_entries WHERE entry_id NOT IN (SELECT entry_id FROM audit_chain)",
    )  # fmt: skip
    assert await kinds(database_url) == []
    assert await kinds(database_url, "--head", head) == ["head"]
    assert isinstance((await verify(database_url, "--head", "3:zz")).exception, Failure)


async def test_accounts_and_sessions_leave_entries(pool: Pool):
    users, tokens = UserStore(pool), RefreshTokens(pool)
    ann = await users.create("audited", "audited@example.org", "hash")
    roles = RoleStore(pool)
    await roles.grant(ann.user_id, "moderator")
    await roles.grant(ann.user_id, "moderator")
    await roles.revoke(ann.user_id, "moderator")
    await tokens.begin(ann.user_id, "f1", "t1", 10**15)
    await tokens.rotate("t1", "t2", 1, 10**15)
    with pytest.raises(RefreshReused):
        await tokens.rotate("t1", "t3", 1, 10**15)
    await tokens.begin(ann.user_id, "f2", "t4", 10**15)
    await tokens.end("t4")
    await tokens.end("t4")
    actions = [entry.action for entry in (await AuditTrail(pool).page(Filter(), 100))[::-1]]
    assert actions == [
        "user.registered", "role.granted", "role.revoked", "login.succeeded", "refresh_token.reused",
        "login.succeeded", "logout",
    ]  # fmt: skip
    text = repr(await pool.fetch("SELECT * FROM audit_entries"))
    assert not [secret for secret in ("t1", "t2", "t3", "t4", "hash") if f"'{secret}'" in text]
