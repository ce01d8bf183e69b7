"""The directory: who keeps which slot, since when, and what is due. On PostgreSQL, and on the twin in memory."""

import asyncio

import pytest

from domain.ledger.ids import held_for_auction
from persistence.ledger.store import Ledger
from persistence.placement.directory import (
    Claimed,
    Directory,
    DueEntity,
    Former,
    HostAddress,
    Owned,
    Registered,
    Revoked,
    Superseded,
    slot_of,
)
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool, close_pool, open_pool
from tests.memory.directory import MemoryDirectory

Store = Directory | MemoryDirectory


@pytest.fixture(params=["postgresql", "memory"])
def pool_if_any(request: pytest.FixtureRequest) -> Pool | None:
    return None if request.param == "memory" else request.getfixturevalue("pool")


@pytest.fixture
async def directory(pool_if_any: Pool | None) -> Store:
    if pool_if_any is None:
        return MemoryDirectory()
    await pool_if_any.execute("TRUNCATE hosts, slots, dedicated, auctions CASCADE")
    return Directory(pool_if_any)


@pytest.fixture
async def real_directory(pool: Pool) -> Directory:
    await pool.execute("TRUNCATE hosts, slots, dedicated, auctions CASCADE")
    return Directory(pool)


async def test_a_host_that_takes_slots_is_found_with_them(directory: Store):
    assert await directory.register("h1", "127.0.0.1", 4000, 1_000) == Registered(1)
    assert await directory.hosts() == [HostAddress("h1", 1, "127.0.0.1", 4000, 1_000, ())]
    assert await directory.claim("h1", 1, [2, 0, 1]) == Claimed({})
    assert await directory.hosts() == [HostAddress("h1", 1, "127.0.0.1", 4000, 1_000, (0, 1, 2))]


async def test_nobody_there_is_no_error(directory: Store):
    assert await directory.hosts() == []
    assert await directory.due([1, 2]) == []


async def test_a_host_that_comes_again_has_lost_its_slots_and_learns_until_when_they_were_kept(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.claim("h1", 1, [0, 1])
    assert await directory.heartbeat("h1", 1, 5_000) == Owned(frozenset({0, 1}))
    assert await directory.register("h1", "10.0.0.9", 4001, 9_000) == Registered(2, Former("h1", "127.0.0.1", 4000))
    assert await directory.hosts() == [HostAddress("h1", 2, "10.0.0.9", 4001, 9_000, ())]
    assert await directory.claim("h1", 2, [0, 1, 2]) == Claimed({0: 5_000, 1: 5_000})
    assert await directory.heartbeat("h1", 2, 9_500) == Owned(frozenset({0, 1, 2}))


async def test_slots_taken_from_a_dead_host_come_with_its_last_sign_of_life(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.claim("h1", 1, [0, 1])
    await directory.heartbeat("h1", 1, 3_000)
    await directory.register("h2", "127.0.0.1", 4001, 8_000)
    assert await directory.claim("h2", 1, [1, 2]) == Claimed({1: 3_000})
    assert await directory.hosts() == [
        HostAddress("h1", 1, "127.0.0.1", 4000, 3_000, (0,)),
        HostAddress("h2", 1, "127.0.0.1", 4001, 8_000, (1, 2)),
    ]
    assert await directory.heartbeat("h1", 1, 8_100) == Owned(frozenset({0}))


async def test_what_is_revoked_nobody_owns_until_somebody_acquires_it(directory: Store):
    for name, port in (("h1", 4000), ("h2", 4001), ("h3", 4002)):
        await directory.register(name, "127.0.0.1", port, 1_000)
    await directory.claim("h1", 1, [0, 1])
    await directory.claim("h2", 1, [2])
    first = Revoked(frozenset({Former("h1", "127.0.0.1", 4000)}), {1: ("h1", 1_000)})
    assert await directory.revoke("h2", [1, 2, 3]) == first
    assert await directory.heartbeat("h1", 1, 5_000) == Owned(frozenset({0}))
    assert [host.slots for host in await directory.hosts()] == [(0,), (2,), ()]
    # Who comes next, because the second host has died, hears of the first one as well; the first one need not.
    assert await directory.revoke("h3", [1]) == first
    assert await directory.revoke("h1", [1]) == Revoked()
    assert await directory.claim("h2", 1, [1, 2], first) == Claimed({1: 1_000, 2: 1_000})
    assert await directory.claim("h3", 1, [0, 1, 3], first) == Claimed({}, refused=frozenset({0, 1}))
    assert [host.slots for host in await directory.hosts()] == [(0,), (1, 2), (3,)]


async def test_who_has_owned_a_slot_again_since_it_was_revoked_is_not_taken_for_one_that_was_waited_for(
    directory: Store,
):
    for name in ("h1", "h2", "h3"):
        await directory.register(name, "127.0.0.1", 4000, 1_000)
    await directory.claim("h1", 1, [0])
    before = await directory.revoke("h2", [0])
    await directory.claim("h1", 1, [0], Revoked())
    await directory.heartbeat("h1", 1, 2_000)
    now = await directory.revoke("h3", [0])
    assert await directory.claim("h2", 1, [0], before) == Claimed({}, refused=frozenset({0}))
    assert await directory.claim("h3", 1, [0], now) == Claimed({0: 2_000})


async def test_a_dedicated_entity_that_is_revoked_goes_back_to_its_slot(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.register("s1", "127.0.0.1", 4001, 1_000)
    await directory.claim("h1", 1, [1])
    await directory.claim_entities("s1", 1, {77: 1})
    assert await directory.revoke("h1", [], [77]) == Revoked(frozenset({Former("s1", "127.0.0.1", 4001)}))
    assert await directory.dedicated() == {77: None}
    assert [host.entities for host in await directory.hosts()] == [(), ()]
    assert await directory.heartbeat("s1", 1, 2_000) == Owned()
    assert await directory.heartbeat("h1", 1, 2_000) == Owned(frozenset({1}), excluded=frozenset({77}))
    assert await directory.reclaim("h1", 1, [77]) == Claimed({77: 1_000})


async def test_once_an_earlier_incarnation_has_ended_nobody_is_named_for_what_it_owned(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.register("h2", "127.0.0.1", 4001, 1_000)
    await directory.claim("h1", 1, [0])
    await directory.claim_entities("h1", 1, {77: 1})
    await directory.register("h1", "127.0.0.1", 4002, 5_000)
    earlier = Revoked(frozenset({Former("h1", "127.0.0.1", 4002)}), {0: ("h1", 1_000)})
    assert await directory.revoke("h2", [0], [77]) == earlier
    await directory.free("h1", 2)
    assert await directory.revoke("h2", [0], [77]) == Revoked()
    assert await directory.dedicated() == {77: None}
    assert await directory.claim("h2", 1, [0], Revoked()) == Claimed({0: 1_000})
    with pytest.raises(Superseded):
        await directory.free("h1", 1)


async def test_an_auction_with_a_host_of_its_own_is_no_longer_with_the_host_of_its_slot(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.register("s1", "127.0.0.1", 4001, 1_000, node="n1")
    await directory.claim("h1", 1, [0, 1])
    await directory.claim_entities("s1", 1, {77: 1})
    assert await directory.hosts() == [
        HostAddress("h1", 1, "127.0.0.1", 4000, 1_000, (0, 1)),
        HostAddress("s1", 1, "127.0.0.1", 4001, 1_000, (), (77,), "n1"),
    ]
    assert await directory.dedicated() == {77: "s1"}
    assert await directory.heartbeat("h1", 1, 2_000) == Owned(frozenset({0, 1}), excluded=frozenset({77}))
    assert await directory.heartbeat("s1", 1, 2_000) == Owned(entities=frozenset({77}))
    # Whoever takes the slot over learns of it; it stays where it is.
    await directory.register("h2", "127.0.0.1", 4002, 3_000)
    taken = await directory.claim("h2", 1, [0, 1])
    assert taken == Claimed({0: 2_000, 1: 2_000}, frozenset({77}))
    assert await directory.dedicated() == {77: "s1"}


async def test_an_auction_goes_back_to_its_slot_with_its_own_hosts_last_sign_of_life(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.register("s1", "127.0.0.1", 4001, 1_000)
    await directory.claim("h1", 1, [1])
    await directory.claim_entities("s1", 1, {77: 1})
    await directory.heartbeat("s1", 1, 4_000)
    assert await directory.reclaim("h1", 1, [77]) == Claimed({77: 4_000})
    assert await directory.dedicated() == {}
    assert await directory.heartbeat("h1", 1, 5_000) == Owned(frozenset({1}))
    assert await directory.heartbeat("s1", 1, 5_000) == Owned()


async def test_an_own_host_that_comes_again_has_lost_its_auction(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.register("s1", "127.0.0.1", 4001, 1_000)
    await directory.claim("h1", 1, [1])
    await directory.claim_entities("s1", 1, {77: 1})
    await directory.heartbeat("s1", 1, 4_000)
    await directory.register("s1", "127.0.0.1", 4009, 9_000)
    assert await directory.dedicated() == {77: None}
    assert await directory.heartbeat("s1", 2, 9_500) == Owned()
    assert await directory.reclaim("h1", 1, [77]) == Claimed({77: 4_000})


async def test_what_a_host_says_of_itself_stands_in_the_directory_until_it_comes_again(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.heartbeat("h1", 1, 2_000, b'{"inbox": 7}')
    assert [host.load_report for host in await directory.hosts()] == [b'{"inbox": 7}']
    await directory.register("h1", "127.0.0.1", 4000, 3_000)
    assert [host.load_report for host in await directory.hosts()] == [b"{}"]


async def test_a_host_that_keeps_nothing_can_be_struck_off(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.register("h2", "127.0.0.1", 4001, 1_000)
    await directory.claim("h1", 1, [0])
    assert [await directory.remove_host(host) for host in ("h1", "h2", "stranger")] == [False, True, False]
    assert [host.host_id for host in await directory.hosts()] == ["h1"]


async def test_only_the_incarnation_that_is_entered_can_acquire_slots(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.register("h1", "127.0.0.1", 4001, 2_000)
    for host_id, incarnation in (("h1", 1), ("stranger", 1)):
        with pytest.raises(Superseded):
            await directory.claim(host_id, incarnation, [0])
    assert [host.slots for host in await directory.hosts()] == [()]


async def test_an_older_incarnation_is_told_that_it_is_superseded(directory: Store):
    await directory.register("h1", "127.0.0.1", 4000, 1_000)
    await directory.register("h1", "127.0.0.1", 4001, 2_000)
    with pytest.raises(Superseded):
        await directory.heartbeat("h1", 1, 3_000)
    await directory.heartbeat("h1", 2, 4_000)
    assert [host.alive_at for host in await directory.hosts()] == [4_000]


async def test_a_host_that_nobody_knows_is_superseded(directory: Store):
    with pytest.raises(Superseded):
        await directory.heartbeat("stranger", 1, 1_000)


async def test_of_incarnations_that_register_at_the_same_time_each_has_its_own_number(directory: Store):
    taken = await asyncio.gather(*(directory.register("h1", "127.0.0.1", 4000 + i, 1_000) for i in range(4)))
    incarnations = [one.incarnation for one in taken]
    assert sorted(incarnations) == [1, 2, 3, 4]
    # Each knows the one that it supersedes.
    formers = {one.incarnation: one.former for one in taken}
    ports = {incarnation: 4000 + i for i, incarnation in enumerate(incarnations)}
    assert formers == {1: None} | {n: Former("h1", "127.0.0.1", ports[n - 1]) for n in (2, 3, 4)}
    [host] = await directory.hosts()
    last = incarnations.index(4)
    assert (host.incarnation, host.port) == (4, 4000 + last)


async def test_what_is_due_is_told_by_slot(real_directory: Directory, pool: Pool):
    for entity, slot, due_at in ((1, 5, 50), (2, 5, None), (3, 6, 60), (4, 7, 70)):
        await pool.execute(
            "INSERT INTO entities (entity_id, kind, slot, due_at, ended, epoch, seq)"
            " VALUES ($1, 'auction', $2, $3, $3::bigint IS NULL, 1, 1)",
            entity,
            slot,
            due_at,
        )
    due = await real_directory.due([5, 6])
    assert sorted(due, key=lambda d: d.entity) == [DueEntity(1, 5, 50), DueEntity(3, 6, 60)]


async def test_auctions_for_which_too_much_may_be_held_are_found_by_slot(real_directory: Directory, pool: Pool):
    ledger = Ledger(pool)
    accounts = await ledger.accounts([91_001, 91_002], "USDC")
    for entity, slot, held, ended in (
        (11, 5, 2, False), (12, 5, 1, False), (13, 6, 2, False), (14, 5, 1, True), (15, 5, 0, True), (16, 6, 1, True)
    ):  # fmt: skip
        await pool.execute(
            "INSERT INTO entities (entity_id, kind, slot, ended, epoch, seq) VALUES ($1, 'auction', $2, $3, 1, 1)",
            entity, slot, ended,
        )  # fmt: skip
        for account in list(accounts.values())[:held]:
            await pool.execute(
                "INSERT INTO ledger_holds (reference, account_id, amount) VALUES ($1, $2, 5)",
                held_for_auction(entity), account,
            )  # fmt: skip
    try:
        assert await real_directory.left_held([5], 77) == [DueEntity(11, 5, 77), DueEntity(14, 5, 77)]
    finally:
        await pool.execute("DELETE FROM ledger_holds WHERE account_id = ANY($1::bigint[])", list(accounts.values()))


async def test_without_a_database_every_question_is_unavailable(database_url: str):
    pool = await open_pool(database_url, size_max=1)
    directory = Directory(pool)
    await close_pool(pool)
    for question in (
        directory.hosts(),
        directory.due([1]),
        directory.heartbeat("h1", 1, 1),
        directory.register("h1", "127.0.0.1", 1, 1),
        directory.claim("h1", 1, [1]),
    ):
        with pytest.raises(StoreUnavailable):
            await question


def test_ids_made_in_a_row_spread_over_the_slots():
    # As PostgreSQL makes them: a time that hardly moves, and a counter.
    ids = [(900_000_000 + i // 7 << 22) | i for i in range(64_000)]
    counts = [0] * 64
    for number in ids:
        counts[slot_of(number, 64)] += 1
    assert 800 < min(counts) <= max(counts) < 1_200


def test_ids_whose_counter_stands_still_spread_as_well():
    counts = [0] * 64
    for i in range(64_000):
        counts[slot_of(900_000_000 + i << 22, 64)] += 1
    assert 800 < min(counts) <= max(counts) < 1_200


@pytest.mark.parametrize("slots", [1, 7, 64])
def test_every_id_has_a_slot(slots: int):
    found = {slot_of(number, slots) for number in [0, 1, 2**63 - 1, *range(10_000)]}
    assert found == set(range(slots))
