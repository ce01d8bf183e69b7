"""What follows here from a card that was moved on the chain without us."""

import asyncio
from types import SimpleNamespace

import asyncpg
import pytest
from solders.keypair import Keypair

from actors.workers.custody.ownership import FollowOwnership
from domain.ids import id_text
from domain.minting.custody import NOBODY
from persistence.minting.ownership import END_LISTING, SeenHolder
from persistence.notifications.store import Notifications
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool
from persistence.sales.copies import Copies
from tests.contracts.minting.custody_scene import AUCTION, NOW, CustodyScene
from tests.contracts.minting.test_custody_moves import until_blocked


@pytest.fixture
async def scene(pool: Pool) -> CustodyScene:
    return CustodyScene(pool)


def address() -> str:
    return str(Keypair().pubkey())


async def linked(scene: CustodyScene, user: int) -> str:
    wallet = address()
    await scene.pool.execute(
        "INSERT INTO linked_wallets (address, user_id, nonce, linked_at) VALUES ($1, $2, $1, $3)", wallet, user, NOW
    )
    return wallet


async def told(scene: CustodyScene, user: int) -> list[str]:
    return [one.kind for one in await Notifications(scene.pool).page(user, False, None, 10)]


async def ended(scene: CustodyScene) -> list[str]:
    rows = await scene.pool.fetch("SELECT key FROM jobs WHERE kind = $1 ORDER BY key", END_LISTING)
    return [row[0] for row in rows]


def brief(row: SimpleNamespace) -> tuple[int, str, int | None, str, int]:
    return row.owner_id, row.place, row.locked_by, row.holder, row.holder_slot


async def test_a_card_that_nobody_here_has_belongs_to_nobody(scene: CustodyScene):
    ann, outside = await scene.person(), address()
    copy = await scene.copy(ann)
    seen = [SeenHolder(copy, outside, 50)]
    assert await scene.ownership.moved_outside(seen, NOW) == [copy]
    assert brief(await scene.row(copy)) == (NOBODY, "withdrawn", None, outside, 50)
    # Once: the same look again, and a look by another worker, change nothing.
    assert await scene.ownership.moved_outside(seen, NOW) == []
    assert await scene.ownership.moved_outside([SeenHolder(copy, outside, 60)], NOW) == []
    [_, change] = await Copies(scene.pool).provenance(copy, 0, 10)
    assert (change.reason, change.price) == ("outside", None)
    assert await told(scene, ann) == ["card_left"]
    assert await scene.moves(copy) == []


async def test_a_card_in_a_linked_wallet_belongs_to_its_user(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    copy, his = await scene.copy(ann), await linked(scene, bob)
    assert await scene.ownership.moved_outside([SeenHolder(copy, his, 50)], NOW) == [copy]
    assert brief(await scene.row(copy)) == (bob, "withdrawn", None, his, 50)
    assert (await told(scene, ann), await told(scene, bob)) == (["card_left"], ["card_received"])


async def test_a_card_that_its_owner_moves_to_their_linked_wallet_stays_theirs(scene: CustodyScene):
    ann = await scene.person()
    copy, hers = await scene.copy(ann), await linked(scene, ann)
    await scene.pool.execute("UPDATE copies SET cost = 7 WHERE copy_id = $1", copy)
    assert await scene.ownership.moved_outside([SeenHolder(copy, hers, 50)], NOW) == [copy]
    assert brief(await scene.row(copy)) == (ann, "withdrawn", None, hers, 50)
    assert await scene.reasons(copy) == ["made"]
    assert await told(scene, ann) == []
    assert await scene.pool.fetchval("SELECT cost FROM copies WHERE copy_id = $1", copy) == 7


async def test_a_card_in_the_custodial_wallet_of_another_user_is_free_there(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    copy, his = await scene.copy(ann), await scene.wallet(bob)
    assert await scene.ownership.moved_outside([SeenHolder(copy, his, 50)], NOW) == [copy]
    assert brief(await scene.row(copy)) == (bob, "free", None, his, 50)
    scene.chain.held[await scene.asset(copy)] = his
    await scene.drain()
    assert scene.chain.held[await scene.asset(copy)] == his
    assert await scene.signed_at_once() == 0


async def test_a_listing_whose_card_is_gone_is_ended_once(scene: CustodyScene):
    ann = await scene.person()
    copies = [await scene.copy(ann) for _ in range(2)]
    for copy in copies:
        await scene.put_up(copy)
    await scene.drain()
    seen = [SeenHolder(copy, address(), 5_000) for copy in copies]
    assert await scene.ownership.moved_outside(seen, NOW) == sorted(copies)
    assert await ended(scene) == [id_text(AUCTION)]
    for copy in copies:
        row = await scene.row(copy)
        assert (row.place, row.locked_by) == ("withdrawn", None)


async def test_an_older_or_equal_slot_than_the_known_one_says_nothing(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    for slot in (9, 10):
        assert await scene.ownership.moved_outside([SeenHolder(copy, address(), slot)], NOW) == []
    assert (await scene.row(copy)).holder_slot == 10


async def test_nothing_is_concluded_while_the_card_is_moved_by_us(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    await scene.put_up(copy)
    seen = [SeenHolder(copy, address(), 5_000)]
    assert await scene.ownership.moved_outside(seen, NOW) == []
    [sent] = await scene.sign(await scene.prepared())
    assert await scene.ownership.moved_outside(seen, NOW) == []
    scene.chain.land(sent)
    await scene.record(sent)
    assert await scene.ownership.moved_outside(seen, NOW) == [copy]


async def test_a_gift_that_commits_meanwhile_keeps_its_move(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    copy = await scene.copy(ann)
    async with scene.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await scene.give(copy, bob, connection)
        waiting = asyncio.create_task(scene.ownership.moved_outside([SeenHolder(copy, address(), 50)], NOW))
        await until_blocked(scene.pool)
        await transaction.commit()
    assert await waiting == []
    assert (await scene.row(copy)).owner_id == bob
    await scene.drain()


async def test_a_withdrawn_card_that_comes_back_is_a_deposit(scene: CustodyScene):
    ann = await scene.person()
    copy = await scene.copy(ann)
    await scene.ownership.moved_outside([SeenHolder(copy, address(), 50)], NOW)
    assert await scene.ownership.moved_outside([SeenHolder(copy, await scene.wallet(ann), 60)], NOW) == []
    assert (await scene.row(copy)).holder_slot == 50


async def test_a_cut_connection_changes_nothing_and_the_same_look_again_does(scene: CustodyScene):
    ann = await scene.person()
    copy = await scene.copy(ann)
    seen = [SeenHolder(copy, address(), 50)]
    async with scene.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        # Held here: the look gets as far as the last of its statements.
        await connection.execute(
            "INSERT INTO notification_heads (user_id, seq) VALUES ($1, 0) ON CONFLICT (user_id) DO UPDATE SET seq = 0",
            ann,
        )
        waiting = asyncio.create_task(scene.ownership.moved_outside(seen, NOW))
        await until_blocked(scene.pool)
        await scene.pool.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        with pytest.raises(StoreUnavailable):
            await waiting
        await transaction.commit()
    assert brief(await scene.row(copy))[:2] == (ann, "free")
    assert await scene.reasons(copy) == ["made"]
    assert await scene.ownership.moved_outside(seen, NOW) == [copy]
    assert await told(scene, ann) == ["card_left"]


async def test_the_worker_follows_page_by_page_what_the_chain_says(scene: CustodyScene):
    ann, outside = await scene.person(), address()
    copies = [await scene.copy(ann) for _ in range(3)]
    moving = await scene.copy(ann)
    await scene.put_up(moving)
    for copy in (copies[1], moving):
        scene.chain.held[await scene.asset(copy)] = outside
    job = FollowOwnership(scene.ownership, scene.chain, lambda: NOW)
    for _ in range(2):
        await job.run([])
    owners = [(await scene.row(copy)).owner_id for copy in [*copies, moving]]
    assert owners == [ann, NOBODY, ann, ann]
    assert await scene.reasons(copies[1]) == ["made", "outside"]


async def test_only_known_reasons_are_in_the_provenance(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    with pytest.raises(asyncpg.CheckViolationError):
        await scene.pool.execute(
            "INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner) VALUES ($1, 2, 1, 'stolen', 1, 2)",
            copy,
        )
