"""An asset ends where its copy belongs, whatever changes meanwhile, and has one transaction in flight at most."""

import asyncio

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.minting.kinds.kind import Finished, NotYet, Ready
from persistence.jobs.store import LeaseLost
from persistence.minting.reading import Mints
from persistence.postgres.pool import Pool
from persistence.wallets.cards import CardRefusal, Cards, NewCardWithdrawal, card_sent
from persistence.wallets.chain_jobs import add_chain_jobs
from tests.contracts.minting.custody_scene import NOW, CustodyScene

STEPS = ("give", "list", "unlist", "sell", "sign", "hold", "sign what was held", "land", "expire", "record", "retry")
OUTSIDE = "11111111111111111111111111111112"


# Each copy changes hands, and goes into the vault or out of it.
_TURN = """
    UPDATE copies SET owner_id = CASE owner_id WHEN $2 THEN $3 ELSE $2 END,
        place = CASE place WHEN 'free' THEN 'listed' ELSE 'free' END,
        locked_by = CASE WHEN place = 'free' THEN 1 END, locked_at = CASE WHEN place = 'free' THEN 1 END
    FROM unnest($1::bigint[]) AS given WHERE copy_id = given
"""


@pytest.fixture
async def scene(pool: Pool) -> CustodyScene:
    # A claim is over at once, as that of an actor that has stalled.
    await pool.execute("DELETE FROM chain_jobs WHERE kind = 'move'")
    return CustodyScene(pool, claim_lease_ms=0)


async def test_a_listed_copy_goes_to_the_vault_and_then_to_the_winner(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    copy = await scene.copy(ann)
    asset = await scene.asset(copy)
    await scene.put_up(copy)
    await scene.drain()
    assert scene.chain.held[asset] == str(scene.vault.address)
    await scene.take_down(copy, bob)
    await scene.drain()
    assert scene.chain.held[asset] == await scene.wallet(bob) == (await scene.row(copy)).holder
    assert await scene.moves(copy) == ["done", "done"]
    assert (await scene.row(copy)).moving_to is None


async def test_a_change_that_moves_nothing_adds_no_job(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    copy = await scene.copy(ann)
    await scene.pool.execute("UPDATE copies SET cost = 5, provenance_seq = 1 WHERE copy_id = $1", copy)
    await scene.put_up(copy)
    # A listed copy that changes hands stays in the vault.
    await scene.pool.execute("UPDATE copies SET owner_id = $2 WHERE copy_id = $1", copy, bob)
    assert await scene.moves(copy) == ["queued"]


async def test_a_copy_in_a_trade_stays_in_the_wallet_of_its_owner(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    for place, locked in (("trade", 1), ("free", None)):
        await scene.pool.execute(
            "UPDATE copies SET place = $2, locked_by = $3, locked_at = $3 WHERE copy_id = $1", copy, place, locked
        )
    assert await scene.moves(copy) == []


async def test_a_move_waits_for_the_one_before_it(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    await scene.put_up(copy)
    [sent] = await scene.sign(await scene.prepared())
    await scene.take_down(copy)
    [waits] = await scene.prepared()
    assert isinstance(waits, NotYet)
    await scene.sign([waits])
    scene.chain.land(sent)
    await scene.record(sent)
    assert (await scene.row(copy)).holder == str(scene.vault.address)
    [back] = await scene.prepared()
    assert isinstance(back, Ready)
    assert back.detail[1] == await scene.belongs_to(copy)


async def test_all_moves_of_a_copy_that_is_where_it_belongs_are_finished_at_once(scene: CustodyScene):
    """A copy that was traded back and forth has a job for each time."""
    ann, bob = await scene.person(), await scene.person()
    copy = await scene.copy(ann)
    for to in (bob, ann) * 6:
        await scene.give(copy, to)
    prepared = await scene.prepared()
    assert [type(one) for one in prepared] == [Finished] * 12
    await scene.sign(prepared)
    assert await scene.moves(copy) == ["done"] * 12


async def test_of_several_moves_of_a_copy_only_the_last_one_is_made(scene: CustodyScene):
    people = [await scene.person() for _ in range(4)]
    copy = await scene.copy(people[0])
    for to in people[1:]:
        await scene.give(copy, to)
    prepared = await scene.prepared()
    assert [type(one) for one in prepared] == [Finished, Finished, Ready]
    assert len(await scene.sign(prepared)) == 1
    await scene.drain()
    assert (await scene.row(copy)).holder == await scene.wallet(people[-1]) == scene.chain.held[await scene.asset(copy)]
    assert await scene.moves(copy) == ["done"] * 3


async def test_moves_wait_for_an_earlier_one_that_another_actor_may_sign(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    copy = await scene.copy(ann)
    await scene.give(copy, bob)
    [first] = await scene.prepared()
    # The other actor sees where it belongs now, and the first one signs what it has prepared.
    await scene.give(copy, ann)
    await scene.pool.execute("UPDATE chain_jobs SET not_before = not_before + 600000 WHERE job_id = $1", first.job.id)
    [second] = await scene.prepared()
    assert isinstance(second, NotYet)
    await scene.sign([second])
    assert len(await scene.sign([first])) == 1
    await scene.drain()
    assert (await scene.row(copy)).holder == await scene.wallet(ann) == scene.chain.held[await scene.asset(copy)]


async def test_a_listing_that_ended_before_its_move_was_signed_needs_no_transaction(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    await scene.put_up(copy)
    await scene.take_down(copy)
    await scene.drain()
    assert scene.chain.sent == []
    assert await scene.moves(copy) == ["done", "done"]


async def test_a_transaction_that_landed_and_was_not_seen_is_not_signed_again(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    await scene.put_up(copy)
    [sent] = await scene.sign(await scene.prepared())
    scene.chain.land(sent)
    # The node whose history was searched had forgotten it.
    scene.chain.expire(sent)
    await scene.record(sent)
    [found] = await scene.prepared()
    assert found == Finished(found.job, scene.chain.slot)
    await scene.sign([found])
    row = await scene.row(copy)
    assert (row.holder, row.holder_slot, row.moving_to) == (str(scene.vault.address), scene.chain.slot, None)


async def test_a_node_that_lags_behind_does_not_take_the_slot_back(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    await scene.pool.execute(
        "UPDATE assets SET holder_slot = 500, moving_to = $2 WHERE copy_id = $1", copy, str(scene.vault.address)
    )
    scene.chain.held[await scene.asset(copy)] = str(scene.vault.address)
    await scene.put_up(copy)
    [ready] = await scene.prepared()
    assert isinstance(ready, Ready)
    assert (await scene.row(copy)).holder_slot == 500


async def test_two_actors_with_the_same_job_store_one_transaction(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    await scene.put_up(copy)
    first, second = await scene.prepared(), await scene.prepared()
    assert len(first) == len(second) == 1
    assert await scene.sign(first) == []
    assert len(await scene.sign(second)) == 1


async def test_a_job_that_is_queued_again_is_not_signed_beside_a_newer_one(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    await scene.put_up(copy)
    [old] = await scene.prepared()
    await scene.pool.execute("UPDATE chain_jobs SET state = 'poisoned' WHERE job_id = $1", old.job.id)
    await scene.take_down(copy)
    await scene.put_up(copy)
    [newest] = await scene.sign(await scene.prepared())
    # Operators queue it again; the look-up makes it wait, and the database refuses a second transaction.
    await scene.pool.execute("UPDATE chain_jobs SET state = 'queued', claim = NULL WHERE job_id = $1", old.job.id)
    again = [one for one in await scene.prepared() if one.job.id == old.job.id]
    assert [type(one) for one in again] == [NotYet]
    forced = Ready(again[0].job, old.bundle, old.signers, old.detail)  # type: ignore[union-attr]
    with pytest.raises(LeaseLost):
        await scene._signed(forced)
    scene.chain.land(newest)
    await scene.drain()
    assert scene.chain.held[await scene.asset(copy)] == str(scene.vault.address)


async def test_a_poisoned_move_is_repaired_by_a_new_job(scene: CustodyScene):
    copy = await scene.copy(await scene.person())
    await scene.put_up(copy)
    await scene.pool.execute("UPDATE chain_jobs SET state = 'poisoned' WHERE moved_copy = $1", copy)
    assert await Mints(scene.pool).retry_jobs([(await scene.pool.fetchval("SELECT max(job_id) FROM chain_jobs"))]) == 0
    assert await scene.ownership.move_again([copy]) == 1
    assert await scene.ownership.move_again([copy]) == 0
    await scene.drain()
    assert scene.chain.held[await scene.asset(copy)] == str(scene.vault.address)
    assert await scene.moves(copy) == ["poisoned", "done"]


@pytest.mark.parametrize("mint_first", [True, False])
async def test_a_copy_given_away_while_it_is_minted_ends_with_its_new_owner(scene: CustodyScene, mint_first: bool):
    ann, bob = await scene.person(), await scene.person()
    copy = await scene.copy(ann, state="minting")
    async with scene.pool.acquire() as one, scene.pool.acquire() as other:
        first, second = (scene.minted, scene.give) if mint_first else (scene.give, scene.minted)
        arguments = {scene.minted: (copy, 20), scene.give: (copy, bob)}
        transaction = one.transaction()
        await transaction.start()
        await first(*arguments[first], connection=one)
        waiting = asyncio.create_task(second(*arguments[second], connection=other))
        await until_blocked(scene.pool)
        await transaction.commit()
        await waiting
    assert await scene.moves(copy) == ["queued"]
    await scene.drain()
    assert scene.chain.held[await scene.asset(copy)] == await scene.wallet(bob)


async def test_a_copy_listed_while_it_is_minted_is_moved_to_the_vault(scene: CustodyScene):
    copy = await scene.copy(await scene.person(), state="minting")
    await scene.put_up(copy)
    assert await scene.moves(copy) == []
    await scene.minted(copy)
    await scene.drain()
    assert scene.chain.held[await scene.asset(copy)] == str(scene.vault.address)


async def test_a_copy_that_is_where_it_belongs_when_it_is_minted_is_not_moved(scene: CustodyScene):
    copy = await scene.copy(await scene.person(), state="minting")
    await scene.put_up(copy)
    await scene.take_down(copy)
    await scene.minted(copy)
    assert await scene.moves(copy) == []


async def test_a_withdrawal_and_a_move_exclude_each_other(scene: CustodyScene):
    ann = await scene.person()
    copy = await scene.copy(ann)
    cards = Cards(scene.pool, add_chain_jobs)
    await scene.put_up(copy)
    await scene.take_down(copy)
    wanted = NewCardWithdrawal(await scene.pool.fetchval("SELECT next_id()"), copy, ann, OUTSIDE)
    assert await cards.withdraw(wanted, NOW) == CardRefusal("copy_moving", copy)
    await scene.drain()
    assert not isinstance(await cards.withdraw(wanted, NOW), CardRefusal)
    # A job that is there all the same waits until the withdrawal has ended, and then has nothing to do.
    await scene.pool.execute("SELECT add_move($1, 99, NULL)", copy)
    [waits] = await scene.prepared()
    assert isinstance(waits, NotYet)
    async with scene.pool.acquire() as connection, connection.transaction():
        await card_sent(connection, wanted.id, "signature", 300, NOW)
    [done] = await scene.prepared()
    assert isinstance(done, Finished)


async def test_a_withdrawal_sees_the_moves_of_those_it_waited_for(scene: CustodyScene):
    ann = await scene.person()
    copy = await scene.copy(ann)
    wanted = NewCardWithdrawal(await scene.pool.fetchval("SELECT next_id()"), copy, ann, OUTSIDE)
    async with scene.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await scene.put_up(copy, connection=connection)
        await connection.execute(
            "UPDATE copies SET place = 'free', locked_by = NULL, locked_at = NULL WHERE copy_id = $1", copy
        )
        waiting = asyncio.create_task(Cards(scene.pool, add_chain_jobs).withdraw(wanted, NOW))
        await until_blocked(scene.pool)
        await transaction.commit()
    assert await waiting == CardRefusal("copy_moving", copy)


async def test_copies_and_their_assets_are_locked_without_deadlocks_that_stay(scene: CustodyScene):
    """Bundles that change hands in any order beside batches of the pool: all of it is done in the end."""
    ann, bob = await scene.person(), await scene.person()
    copies = [await scene.copy(ann) for _ in range(6)]
    for copy in copies:
        await scene.put_up(copy)

    async def sell(order: list[int]) -> None:
        for _ in range(5):
            await retried(scene, _TURN, order, ann, bob)

    async def work() -> None:
        for _ in range(5):
            for sent in await scene.sign(await scene.prepared()):
                scene.chain.land(sent)
                await scene.record(sent)

    await asyncio.gather(sell(copies), sell(copies[::-1]), work())
    await scene.drain()
    for copy in copies:
        assert scene.chain.held[await scene.asset(copy)] == await scene.belongs_to(copy)
    assert scene.poisoned == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), min_size=4, max_size=24))
async def test_whatever_happens_in_whatever_order_the_asset_ends_where_it_belongs(
    pool: Pool, steps: list[tuple[str, int]]
):
    await pool.execute("DELETE FROM chain_jobs WHERE kind = 'move'")
    scene = CustodyScene(pool, claim_lease_ms=0)
    people = [await scene.person() for _ in range(2)]
    copies = [await scene.copy(people[0]) for _ in range(2)]
    held: list[list[object]] = []
    for step, number in steps:
        await take(scene, step, number, people, copies[number % 2], held)
        assert await scene.signed_at_once() <= 1
    await scene.drain()
    for copy in copies:
        where = await scene.belongs_to(copy)
        row = await scene.row(copy)
        assert (scene.chain.held[await scene.asset(copy)], row.holder) == (where, where)
    assert (scene.poisoned, scene.chain.failures) == ([], 0)
    assert await pool.fetchval("SELECT count(*) FROM chain_jobs WHERE kind = 'move' AND state <> 'done'") == 0


async def take(
    scene: CustodyScene, step: str, number: int, people: list[int], copy: int, held: list[list[object]]
) -> None:
    """One step. ``held``: what actors have prepared and not signed yet."""
    free = (await scene.row(copy)).place == "free"
    waiting = [sent for sent in scene.chain.sent if sent.outcome is None]
    over = [sent for sent in scene.chain.sent if sent.outcome is not None]
    match step:
        case "give" if free:
            await scene.give(copy, people[number % 2])
        case "list" if free:
            await scene.put_up(copy)
        case "unlist" if not free:
            await scene.take_down(copy)
        case "sell" if not free:
            await scene.take_down(copy, people[number % 2])
        case "sign":
            await scene.sign(await scene.prepared())
        case "hold":
            held.append(list(await scene.prepared()))
        case "sign what was held" if held:
            await scene.sign(held.pop(number % len(held)))  # type: ignore[arg-type]
        case "land" if waiting:
            scene.chain.land(waiting[number % len(waiting)])
        case "expire" if waiting:
            scene.chain.expire(waiting[number % len(waiting)])
        case "record" if over:
            await scene.record(over[number % len(over)])
        case "retry":
            await scene.ownership.move_again([copy])


async def retried(scene: CustodyScene, statement: str, *values: object) -> None:
    while True:
        try:
            await scene.pool.execute(statement, *values)
        except asyncpg.DeadlockDetectedError:
            continue
        return


async def until_blocked(pool: Pool) -> None:
    """Somebody waits for a lock."""
    async with asyncio.timeout(10):
        while True:
            if await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                return
            await asyncio.sleep(0.01)
