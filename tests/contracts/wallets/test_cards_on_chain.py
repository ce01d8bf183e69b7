"""A card leaves custody on the local chain and comes back to another user: minting pool, real chain, real database."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from actors.workers.custody.card_deposits import FollowCards
from chain.rpc.client import ChainRpc
from chain.signing import LocalSigner
from chain.transactions.building import Fee, build
from chain.wallets.cipher import KeyCipher
from chain.wallets.custody import Wallets
from chain.wallets.reads import CardsOnChain
from persistence.postgres.pool import Pool
from persistence.wallets.cards import Cards, CardWithdrawal, NewCardWithdrawal
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.custody import CustodialWallets
from tests.chain_process import ChainProcess
from tests.contracts.minting.minting_scene import NOW, STANDARD, WITHIN_S, MintingScene, config_of, member

POLL_S = 0.05
FEE = Fee(200_000)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    with closing(ChainProcess(tmp_path / "chain")) as mine:
        mine.start()
        yield mine


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            if await condition():
                return
            await asyncio.sleep(POLL_S)


class CardScene:
    """A minted card of ann, and bob."""

    def __init__(self, scene: MintingScene) -> None:
        self.minting = scene
        self.pool = scene.pool
        self.cards = Cards(scene.pool, add_chain_jobs)
        self.wallets = Wallets(CustodialWallets(scene.pool), KeyCipher(lambda: ["s" * 40]))

    async def place(self, copy: int) -> tuple[str, int]:
        row = await self.pool.fetchrow("SELECT place, owner_id FROM copies WHERE copy_id = $1", copy)
        assert row is not None
        return row[0], row[1]

    async def asset(self, copy: int) -> tuple[Pubkey, Pubkey | None]:
        row = await self.pool.fetchrow("SELECT address, collection FROM assets WHERE copy_id = $1", copy)
        assert row is not None
        return Pubkey.from_string(row[0]), None if row[1] is None else Pubkey.from_string(row[1])

    async def sent(self, owner: Keypair, copy: int, to: Pubkey, rpc: ChainRpc) -> None:
        """A transfer by somebody outside, who pays for it."""
        asset, collection = await self.asset(copy)
        bundle = STANDARD.transfer(owner.pubkey(), asset, collection, owner.pubkey(), to)
        signer = LocalSigner(owner)
        signed = await build(signer, [signer], [bundle], await rpc.latest_blockhash(), FEE)
        await rpc.send(signed.raw)

    async def follow(self, rpc: ChainRpc) -> None:
        job = FollowCards(self.cards, CustodialWallets(self.pool), CardsOnChain(rpc), lambda: NOW)
        await job.run([])


async def test_a_card_goes_out_and_comes_back_to_another_user(
    pool: Pool, chain: ChainProcess, tmp_path: Path, database_url: str
):
    scene = CardScene(MintingScene(pool, chain, tmp_path))
    ann, bob = await scene.minting.person(), await scene.minting.person()
    outside = chain.funded()
    hers = await scene.wallets.custodial_address(bob)
    rpc = ChainRpc([chain.url])
    await rpc.start()
    try:
        async with member(config_of(database_url, chain, tmp_path)):
            await scene.minting.until_finished(await scene.minting.asked(ann, 1))
            copy = await pool.fetchval("SELECT copy_id FROM assets")
            id = await pool.fetchval("SELECT next_id()")
            wanted = NewCardWithdrawal(id, copy, ann, str(outside.pubkey()))
            assert isinstance(await scene.cards.withdraw(wanted, NOW), CardWithdrawal)

            async def is_sent() -> bool:
                found = await scene.cards.get(id)
                assert found is not None
                return found.state == "sent"

            await until(is_sent)
        asset, _ = await scene.asset(copy)
        assert scene.minting.on_chain(outside.pubkey())[asset] == 1
        await scene.follow(rpc)
        assert await scene.place(copy) == ("withdrawn", ann)

        await scene.sent(outside, copy, hers, rpc)

        async def is_back() -> bool:
            await scene.follow(rpc)
            return await scene.place(copy) == ("free", bob)

        await until(is_back)
        assert scene.minting.on_chain(hers)[asset] == 1
    finally:
        await rpc.stop()


async def test_nobody_holds_what_is_no_asset(chain: ChainProcess):
    rpc = ChainRpc([chain.url])
    await rpc.start()
    try:
        mint = chain.call("ece_usdcMint")
        [(holder, slot)] = await CardsOnChain(rpc).holders([mint])
        assert (holder, slot > 0) == (None, True)
        assert await CardsOnChain(rpc).holders([]) == []
    finally:
        await rpc.stop()
