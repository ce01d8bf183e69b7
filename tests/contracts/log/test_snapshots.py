"""The snapshot store's contract: on PostgreSQL, and on the twin that unit tests use."""

import itertools

import pytest

from persistence.log.snapshots import Snapshot, SnapshotStore
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool, close_pool, open_pool
from tests.memory.snapshots import MemorySnapshots

_auctions = itertools.count(1)

Store = SnapshotStore | MemorySnapshots


@pytest.fixture(params=["postgresql", "memory"])
def store(request: pytest.FixtureRequest) -> Store:
    return MemorySnapshots() if request.param == "memory" else SnapshotStore(request.getfixturevalue("pool"))


def snapshot(auction: int, seq: int, state: bytes = b"state") -> Snapshot:
    return Snapshot(auction, "auction", seq, epoch=1, at=seq * 10, hash=bytes([seq]) * 32, state=state)


async def test_what_was_never_saved_is_not_there(store: Store):
    assert await store.load(next(_auctions)) is None


async def test_many_are_saved_at_once_and_loaded_as_they_were(store: Store):
    wanted = [snapshot(next(_auctions), seq, b"\x00\xff" * seq) for seq in range(1, 30)]
    await store.save(wanted)
    assert [await store.load(s.entity) for s in wanted] == wanted


async def test_those_that_are_there_are_loaded_together(store: Store):
    wanted = [snapshot(next(_auctions), seq) for seq in range(1, 30)]
    await store.save(wanted)
    missing = next(_auctions)
    assert await store.load_many([missing, *[s.entity for s in wanted]]) == {s.entity: s for s in wanted}
    assert await store.load_many([missing]) == {}
    assert await store.load_many([]) == {}


async def test_a_newer_one_replaces_an_older(store: Store):
    auction = next(_auctions)
    await store.save([snapshot(auction, 1)])
    await store.save([snapshot(auction, 2, b"later")])
    assert await store.load(auction) == snapshot(auction, 2, b"later")


async def test_an_older_one_never_replaces_a_newer(store: Store):
    auction = next(_auctions)
    await store.save([snapshot(auction, 5)])
    await store.save([snapshot(auction, 4, b"late to come"), snapshot(next(_auctions), 1)])
    assert await store.load(auction) == snapshot(auction, 5)


async def test_saving_the_same_one_again_changes_nothing(store: Store):
    auction = next(_auctions)
    await store.save([snapshot(auction, 5)])
    await store.save([snapshot(auction, 5, b"other")])
    assert await store.load(auction) == snapshot(auction, 5)


async def test_without_a_database_it_is_unavailable(database_url_pool: Pool):
    gone = SnapshotStore(database_url_pool)
    await close_pool(database_url_pool)
    with pytest.raises(StoreUnavailable):
        await gone.load(1)
    with pytest.raises(StoreUnavailable):
        await gone.save([snapshot(1, 1)])


@pytest.fixture
async def database_url_pool(database_url: str) -> Pool:
    return await open_pool(database_url, size_max=1)
