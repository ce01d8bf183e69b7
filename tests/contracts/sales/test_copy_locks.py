"""Copies are locked for entities: one entity has a copy, and what has left its owner or is listed is nobody's."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from domain.errors import COPY_NOT_FREE
from persistence.postgres.pool import Pool
from persistence.sales.copy_locks import CopyLocks
from persistence.sales.listings import CopyRefusal, Locked
from tests.contracts.sales.sale_scenes import NOW, Scene

TRADE, OTHER = 7_300_000_000_000_001, 7_300_000_000_000_002
RACES = 20


@pytest.fixture
async def locks(database_url: str) -> AsyncIterator[CopyLocks]:
    store = CopyLocks(database_url)
    yield store
    await store.close()


async def place_of(pool: Pool, copy: int) -> tuple[str, int | None]:
    row = await pool.fetchrow("SELECT place, locked_by FROM copies WHERE copy_id = $1", copy)
    return row[0], row[1]


async def test_a_locked_copy_is_the_entitys_until_it_is_unlocked(pool: Pool, locks: CopyLocks):
    scene = Scene(pool)
    ann = await scene.person()
    [copy] = await scene.copies_for(ann, 1)
    assert await locks.lock([(TRADE, ann, copy)], NOW) == set()
    # Again, as after an append whose outcome was lost.
    assert await locks.lock([(TRADE, ann, copy)], NOW) == set()
    assert await locks.lock([(OTHER, ann, copy)], NOW) == {0}
    assert await locks.locked_by([TRADE, OTHER]) == [(TRADE, ann, copy)]
    await locks.unlock({(OTHER, ann, copy): NOW})
    assert await place_of(pool, copy) == ("trade", TRADE)
    await locks.unlock({(TRADE, ann, copy): NOW})
    assert await place_of(pool, copy) == ("free", None)


async def test_an_unlock_that_is_late_leaves_what_was_locked_again_since(pool: Pool, locks: CopyLocks):
    scene = Scene(pool)
    ann = await scene.person()
    [copy] = await scene.copies_for(ann, 1)
    for at_ms in (NOW, NOW + 10):
        assert await locks.lock([(TRADE, ann, copy)], at_ms) == set()
    await locks.unlock({(TRADE, ann, copy): NOW + 5})
    assert await place_of(pool, copy) == ("trade", TRADE)


async def test_what_is_not_its_owners_or_not_there_is_not_locked_and_the_rest_is(pool: Pool, locks: CopyLocks):
    scene = Scene(pool)
    ann, bob = await scene.person(), await scene.person()
    [mine, given] = await scene.copies_for(ann, 2)
    await scene.copies.give(given, ann, bob, NOW)
    wanted = [(TRADE, ann, given), (TRADE, ann, mine), (TRADE, ann, 5)]
    assert await locks.lock(wanted, NOW) == {0, 2}
    assert await place_of(pool, given) == ("free", None)
    assert await place_of(pool, mine) == ("trade", TRADE)


async def test_of_two_that_want_a_copy_in_one_call_the_first_has_it(pool: Pool, locks: CopyLocks):
    scene = Scene(pool)
    ann = await scene.person()
    [copy] = await scene.copies_for(ann, 1)
    assert await locks.lock([(TRADE, ann, copy), (OTHER, ann, copy)], NOW) == {1}
    assert await place_of(pool, copy) == ("trade", TRADE)


async def test_a_copy_in_a_trade_can_not_be_listed_or_given(pool: Pool, locks: CopyLocks):
    scene = Scene(pool)
    ann, bob = await scene.person(), await scene.person()
    [copy] = await scene.copies_for(ann, 1)
    await locks.lock([(TRADE, ann, copy)], NOW)
    assert await scene.listings.lock(OTHER, ann, [copy], NOW) == CopyRefusal(COPY_NOT_FREE, copy)
    assert await scene.copies.give(copy, ann, bob, NOW) == CopyRefusal(COPY_NOT_FREE, copy)


async def test_a_listing_and_two_trades_at_once_leave_a_copy_with_one_of_them(pool: Pool, database_url: str):
    scene = Scene(pool)
    ann = await scene.person()
    stores = [CopyLocks(database_url) for _ in range(2)]
    copies = await scene.copies_for(ann, RACES)
    try:
        for number, copy in enumerate(copies):
            first, second, listed = await asyncio.gather(
                stores[0].lock([(TRADE, ann, copy)], NOW),
                stores[1].lock([(OTHER, ann, copy)], NOW),
                scene.listings.lock(TRADE + 1_000 + number, ann, [copy], NOW),
            )
            assert [not first, not second, isinstance(listed, Locked)].count(True) == 1
    finally:
        for store in stores:
            await store.close()


async def test_locks_of_many_copies_in_any_order_do_not_block_each_other_for_ever(pool: Pool, database_url: str):
    scene = Scene(pool)
    ann = await scene.person()
    copies = await scene.copies_for(ann, 10)
    stores = [CopyLocks(database_url) for _ in range(2)]
    try:
        for _ in range(RACES):
            failed = await asyncio.gather(
                stores[0].lock([(TRADE + 10, ann, copy) for copy in copies], NOW),
                stores[1].lock([(OTHER + 10, ann, copy) for copy in reversed(copies)], NOW),
            )
            held = await stores[0].locked_by([TRADE + 10, OTHER + 10])
            assert len(held) == len(copies)
            assert sum(len(one) for one in failed) == len(copies)
            await stores[0].unlock(dict.fromkeys(held, NOW))
    finally:
        for store in stores:
            await store.close()
