"""From a request to its owner's wallet on the chain."""

import msgspec

from domain.ids import id_text
from persistence.chain.jobs import ChainJobs
from persistence.chain.rows import ChainJobRow
from persistence.log.anchors import ANCHOR, AnchorOrder
from persistence.postgres.pool import Pool
from tests.contracts.minting.minting_scene import STANDARD, MintingScene, config_of, member

SLOTS_TO_FINALITY = 32


def memo_job(number: int) -> ChainJobRow:
    return ChainJobRow(ANCHOR, id_text(number), msgspec.json.encode(AnchorOrder("x" * (550 + number))))


async def test_copies_are_minted_to_their_owners_wallet_once_each(scene: MintingScene, database_url: str):
    owner = await scene.person()
    mint = await scene.asked(owner, 23)
    async with member(config_of(database_url, scene.chain, scene.home)):
        finished = await scene.until_finished(mint)
    assert (finished.state, finished.done, finished.poisoned) == ("done", 23, 0)
    items = await scene.mints.items(mint, 0, None, 100)
    assert {item.state for item in items} == {"done"}
    expected = {STANDARD.asset_address(scene.authority, id_text(item.copy)): 1 for item in items}
    assert scene.on_chain(await scene.wallet(owner)) == expected
    assert {item.address for item in items} == {str(address) for address in expected}


async def test_the_first_copies_of_a_set_do_not_wait_for_the_finality_of_its_collection(
    scene: MintingScene, database_url: str, pool: Pool
):
    mint = await scene.asked(await scene.person(), 6)
    async with member(config_of(database_url, scene.chain, scene.home)):
        finished = await scene.until_finished(mint)
    assert (finished.done, finished.poisoned) == (6, 0)
    slots = "SELECT max(t.slot) FROM chain_transactions t JOIN chain_jobs USING (transaction_id) WHERE job_id IN ({})"
    of_copies = await pool.fetchval(slots.format("SELECT job_id FROM chain_jobs WHERE mint_id = $1"), mint)
    of_collection = await pool.fetchval(slots.format("SELECT after_job FROM chain_jobs WHERE mint_id = $1"), mint)
    assert of_collection < of_copies < of_collection + SLOTS_TO_FINALITY


async def test_anchors_go_into_what_mints_leave_free(scene: MintingScene, database_url: str, pool: Pool):
    owner, card = await scene.person(), await scene.card(await scene.person())
    await pool.execute("UPDATE cards SET creator_id = $1 WHERE card_id = $2", owner, card)
    async with member(config_of(database_url, scene.chain, scene.home)):
        await scene.until_finished(await scene.asked(owner, 1, card))
    await pool.execute("DELETE FROM chain_jobs WHERE kind = 'anchor'")
    await ChainJobs(pool).add([memo_job(number) for number in range(6)])
    mint = await scene.asked(owner, 22, card)
    async with member(config_of(database_url, scene.chain, scene.home)):
        await scene.until_finished(mint)
        await scene.until_there("SELECT count(*) = 6 FROM chain_jobs WHERE kind = 'anchor' AND state = 'done'")
    kinds = await pool.fetch(
        "SELECT array_agg(kind ORDER BY kind) AS kinds FROM chain_jobs WHERE mint_id = $1 OR kind = 'anchor'"
        " GROUP BY transaction_id",
        mint,
    )
    mints = sorted(one["kinds"].count("mint") for one in kinds)
    assert sum(mints) == 22
    # Full ones, and one with the rest: as many as without anchors.
    assert mints[1:] == [mints[-1]] * (len(mints) - 1)
    assert sum("anchor" in one["kinds"] for one in kinds) > 0
