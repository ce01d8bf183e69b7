"""Assets of Metaplex Core through the minting pool: with the program where its binary is named, else refused."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from solders.pubkey import Pubkey

from actors.minting.pool import minting_standards_of
from chain.rpc.client import ChainRpc
from chain.standards.registry import STANDARDS
from chain.wallets.platform_keys import KeySources, PlatformKeys
from persistence.postgres.pool import Pool
from tests.chain_process import ChainProcess
from tests.contracts.minting.minting_scene import MintingScene, config_of, member
from tests.svm import CORE_BINARY


async def asked(scene: MintingScene, owner: int, count: int) -> int:
    order = msgspec.structs.replace(await scene.order(owner), standard="core")
    assert await scene.requests.card(order, await scene.card(owner), count) is None
    return order.id


async def test_without_the_program_the_reason_is_told(scene: MintingScene, database_url: str):
    owner = await scene.person()
    mint = await asked(scene, owner, 2)
    keys = PlatformKeys(KeySources(scene.home / "secrets" / "chain"))
    async with member(config_of(database_url, scene.chain, scene.home), await minting_standards_of(keys)):
        finished = await scene.until_finished(mint)
    assert (finished.done, finished.poisoned) == (0, 2)
    errors = {item.error for item in await scene.mints.items(mint, 0, None, 10)}
    assert all(error for error in errors)


@pytest.fixture
def with_program(tmp_path: Path) -> Iterator[ChainProcess]:
    if CORE_BINARY not in os.environ:
        pytest.skip(f"{CORE_BINARY} names no program")
    with closing(ChainProcess(tmp_path / "core", **{CORE_BINARY: os.environ[CORE_BINARY]})) as mine:
        mine.start()
        yield mine


async def test_with_the_program_each_owner_has_the_assets(
    pool: Pool, with_program: ChainProcess, database_url: str, tmp_path: Path
):
    scene = MintingScene(pool, with_program, tmp_path)
    owner = await scene.person()
    mint = await asked(scene, owner, 23)
    keys = PlatformKeys(KeySources(tmp_path / "secrets" / "chain"))
    async with member(config_of(database_url, with_program, tmp_path), await minting_standards_of(keys)):
        finished = await scene.until_finished(mint)
    assert (finished.done, finished.poisoned) == (23, 0)
    addresses = [Pubkey.from_string(item.address or "") for item in await scene.mints.items(mint, 0, None, 100)]
    rpc = ChainRpc([with_program.url])
    await rpc.start()
    accounts = (await rpc.accounts(addresses, commitment="finalized")).accounts
    await rpc.stop()
    wallet = await scene.wallet(owner)
    assert all(one and STANDARDS["core"].holds(one.data, wallet, wallet) for one in accounts)
    assert len(set(addresses)) == 23
