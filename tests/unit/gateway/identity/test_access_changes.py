"""Changes of roles and revoked keys, as a gateway hears of them; API keys on a socket."""

from domain.permissions import Permission
from gateway.identity.access_changes import AccessChangeFeed
from gateway.identity.api_keys import ApiKeyCheck, key_hash, new_key
from gateway.identity.tokens import Identity
from persistence.identity.access_changes import AccessChange
from persistence.identity.api_keys import KnownKey

ANN, BOB, KEY = 7, 8, 70
KEPT_MS = 1_000_000


class Changes:
    """What the database has."""

    def __init__(self) -> None:
        self.rows: list[AccessChange] = []

    async def recent(self, within_ms: int) -> list[AccessChange]:
        return sorted(self.rows, key=lambda row: -row.at)


class Keys:
    """The keys of the database; counts the look-ups."""

    def __init__(self, **known: KnownKey) -> None:
        self.known = {key_hash(key): found for key, found in known.items()}
        self.found = 0

    async def find(self, key_hash: bytes, now_ms: int) -> KnownKey | None:
        self.found += 1
        return self.known.get(key_hash)


def identity(user: int = ANN, version: int = 0, key: int | None = None, issued_at_ms: int = 0) -> Identity:
    return Identity(user, "x", frozenset({"collector"}), 10**15, "s", issued_at_ms, version, key)


async def test_what_was_issued_before_a_change_is_stale_and_what_comes_after_is_not():
    changes = Changes()
    feed = AccessChangeFeed(changes, KEPT_MS)
    calls: list[int] = []
    feed.changed.append(lambda: calls.append(1))
    await feed.read()
    assert (feed.is_stale(identity()), calls) == (False, [])
    changes.rows = [AccessChange(ANN, None, 5_000, 2), AccessChange(ANN, None, 5_000, 1)]
    for _ in range(2):
        await feed.read()
    assert [feed.is_stale(identity(ANN, version)) for version in (1, 2)] == [True, False]
    assert not feed.is_stale(identity(BOB, 0))
    # Those that were read before are no news.
    assert calls == [1]


async def test_a_revoked_key_is_stale_for_good_and_its_owner_is_not():
    changes = Changes()
    changes.rows = [AccessChange(ANN, KEY, 5_000)]
    feed = AccessChangeFeed(changes, KEPT_MS)
    await feed.read()
    assert feed.is_stale(identity(ANN, 9_000, KEY))
    assert not feed.is_stale(identity(ANN, 1, None))
    assert not feed.is_stale(identity(ANN, 1, KEY + 1))


async def test_changes_are_forgotten_once_no_token_is_as_old():
    changes = Changes()
    feed = AccessChangeFeed(changes, KEPT_MS)
    changes.rows = [AccessChange(ANN, None, 5_000, 1)]
    await feed.read()
    changes.rows = [AccessChange(BOB, None, 5_001 + KEPT_MS, 1)]
    await feed.read()
    assert not feed.is_stale(identity(ANN, 0))
    assert feed.is_stale(identity(BOB, 0))


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
