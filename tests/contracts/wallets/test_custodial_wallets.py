import asyncio

import pytest
from solders.keypair import Keypair

from chain.wallets.cipher import KeyCipher
from chain.wallets.custody import Wallets, opened, sealed_wallet
from persistence.identity.store import UserStore
from persistence.postgres.pool import Pool
from persistence.wallets.custody import CustodialWallets

CIPHER = KeyCipher(lambda: ["s" * 40])


async def users(pool: Pool, *names: str) -> list[int]:
    store = UserStore(pool)
    return [(await store.create(name, f"{name}@example.org", "hash")).user_id for name in names]


async def test_each_user_has_one_wallet_however_many_make_it_at_once(pool: Pool):
    ann, bob = await users(pool, "ann", "bob")
    rows = CustodialWallets(pool)
    made = await asyncio.gather(*(Wallets(rows, CIPHER).custodial_addresses([ann, bob]) for _ in range(8)))
    assert all(addresses == made[0] for addresses in made)
    signer = await Wallets(rows, CIPHER).signer(ann)
    assert signer.address == made[0][ann]
    assert await rows.users_of([str(made[0][bob]), "unknown"]) == {str(made[0][bob]): bob}


async def test_a_wallet_is_never_replaced(pool: Pool):
    (cleo,) = await users(pool, "cleo")
    rows = CustodialWallets(pool)
    first, second = Keypair(), Keypair()
    stored = await rows.add([sealed_wallet(cleo, first, first.secret(), CIPHER)])
    assert await rows.add([sealed_wallet(cleo, second, second.secret(), CIPHER)]) == stored
    assert opened(stored[cleo], CIPHER) == first


async def test_a_wallet_belongs_to_a_user_who_exists(pool: Pool):
    pair = Keypair()
    with pytest.raises(Exception, match="foreign key"):
        await CustodialWallets(pool).add([sealed_wallet(12345, pair, pair.secret(), CIPHER)])
