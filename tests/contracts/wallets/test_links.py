import asyncio

import msgspec
import pytest

from persistence.identity.store import UserStore
from persistence.postgres.pool import Pool
from persistence.wallets.links import CHALLENGES_MAX, LINKS_MAX, Challenge, LinkedWallet, LinkedWallets, LinkRefusal

NOW = 1_800_000_000_000
MINUTES = 60_000


async def user(pool: Pool, name: str) -> int:
    return (await UserStore(pool).create(name, f"{name}@example.org", "hash")).user_id


def challenge(user: int, nonce: str, address: str = "", expires_at: int = NOW + 10 * MINUTES) -> Challenge:
    return Challenge(nonce, user, address or f"address of {nonce}", f"message {nonce}", expires_at)


async def test_a_challenge_links_its_wallet_once(pool: Pool):
    ann = await user(pool, "ann")
    links, asked = LinkedWallets(pool), challenge(ann, "n1")
    await links.issue(asked)
    assert await links.challenge("n1", ann, NOW) == asked
    linked = LinkedWallet(asked.address, ann, NOW)
    assert await asyncio.gather(*(links.link(asked, NOW) for _ in range(5))) == [linked] * 5
    assert await links.challenge("n1", ann, NOW) is None
    assert await links.linked_by("n1", ann, asked.address) == linked
    assert await links.of(ann) == [linked]


async def test_a_challenge_is_its_users_alone_and_ends(pool: Pool):
    bob, eve = await user(pool, "bob"), await user(pool, "eve")
    links, asked = LinkedWallets(pool), challenge(bob, "n2")
    await links.issue(asked)
    assert await links.challenge("n2", eve, NOW) is None
    assert await links.challenge("n2", bob, asked.expires_at) is None
    stolen = msgspec.structs.replace(asked, user=eve)
    assert await links.link(stolen, NOW) == LinkRefusal("challenge_expired")
    assert await links.link(asked, asked.expires_at) == LinkRefusal("challenge_expired")


async def test_a_wallet_belongs_to_one_account_at_a_time(pool: Pool):
    cleo, dan = await user(pool, "cleo"), await user(pool, "dan")
    links = LinkedWallets(pool)
    first, second = challenge(cleo, "n3", "shared"), challenge(dan, "n4", "shared")
    again = challenge(cleo, "n5", "shared")
    for asked in (first, second, again):
        await links.issue(asked)
    assert await links.link(first, NOW) == LinkedWallet("shared", cleo, NOW)
    assert await links.link(second, NOW) == LinkRefusal("wallet_taken")
    assert await links.link(again, NOW + 5) == LinkedWallet("shared", cleo, NOW)
    assert not await links.unlink(dan, "shared")
    assert await links.unlink(cleo, "shared")
    assert not await links.unlink(cleo, "shared")
    third = challenge(dan, "n6", "shared")
    await links.issue(third)
    assert await links.link(third, NOW) == LinkedWallet("shared", dan, NOW)


async def test_links_and_open_challenges_of_a_user_have_a_maximum(pool: Pool):
    edda = await user(pool, "edda")
    links = LinkedWallets(pool)
    for number in range(LINKS_MAX + 1):
        asked = challenge(edda, f"many{number}", expires_at=NOW + number + 1)
        await links.issue(asked)
        linked = await links.link(asked, NOW)
        assert linked == (LinkedWallet(asked.address, edda, NOW) if number < LINKS_MAX else LinkRefusal("wallets_full"))
    for number in range(CHALLENGES_MAX + 3):
        await links.issue(challenge(edda, f"open{number}", expires_at=NOW + 100 + number))
    assert await pool.fetchval("SELECT count(*) FROM wallet_challenges WHERE user_id = $1", edda) == CHALLENGES_MAX
    assert await links.challenge("open2", edda, NOW) is None
    assert await links.challenge("open3", edda, NOW) is not None


async def test_expired_challenges_are_forgotten(pool: Pool):
    finn = await user(pool, "finn")
    links = LinkedWallets(pool)
    await links.issue(challenge(finn, "old", expires_at=NOW - 1))
    await links.issue(challenge(finn, "new"))
    await links.forget_expired(NOW)
    assert await pool.fetch("SELECT nonce FROM wallet_challenges WHERE user_id = $1", finn) == [("new",)]


@pytest.mark.parametrize("address", ["x'; DROP TABLE users; --", "ä" * 10])
async def test_text_is_only_text(pool: Pool, address: str):
    assert not await LinkedWallets(pool).unlink(1, address)
