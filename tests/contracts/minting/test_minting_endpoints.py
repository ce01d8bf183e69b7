"""The minting pool with several RPC servers, of which some are down, or of another chain."""

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from chain.programs.addresses import TOKEN_2022
from domain.ids import id_text
from tests.chain_process import ChainProcess
from tests.contracts.minting.minting_scene import POLL_S, STANDARD, WITHIN_S, MintingScene, config_of, member


async def test_copies_are_minted_while_the_first_server_is_down(scene: MintingScene, database_url: str):
    owner = await scene.person()
    mint = await scene.asked(owner, 7)
    config = config_of(database_url, scene.chain, scene.home)
    async with member(replace(config, rpc_urls=("http://127.0.0.1:1", scene.chain.url))):
        finished = await scene.until_finished(mint)
    assert (finished.state, finished.done) == ("done", 7)


async def test_nothing_is_minted_on_another_chain_while_ours_is_down(
    scene: MintingScene, database_url: str, tmp_path: Path
):
    with closing(ChainProcess(tmp_path / "foreign")) as foreign:
        foreign.start()
        owner = await scene.person()
        first = await scene.asked(owner, 5)
        config = replace(config_of(database_url, scene.chain, scene.home), rpc_urls=(scene.chain.url, foreign.url))
        async with member(config) as mine:
            assert (await scene.until_finished(first)).done == 5
            scene.chain.kill()
            second = await scene.asked(owner, 5)
            async with asyncio.timeout(WITHIN_S):
                while mine.pipeline.trouble is None:  # noqa: ASYNC110
                    await asyncio.sleep(POLL_S)
            scene.chain.start()
            assert (await scene.until_finished(second)).done == 5
        assert foreign.call("getProgramAccounts", str(TOKEN_2022), {"encoding": "base64"}) == []
    items = [one for mint in (first, second) for one in await scene.mints.items(mint, 0, None, 100)]
    expected = {STANDARD.asset_address(scene.authority, id_text(item.copy)): 1 for item in items}
    assert len(expected) == 10
    assert scene.on_chain(await scene.wallet(owner)) == expected
