"""The table of signing keys: rotation by several processes at once."""

import asyncio

from chain.wallets.cipher import KeyCipher
from gateway.identity.signing_keys import SigningKeys, new_key
from persistence.identity.signing_keys import PUBLIC_AFTER_MS, SigningKeyStore, StoredKey
from persistence.postgres.pool import Pool

NOW = 1_800_000_000_000
CIPHER = KeyCipher(lambda: ["a-secret-of-at-least-thirty-two-characters"])


def key(at: int) -> StoredKey:
    return new_key(CIPHER, at, at)


async def test_of_many_processes_that_begin_at_once_one_makes_the_first_key(pool: Pool):
    gateways = [SigningKeys(SigningKeyStore(pool), CIPHER, lambda: NOW) for _ in range(4)]
    await asyncio.gather(*(keys.load() for keys in gateways))
    stored = await SigningKeyStore(pool).all()
    assert len(stored) == 1
    assert [list(keys.set.by_kid) for keys in gateways] == [[stored[0].kid]] * 4


async def test_a_key_retires_when_the_next_one_signs_and_is_deleted_a_day_later(pool: Pool):
    store = SigningKeyStore(pool)
    await store.replace_all(first := key(NOW))
    second = key(NOW + 1_000)
    assert await store.rotate(second, [first.kid], [first.kid])
    assert [(one.kid, one.retired_at) for one in await store.all()] == [
        (second.kid, None), (first.kid, second.signs_from),
    ]  # fmt: skip
    await store.forget_retired(second.signs_from + PUBLIC_AFTER_MS)
    assert len(await store.all()) == 2
    await store.forget_retired(second.signs_from + PUBLIC_AFTER_MS + 1)
    assert [one.kid for one in await store.all()] == [second.kid]


async def test_a_process_that_has_not_seen_the_newest_key_adds_none(pool: Pool):
    store = SigningKeyStore(pool)
    await store.replace_all(first := key(NOW))
    assert await store.rotate(key(NOW + 1), [first.kid], [first.kid])
    assert not await store.rotate(key(NOW + 2), [first.kid], [first.kid])
    assert len(await store.all()) == 2


async def test_rotations_are_in_the_audit_trail(pool: Pool):
    await SigningKeyStore(pool).replace_all(new := key(NOW))
    found = await pool.fetchval("SELECT action FROM audit_entries WHERE subject = $1", new.kid)
    assert found == "signing_key.replaced"
