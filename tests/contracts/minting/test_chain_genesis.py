"""A database belongs to the first chain that was used with it; another one is refused, and can be adopted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey
from typer.testing import CliRunner

from actors.minting.chain_access import pin_in
from chain.rpc.client import ChainRpc
from chain.rpc.errors import ChainUnavailable, ForeignChain
from ece.cli import app
from ece.commands.chain.status import chain_state
from persistence.chain.genesis import ChainGenesis
from persistence.chain.jobs import ChainJobs
from persistence.chain.rows import ChainJobRow, SignedRow
from persistence.identity.store import UserStore
from persistence.postgres.pool import Pool
from persistence.wallets.swap_rows import CREATE_NONCE
from persistence.wallets.swap_sending import nonce_created
from tests.chain_process import ChainProcess
from tests.contracts.minting.minting_scene import MintingScene, config_of, member

OTHER = str(Hash(b"\x07" * 32))


@pytest.fixture(autouse=True)
async def no_chain_yet(pool: Pool) -> AsyncIterator[None]:
    await pool.execute("DELETE FROM chain_genesis; TRUNCATE unanchored")
    yield
    await pool.execute("DELETE FROM chain_genesis")


async def ended(pool: Pool, entity: int) -> None:
    await pool.execute(
        "INSERT INTO entities (entity_id, kind, slot, ended, epoch, seq) VALUES ($1, 'auction', 0, true, 1, 3)", entity
    )


async def noted(pool: Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM unanchored WHERE entity_id < 100")
    return count


@pytest.fixture
async def entities(pool: Pool) -> AsyncIterator[None]:
    yield
    await pool.execute("DELETE FROM entities WHERE entity_id < 100")


async def test_the_first_chain_is_the_chain_whoever_else_comes(pool: Pool):
    store = ChainGenesis(pool)
    others = [str(Hash(bytes([number] * 32))) for number in range(4)]
    assert await store.known() is None
    pinned = set(await asyncio.gather(*map(store.pin, others)))
    assert len(pinned) == 1
    assert pinned == {await store.known()}


@pytest.mark.usefixtures("entities")
async def test_what_ends_is_noted_once_there_is_a_chain_and_what_ended_before_with_it(pool: Pool):
    await ended(pool, 1)
    assert await noted(pool) == 0
    await ChainGenesis(pool).pin(OTHER)
    assert await noted(pool) == 1
    await ended(pool, 2)
    assert await noted(pool) == 2


@pytest.mark.usefixtures("entities")
async def test_what_ends_while_the_chain_is_pinned_is_not_missed(pool: Pool):
    async with pool.acquire() as connection:
        ending = connection.transaction()
        await ending.start()
        await connection.execute(
            "INSERT INTO entities (entity_id, kind, slot, ended, epoch, seq) VALUES (3, 'auction', 0, true, 1, 3)"
        )
        pinning = asyncio.create_task(ChainGenesis(pool).pin(OTHER))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'entities'::regclass"
        async with asyncio.timeout(10):
            waiting = 0
            while not waiting:
                await asyncio.sleep(0.01)
                waiting = await pool.fetchval(waits)
        await ending.commit()
    assert await pinning == OTHER
    assert await noted(pool) == 1


async def test_a_client_pins_the_chain_and_refuses_another_one(pool: Pool, database_url: str, tmp_path: Path):
    with closing(ChainProcess(tmp_path / "one")) as one, closing(ChainProcess(tmp_path / "two")) as two:
        for chain in (one, two):
            chain.start()
        first, second = (ChainRpc([chain.url], pin=pin_in(database_url)) for chain in (one, two))
        for rpc in (first, second):
            await rpc.start()
        try:
            genesis = await first.genesis_hash()
            assert await ChainGenesis(pool).known() == genesis
            with pytest.raises(ForeignChain, match=genesis):
                await second.slot("processed")
        finally:
            await first.stop()
            await second.stop()
        state = await chain_state([two.url], genesis)
        assert (state.slot, state.endpoints[0].state, state.pinned) == (None, "foreign", genesis)


async def test_without_the_database_nothing_is_believed(chain: ChainProcess):
    rpc = ChainRpc([chain.url], pin=pin_in("postgresql://nobody@127.0.0.1:1/none"))
    await rpc.start()
    try:
        with pytest.raises(ChainUnavailable):
            await rpc.slot("processed")
    finally:
        await rpc.stop()


async def test_an_operator_can_have_it_belong_to_another_chain(pool: Pool, database_url: str, chain: ChainProcess):
    await pool.execute("DELETE FROM assets; DELETE FROM collections; DELETE FROM chain_jobs")
    jobs = ChainJobs(pool)
    await ChainGenesis(pool).pin(OTHER)
    await jobs.add([ChainJobRow("k", "1")])
    [job] = await jobs.claim({"k": 1}, "a")
    assert job.claim is not None
    await jobs.store_signed(job.claim, [SignedRow("of the old chain", b"raw", "payer", 9, (job.id,))], "a")
    settings = {"ECE_DATABASE_URL": database_url, "ECE_SOLANA_RPC_URL": chain.url, "COLUMNS": "200"}
    looked = await asyncio.to_thread(CliRunner().invoke, app, ["chain", "status"], env=settings)
    assert f"This database belongs to the chain {OTHER}" in looked.output
    result = await asyncio.to_thread(CliRunner().invoke, app, ["chain", "adopt", "--yes"], env=settings)
    assert result.exit_code == 0, result.output
    assert "1 jobs will be signed again; 0 cards were minted" in result.output
    assert await ChainGenesis(pool).known() == chain.call("getGenesisHash")
    assert [tuple(row) for row in await pool.fetch("SELECT state, transaction_id FROM chain_jobs")] == [
        ("queued", None)
    ]
    again = await asyncio.to_thread(CliRunner().invoke, app, ["chain", "adopt"], env=settings)
    assert "Nothing to do" in again.output


async def test_collections_are_created_again_on_the_chain_that_was_adopted(
    pool: Pool, database_url: str, scene: MintingScene, tmp_path: Path
):
    owner, store = await scene.person(), ChainGenesis(pool)
    card = await scene.card(owner)
    await store.pin(OTHER)
    async with member(config_of(database_url, scene.chain, scene.home)):
        await scene.until_finished(await scene.asked(owner, 2, card))
    with closing(ChainProcess(tmp_path / "new")) as new:
        new.start()
        queued, minted = await store.adopt(new.call("getGenesisHash")) or (-1, -1)
        assert (queued, minted >= 2) == (0, True)
        moved = MintingScene(pool, new, scene.home)
        async with member(config_of(database_url, new, scene.home)):
            finished = await moved.until_finished(await moved.asked(owner, 3, card))
        assert (finished.done, finished.poisoned) == (3, 0)
        assert len(moved.on_chain(await moved.wallet(owner))) == 3


async def test_nonces_are_created_again_and_wallets_read_anew_on_the_chain_that_was_adopted(pool: Pool):
    store = ChainGenesis(pool)
    await store.pin(OTHER)
    number = await pool.fetchval("INSERT INTO nonce_accounts (address, value) VALUES ('old', 'used') RETURNING number")
    await pool.execute("INSERT INTO chain_jobs (kind, key, state) VALUES ($1, $2, 'done')", CREATE_NONCE, str(number))
    user = (await UserStore(pool).create("nora", "nora@example.org", "hash")).user_id
    await pool.execute(
        "INSERT INTO custodial_wallets (user_id, address, key_id, sealed, last_signature)"
        " VALUES ($1, $2, 'k', '', 's')",
        user,
        str(Pubkey.new_unique()),
    )
    await store.adopt(str(Hash(b"\x08" * 32)))
    # A swap that wants a nonce takes none that is not there.
    nonce = "SELECT address, value FROM nonce_accounts WHERE number = $1"
    assert tuple(await pool.fetchrow(nonce, number) or ()) == (None, None)
    state = "SELECT state FROM chain_jobs WHERE kind = $1 AND key = $2"
    assert await pool.fetchval(state, CREATE_NONCE, str(number)) == "queued"
    async with pool.acquire() as connection:
        await nonce_created(connection, number, "new")
    assert tuple(await pool.fetchrow(nonce, number) or ()) == ("new", None)
    assert await pool.fetchval("SELECT last_signature FROM custodial_wallets WHERE user_id = $1", user) is None
