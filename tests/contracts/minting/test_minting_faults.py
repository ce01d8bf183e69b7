"""Drops, rollbacks and the death of everything at any moment: each copy is minted once, to its owner."""

import asyncio
import random
from contextlib import suppress

from domain.ids import id_text
from persistence.postgres.pool import Pool
from tests.contracts.minting.minting_scene import STANDARD, MintingScene, config_of, member

COPIES = 40
COUNT = "SELECT count(*) FROM chain_transactions"


async def minted_once(scene: MintingScene, owner: int, mint: int) -> None:
    """Compare what the chain says with what was asked for."""
    items = await scene.mints.items(mint, 0, None, 1_000)
    expected = {STANDARD.asset_address(scene.authority, id_text(item.copy)): 1 for item in items}
    assert scene.on_chain(await scene.wallet(owner)) == expected


async def test_half_of_all_sends_dropped_and_the_member_killed_again_and_again(scene: MintingScene, database_url: str):
    owner, dice = await scene.person(), random.Random(7)
    scene.chain.call("ece_setFaults", {"dropRate": 0.5, "loseAnswerRate": 0.1})
    mint = await scene.asked(owner, COPIES)
    for life in range(12):
        async with member(config_of(database_url, scene.chain, scene.home, life % 3)):
            await asyncio.sleep(dice.uniform(0.0, 0.5))
    async with member(config_of(database_url, scene.chain, scene.home)):
        finished = await scene.until_finished(mint)
    assert (finished.done, finished.poisoned) == (COPIES, 0)
    await minted_once(scene, owner, mint)


async def test_two_members_share_the_work_while_the_chain_rolls_back(scene: MintingScene, database_url: str):
    owner = await scene.person()
    mint = await scene.asked(owner, COPIES)
    rolled_back = 0
    async with (
        member(config_of(database_url, scene.chain, scene.home, 0)),
        member(config_of(database_url, scene.chain, scene.home, 1)),
    ):
        finishing = asyncio.create_task(scene.until_finished(mint))
        for _ in range(10):
            await asyncio.sleep(0.3)
            with suppress(AssertionError):
                rolled_back += len(await asyncio.to_thread(scene.chain.call, "ece_rollBack", 12))
        finished = await finishing
    assert rolled_back > 0, "the test has rolled nothing back"
    assert (finished.done, finished.poisoned) == (COPIES, 0)
    await minted_once(scene, owner, mint)


async def test_a_collection_that_is_rolled_back_under_its_first_copies_is_created_again(
    scene: MintingScene, database_url: str
):
    owner, rolled_back = await scene.person(), 0
    async with member(config_of(database_url, scene.chain, scene.home)):
        for _ in range(3):
            mint = await scene.asked(owner, 9)
            await scene.until_there(
                "SELECT count(*) FROM chain_jobs c JOIN chain_jobs m ON m.after_job = c.job_id"
                f" WHERE m.mint_id = {mint} AND m.state = 'signed' AND c.state = 'signed'"
            )
            rolled_back += len(await asyncio.to_thread(scene.chain.call, "ece_rollBack", 20))
            finished = await scene.until_finished(mint)
            assert (finished.done, finished.poisoned) == (9, 0)
            items = await scene.mints.items(mint, 0, None, 100)
            held = scene.on_chain(await scene.wallet(owner))
            assert {str(asset): held[asset] for asset in held if str(asset) in {one.address for one in items}} == {
                item.address: 1 for item in items
            }
    assert rolled_back > 0, "the test has rolled nothing back"


async def test_the_chain_is_killed_while_transactions_are_in_flight(scene: MintingScene, database_url: str):
    owner = await scene.person()
    mint = await scene.asked(owner, COPIES)
    async with member(config_of(database_url, scene.chain, scene.home)):
        for _ in range(3):
            await asyncio.sleep(0.4)
            scene.chain.kill()
            await asyncio.to_thread(scene.chain.start)
        finished = await scene.until_finished(mint)
    assert (finished.done, finished.poisoned) == (COPIES, 0)
    await minted_once(scene, owner, mint)


async def test_expired_transactions_are_signed_again_and_a_copy_is_not_minted_twice(
    scene: MintingScene, database_url: str
):
    owner = await scene.person()
    scene.chain.call("ece_setFaults", {"dropRate": 1.0})
    mint = await scene.asked(owner, COPIES)
    async with member(config_of(database_url, scene.chain, scene.home)):
        await scene.until_there(f"{COUNT} WHERE state = 'signed'")
        scene.chain.call("ece_advance", 200)
        await scene.until_there(f"{COUNT} WHERE state = 'expired'")
        scene.chain.call("ece_setFaults", {"dropRate": 0.0})
        finished = await scene.until_finished(mint)
    assert (finished.done, finished.poisoned) == (COPIES, 0)
    await minted_once(scene, owner, mint)


async def test_what_is_on_the_chain_already_is_found_and_not_minted_again(
    scene: MintingScene, database_url: str, pool: Pool
):
    """As after a restore of the database: the jobs are queued, and the chain has what they do."""
    owner = await scene.person()
    mint = await scene.asked(owner, 6)
    async with member(config_of(database_url, scene.chain, scene.home)):
        await scene.until_finished(mint)
    await pool.execute("UPDATE assets SET state = 'minting'")
    await pool.execute("UPDATE collections SET created_slot = NULL")
    await pool.execute("UPDATE mints SET done = 0")
    await pool.execute(
        "UPDATE chain_jobs SET state = 'queued', attempts = 0, transaction_id = NULL, not_before ="
        " CASE kind WHEN 'mint' THEN 9223372036854775807 ELSE 0 END"
    )
    async with member(config_of(database_url, scene.chain, scene.home)):
        finished = await scene.until_finished(mint)
    assert (finished.done, finished.poisoned) == (6, 0)
    await minted_once(scene, owner, mint)


async def test_a_job_that_fails_on_the_chain_is_found_and_the_others_are_minted(
    scene: MintingScene, database_url: str, pool: Pool
):
    """One of the copies has a collection that is none."""
    owner = await scene.person()
    good = await scene.asked(owner, 11)
    async with member(config_of(database_url, scene.chain, scene.home)):
        await scene.until_finished(good)
        bad = await scene.asked(owner, 1)
        await scene.until_finished(bad)
    again = await scene.asked(owner, 9)
    await pool.execute(
        "UPDATE collections SET address = (SELECT address FROM assets WHERE address IS NOT NULL LIMIT 1),"
        " created_slot = 1 WHERE set_id = (SELECT set_id FROM cards JOIN copies USING (card_id) JOIN assets USING"
        " (copy_id) JOIN chain_jobs USING (job_id) WHERE chain_jobs.mint_id = $1 LIMIT 1)",
        again,
    )
    await pool.execute("UPDATE chain_jobs SET state = 'done' WHERE state = 'queued' AND kind = 'create_collection'")
    await pool.execute("UPDATE chain_jobs SET not_before = 0 WHERE state = 'queued'")
    rest = await scene.asked(owner, 8)
    async with member(config_of(database_url, scene.chain, scene.home)):
        broken, whole = await scene.until_finished(again), await scene.until_finished(rest)
    assert (broken.done, broken.poisoned, broken.state) == (0, 9, "failed")
    assert (whole.done, whole.poisoned) == (8, 0)
    reasons = {item.error for item in await scene.mints.items(again, 0, "poisoned", 100)}
    assert all("InstructionError" in (reason or "") for reason in reasons), reasons
