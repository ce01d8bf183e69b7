"""Changes of roles, revoked keys and ended sessions, as a gateway hears of them; API keys on a socket."""

import asyncio

import pytest

from domain.permissions import Permission
from gateway.identity import access_changes
from gateway.identity.access_changes import OVERLAP_MS, AccessChangeFeed
from gateway.identity.api_keys import ApiKeyCheck, key_hash, new_key
from gateway.identity.credentials import Credentials
from gateway.identity.tokens import Identity, TokenIssuer, TokenRevoked
from gateway.identity.verification import operation_denied
from persistence.identity.access_changes import AccessChange
from persistence.identity.api_keys import KnownKey
from persistence.postgres.errors import StoreUnavailable
from tests.virtual_time import virtual

ANN, BOB, KEY = 7, 8, 70
KEPT_MS = 1_000_000
NOW_MS = 1_800_000_000_000


class Changes:
    """What the database has."""

    def __init__(self) -> None:
        self.rows: list[AccessChange] = []
        self.asked: list[int] = []
        self.down = False

    async def recent(self, within_ms: int) -> list[AccessChange]:
        if self.down:
            raise StoreUnavailable("the database is away")
        self.asked.append(within_ms)
        return sorted(self.rows, key=lambda row: -row.at)


class Keys:
    """The keys of the database; counts the look-ups."""

    def __init__(self, **known: KnownKey) -> None:
        self.known = {key_hash(key): found for key, found in known.items()}
        self.found = 0

    async def find(self, key_hash: bytes, now_ms: int) -> KnownKey | None:
        self.found += 1
        return self.known.get(key_hash)


def identity(
    user: int = ANN, version: int = 0, key: int | None = None, issued_at_ms: int = 0, session: str = "s"
) -> Identity:
    return Identity(user, "x", frozenset({"collector"}), 10**15, session, issued_at_ms, version, key)


def feed_of(changes: Changes) -> AccessChangeFeed:
    return AccessChangeFeed(changes, KEPT_MS, lambda: NOW_MS)


async def test_what_was_issued_before_a_change_is_stale_and_what_comes_after_is_not():
    changes = Changes()
    feed = feed_of(changes)
    calls: list[int] = []
    feed.changed.append(lambda rows: calls.append(len(rows)))
    await feed.read()
    assert (feed.is_stale(identity()), calls) == (False, [])
    changes.rows = [AccessChange(5_000, ANN, None, 2), AccessChange(5_000, ANN, None, 1)]
    for _ in range(2):
        await feed.read()
    assert [feed.is_stale(identity(ANN, version)) for version in (1, 2)] == [True, False]
    assert not feed.is_stale(identity(BOB, 0))
    # Those that were read before are no news.
    assert calls == [2]


async def test_a_revoked_key_is_stale_for_good_and_its_owner_is_not():
    changes = Changes()
    changes.rows = [AccessChange(5_000, ANN, KEY)]
    feed = feed_of(changes)
    await feed.read()
    assert feed.is_stale(identity(ANN, 9_000, KEY))
    assert not feed.is_stale(identity(ANN, 1, None))
    assert not feed.is_stale(identity(ANN, 1, KEY + 1))


async def test_changes_are_forgotten_once_no_token_is_as_old():
    changes = Changes()
    feed = feed_of(changes)
    changes.rows = [AccessChange(5_000, ANN, None, 1)]
    await feed.read()
    changes.rows = [AccessChange(5_001 + KEPT_MS, BOB, None, 1)]
    await feed.read()
    assert not feed.is_stale(identity(ANN, 0))
    assert feed.is_stale(identity(BOB, 0))


@virtual
async def test_an_announced_end_counts_at_once_and_is_told_once_with_others_of_its_moment():
    changes, told = Changes(), list[list[str | None]]()
    feed = feed_of(changes)
    feed.changed.append(lambda rows: told.append([row.session for row in rows]))
    feed.end(["s-1", "s-2"])
    feed.end(["s-3", "s-1"])
    assert [feed.is_stale(identity(session=name)) for name in ("s-1", "s-3", "s-4")] == [True, True, False]
    assert feed.is_revoked(identity(session="s-1"))
    assert told == []
    await asyncio.sleep(1)
    changes.rows = [AccessChange(NOW_MS - 5, session="s-1"), AccessChange(NOW_MS, session="s-4")]
    await feed.read()
    assert told == [["s-1", "s-2", "s-3"], ["s-4"]]
    # From then on its row says when it ended: the clocks of gateways are not compared with that of the database.
    changes.rows = [AccessChange(NOW_MS - 4 + KEPT_MS, session="s-5")]
    await feed.read()
    assert [feed.has_ended(f"s-{number}") for number in range(1, 6)] == [False, True, True, True, True]


@virtual
async def test_what_changed_while_the_database_was_not_reached_is_read_afterwards():
    changes = Changes()
    feed = feed_of(changes)
    await feed.read()
    await feed.read()
    feed.start()
    changes.down = True
    await asyncio.sleep(60)
    changes.down = False
    await asyncio.sleep(1)
    await feed.stop()
    first, usual, after, *_ = changes.asked
    assert (first, usual) == (KEPT_MS, OVERLAP_MS)
    assert OVERLAP_MS + 60_000 <= after <= OVERLAP_MS + 61_000


async def test_of_too_many_ends_none_is_taken_for_good(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(access_changes, "CHANGES_MAX", 2)
    feed = feed_of(Changes())
    feed.end(["s-1", "s-2", "s-3"])
    # Who got a token before has to refresh it, which only those can whose session goes on.
    assert [feed.is_stale(identity(issued_at_ms=NOW_MS + late, session="s-1")) for late in (-1, 0)] == [True, False]
    assert not feed.has_ended("s-1")
    assert feed.has_ended("s-3")


async def test_a_token_that_was_good_before_is_refused_once_its_session_has_ended():
    feed, now_s = feed_of(Changes()), NOW_MS // 1000
    tokens = TokenIssuer("a-secret-of-at-least-thirty-two-characters", 900)
    checks = Credentials(tokens, ApiKeyCheck(Keys(), lambda: NOW_MS), feed, lambda: NOW_MS)
    token = tokens.issue(ANN, "ann", (), now_s, "log-in")
    assert (await checks.identity(token, None)).session == "log-in"
    feed.end(["log-in"])
    with pytest.raises(TokenRevoked):
        await checks.identity(token, None)


@virtual
async def test_keys_are_looked_up_again_after_changes_of_users_and_not_after_each_log_out():
    key, changes = new_key(), Changes()
    store = Keys(**{key: KnownKey(KEY, ANN, "ann", ("collector",), ("bid",), (), 10**15)})
    feed = feed_of(changes)
    tokens = TokenIssuer("a-secret-of-at-least-thirty-two-characters", 900)
    checks = Credentials(tokens, ApiKeyCheck(store, lambda: NOW_MS), feed, lambda: NOW_MS)
    await checks.identity(key, None)
    feed.end(["s-1"])
    await asyncio.sleep(1)
    await checks.identity(key, None)
    assert store.found == 1
    changes.rows = [AccessChange(NOW_MS, BOB, None, 1)]
    await feed.read()
    await checks.identity(key, None)
    assert store.found == 2


async def test_a_key_is_looked_up_once_a_second_and_again_after_a_change():
    key, now = new_key(), [1_000]
    store = Keys(**{key: KnownKey(KEY, ANN, "ann", ("collector",), ("bid",), (), 10**15)})
    check = ApiKeyCheck(store, lambda: now[0])
    for _ in range(3):
        found = await check.identity(key, None)
    assert (store.found, found.key, found.may(Permission.BID), found.may(Permission.READ)) == (1, KEY, True, False)
    now[0] += 1_000
    await check.identity(key, None)
    check.forget()
    await check.identity(key, None)
    assert store.found == 3


async def test_a_key_permits_no_more_than_the_tokens_of_a_user_without_a_verified_address():
    key = new_key()
    store = Keys(**{key: KnownKey(KEY, ANN, "ann", ("collector",), ("bid",), (), 10**15, verified=False)})
    demanded = await ApiKeyCheck(store, lambda: NOW_MS, verification_demanded=True).identity(key, None)
    offered = await ApiKeyCheck(store, lambda: NOW_MS).identity(key, None)
    assert [operation_denied(found.roles, "bid") for found in (demanded, offered)] == [True, False]
