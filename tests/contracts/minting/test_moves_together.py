"""The copies of a trade are moved by one transaction, where they fit."""

from itertools import pairwise

import pytest
from solders.keypair import Keypair

from actors.minting.assembler import TransactionAssembler
from actors.minting.kinds.kind import Finished, NotYet, Prepared, Ready
from chain.signing import LocalSigner
from persistence.minting.moves import MOVE
from persistence.postgres.pool import Pool
from tests.contracts.minting.custody_scene import NOW, CustodyScene

TRADE = 7_400_000_000_000_001


@pytest.fixture
async def scene(pool: Pool) -> CustodyScene:
    await pool.execute("DELETE FROM chain_jobs WHERE kind = 'move'")
    return CustodyScene(pool, claim_lease_ms=0)


async def traded(scene: CustodyScene, *legs: tuple[int, int], trade: int = TRADE) -> None:
    """(copy, receiver): all in one statement, as the execution of a trade does it."""
    await scene.pool.execute(
        "WITH moved AS (UPDATE copies c SET owner_id = g.receiver, provenance_seq = c.provenance_seq + 1"
        " FROM unnest($1::bigint[], $2::bigint[]) AS g (copy, receiver) WHERE c.copy_id = g.copy"
        " RETURNING c.copy_id, c.provenance_seq, g.receiver)"
        " INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner, source_id)"
        " SELECT copy_id, provenance_seq, $3, 'trade', 1, receiver, $4 FROM moved",
        [copy for copy, _ in legs], [receiver for _, receiver in legs], NOW, trade,
    )  # fmt: skip


async def claimed(scene: CustodyScene, jobs_max: int = 16) -> list[Prepared]:
    await scene.pool.execute("UPDATE chain_jobs SET not_before = 0 WHERE state = 'queued' AND claim IS NULL")
    jobs = await scene.jobs.claim({MOVE: jobs_max}, "an actor")
    return await scene.kind.prepare(jobs, Keypair().pubkey())


def assembler() -> TransactionAssembler:
    return TransactionAssembler(None, LocalSigner(Keypair()), [])  # type: ignore[arg-type]


async def test_the_copies_of_a_trade_are_claimed_and_packed_together(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    hers, his, other = await scene.copy(ann), await scene.copy(bob), await scene.copy(ann)
    await scene.put_up(other)
    await traded(scene, (hers, bob), (his, ann))
    ready = await claimed(scene, jobs_max=2)
    # The trade's second copy comes along, beyond the bound.
    assert [one.job.id for one in ready] == sorted(one.job.id for one in ready)
    assert len(ready) == 3
    assert all(isinstance(one, Ready) for one in ready)
    together = [one for one in ready if isinstance(one, Ready) and one.together == TRADE]
    assert {one.detail for one in together} == {(hers, await scene.wallet(bob)), (his, await scene.wallet(ann))}
    batches = assembler().pack([one for one in ready if isinstance(one, Ready)])
    assert [one for batch in batches for one in batch if one.together] == together
    assert any(set(map(id, together)) <= set(map(id, batch)) for batch in batches)


async def test_where_one_copy_has_to_wait_the_others_of_the_trade_wait_too(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    hers, his = await scene.copy(ann), await scene.copy(bob)
    await scene.put_up(hers)
    await scene.sign(await claimed(scene))
    await scene.take_down(hers)
    await traded(scene, (hers, bob), (his, ann))
    waiting = await claimed(scene)
    # The trade moves it further than the end of the listing, whose move is not made any more.
    assert [type(one) for one in waiting] == [Finished, NotYet, NotYet]
    await scene.sign(waiting)
    await scene.drain()
    assert (await scene.row(hers)).holder == await scene.wallet(bob)
    assert (await scene.row(his)).holder == await scene.wallet(ann)


async def test_copies_that_are_traded_on_before_they_are_moved_wait_for_no_other(scene: CustodyScene):
    ann, *others = [await scene.person() for _ in range(5)]
    copies = [await scene.copy(ann) for _ in range(5)]
    for number, pair in enumerate(pairwise(copies)):
        await traded(scene, *((copy, others[number]) for copy in pair), trade=TRADE + number)
    prepared = await claimed(scene)
    assert not any(isinstance(one, NotYet) for one in prepared)
    expected = [await scene.wallet(user) for user in (*others, others[-1])]
    moved = {one.detail for one in prepared if isinstance(one, Ready)}
    assert moved == set(zip(copies, expected, strict=True))
    await scene.sign(prepared)
    await scene.drain()
    assert [(await scene.row(copy)).holder for copy in copies] == expected


async def test_a_trade_that_is_too_large_for_a_transaction_is_moved_copy_by_copy(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    copies = [await scene.copy(ann) for _ in range(12)]
    await traded(scene, *((copy, bob) for copy in copies))
    ready = [one for one in await claimed(scene) if isinstance(one, Ready)]
    assert len(ready) == 12
    batches = assembler().pack(ready)
    assert len(batches) > 1
    assert sorted(one.job.id for batch in batches for one in batch) == sorted(one.job.id for one in ready)


async def test_after_a_failure_they_are_tried_apart(scene: CustodyScene):
    ann, bob = await scene.person(), await scene.person()
    hers, his = await scene.copy(ann), await scene.copy(bob)
    await traded(scene, (hers, bob), (his, ann))
    await scene.pool.execute("UPDATE chain_jobs SET batch_max = 1 WHERE together = $1", TRADE)
    ready = [one for one in await claimed(scene) if isinstance(one, Ready)]
    assert [len(batch) for batch in assembler().pack(ready)] == [1, 1]
