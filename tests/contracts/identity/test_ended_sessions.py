"""Ends of sessions: in PostgreSQL however a session ended, and known to gateways with Redis and without it."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.identity.access_changes import AccessChangeFeed
from gateway.identity.sessions.activity import SessionActivity
from gateway.identity.sessions.ending import Sessions
from persistence.identity.access_changes import AccessChange, AccessChanges
from persistence.identity.sessions import SessionStore
from persistence.identity.store import RefreshReused, RefreshTokens, UserStore
from persistence.postgres.pool import Pool
from persistence.redis.announcements import SESSIONS_CHANNEL, Announcer, Listener
from persistence.redis.session_uses import SessionUses
from tests.faults.scene import until
from tests.valkey_server import Valkey

WITHIN_S = 1.0
DAY_MS = 86_400_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def valkey() -> AsyncIterator[Valkey]:
    # A short path: names of UNIX sockets have 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="ece-v-"))
    server = Valkey(directory)
    await server.start()
    yield server
    server.kill()
    shutil.rmtree(directory, ignore_errors=True)


class Gateway:
    """What one gateway knows of ends."""

    def __init__(self, pool: Pool, redis_url: str) -> None:
        self.announcer = Announcer(redis_url)
        listener = Listener(redis_url, [SESSIONS_CHANNEL])
        self.changes = AccessChangeFeed(AccessChanges(pool), 900_000, now_ms, listener)
        self.closed: set[str | None] = set()
        self.changes.changed.append(self.close)
        self.uses = SessionUses(redis_url, 60)
        self.activity = SessionActivity(self.uses)
        tokens = RefreshTokens(pool)
        self.sessions = Sessions(SessionStore(pool), tokens, self.uses, self.changes, self.announcer.publish)
        self.listener = listener

    def close(self, changes: Sequence[AccessChange]) -> None:
        self.closed |= {change.session for change in changes}


@asynccontextmanager
async def gateway(pool: Pool, redis_url: str) -> AsyncIterator[Gateway]:
    made = Gateway(pool, redis_url)
    await made.changes.read()
    made.announcer.start()
    made.changes.start()
    try:
        yield made
    finally:
        await made.changes.stop()
        await made.announcer.stop()
        await made.activity.stop()


async def log_in(pool: Pool, name: str, *sessions: str) -> int:
    user = (await UserStore(pool).provision([name]))[name]
    for session in sessions:
        await RefreshTokens(pool).begin(user.user_id, session, f"token of {session}", now_ms() + DAY_MS, "curl", "::1")
    return user.user_id


async def ended(pool: Pool) -> set[str | None]:
    """The sessions whose ends the database has."""
    return {change.session for change in await AccessChanges(pool).recent(DAY_MS)}


async def knows(gateway: Gateway, session: str) -> None:
    """Refused and closed within the promised second."""
    await until(
        lambda: gateway.changes.has_ended(session) and session in gateway.closed, f"{session} has ended", WITHIN_S
    )


async def test_another_gateway_knows_an_end_within_a_second(pool: Pool, valkey: Valkey):
    user = await log_in(pool, "ann", "ann-1", "ann-2")
    async with gateway(pool, valkey.url) as one, gateway(pool, valkey.url) as other:
        await until(lambda: one.listener.connected and other.listener.connected, "both listen")
        assert await one.sessions.end(user, "ann-1")
        await knows(one, "ann-1")
        await knows(other, "ann-1")
        assert not other.changes.has_ended("ann-2")
        await one.sessions.log_out("token of ann-2")
        await knows(other, "ann-2")


async def test_without_redis_an_end_is_known_within_a_second_as_well(pool: Pool, valkey: Valkey):
    user = await log_in(pool, "bob", "bob-1")
    async with gateway(pool, valkey.url) as one, gateway(pool, valkey.url) as other:
        await until(lambda: one.listener.connected and other.listener.connected, "both listen")
        valkey.kill()
        await until(lambda: not other.listener.connected, "Redis is gone")
        assert await one.sessions.end_others(user, None) == 1
        await knows(other, "bob-1")


async def test_a_redis_that_is_silent_delays_no_end(pool: Pool, valkey: Valkey):
    user = await log_in(pool, "berta", "berta-1")
    async with gateway(pool, valkey.url) as one, gateway(pool, valkey.url) as other:
        await until(lambda: one.listener.connected and other.listener.connected, "both listen")
        valkey.pause()
        assert await one.sessions.end_others(user, None) == 1
        await knows(other, "berta-1")
        valkey.go_on()


async def test_what_ended_while_redis_was_away_is_known_after_the_reconnection(pool: Pool, valkey: Valkey):
    user = await log_in(pool, "carl", "carl-1")
    async with gateway(pool, valkey.url) as other:
        await until(lambda: other.listener.connected, "it listens")
        valkey.kill()
        await until(lambda: not other.listener.connected, "Redis is gone")
        # Nobody announces this one.
        assert await SessionStore(pool).end(user, "carl-1")
        valkey.launch()
        await until(lambda: other.listener.connected, "it listens again")
        await knows(other, "carl-1")


async def test_a_gateway_that_begins_later_knows_what_has_ended(pool: Pool, valkey: Valkey):
    user = await log_in(pool, "dora", "dora-1")
    await SessionStore(pool).end(user, "dora-1")
    async with gateway(pool, valkey.url) as late:
        assert late.changes.has_ended("dora-1")


async def test_a_session_ends_for_all_also_when_its_refresh_token_is_used_twice(pool: Pool):
    user = await log_in(pool, "emil", "emil-1")
    tokens, store = RefreshTokens(pool), SessionStore(pool)
    await tokens.rotate("token of emil-1", "next", now_ms() - 60_000, now_ms() + DAY_MS)
    with pytest.raises(RefreshReused) as reused:
        await tokens.rotate("token of emil-1", "next", now_ms(), now_ms() + DAY_MS)
    assert reused.value.family == "emil-1"
    assert "emil-1" in await ended(pool)
    assert await store.of_user(user, now_ms()) == []


async def test_a_log_in_that_expired_is_no_end_and_old_ends_are_forgotten(pool: Pool):
    user = (await UserStore(pool).provision(["fritz"]))["fritz"].user_id
    await RefreshTokens(pool).begin(user, "fritz-1", "f", now_ms() - 1)
    await RefreshTokens(pool).forget_expired(now_ms())
    assert "fritz-1" not in await ended(pool)
    await log_in(pool, "fritz", "fritz-2")
    await SessionStore(pool).end(user, "fritz-2")
    await AccessChanges(pool).forget(60_000)
    assert "fritz-2" in await ended(pool)
    await AccessChanges(pool).forget(-60_000)
    assert "fritz-2" not in await ended(pool)


async def test_nobody_ends_the_session_of_another(pool: Pool):
    ann, gina = await log_in(pool, "ann2", "ann-9"), await log_in(pool, "gina", "gina-1")
    store = SessionStore(pool)
    assert not await store.end(gina, "ann-9")
    assert await store.end_others(gina, "ann-9") == ["gina-1"]
    assert [one.session for one in await store.of_user(ann, now_ms())] == ["ann-9"]


async def test_the_last_use_is_noted_once_a_minute_and_shown(pool: Pool, valkey: Valkey):
    user, began = await log_in(pool, "hugo", "hugo-1"), now_ms()
    async with gateway(pool, valkey.url) as one:
        one.activity.used("hugo-1", began + 1_000, "192.0.2.7", "Firefox on Linux")
        one.activity.used("hugo-1", began + 60_999, "192.0.2.8", "Firefox on Linux")
        await one.activity.write()
        [shown] = await one.sessions.of_user(user, began)
        assert (shown.used_at, shown.address, shown.device) == (began + 1_000, "192.0.2.7", "Firefox on Linux")
        one.activity.used("hugo-1", began + 61_000, "192.0.2.9", "curl/8")
        await one.activity.write()
        [shown] = await one.sessions.of_user(user, began)
        assert (shown.used_at, shown.address) == (began + 61_000, "192.0.2.9")


async def test_without_redis_sessions_are_listed_as_they_began(pool: Pool, valkey: Valkey):
    user = await log_in(pool, "ida", "ida-1")
    async with gateway(pool, valkey.url) as one:
        valkey.kill()
        one.activity.used("ida-1", now_ms() + 5_000, "192.0.2.7", "Firefox")
        await one.activity.write()
        assert one.activity.lost == 1
        [shown] = await one.sessions.of_user(user, now_ms())
        assert (shown.device, shown.address, shown.used_at) == ("curl", "::1", shown.started_at)
        # Redis is not waited for each time.
        began = asyncio.get_running_loop().time()
        for _ in range(20):
            await one.sessions.of_user(user, now_ms())
        assert asyncio.get_running_loop().time() - began < WITHIN_S
