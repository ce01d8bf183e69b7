"""The minting pool over surfpool, a validator that others wrote."""

from contextlib import closing
from pathlib import Path

from domain.ids import id_text
from persistence.postgres.pool import Pool
from tests.contracts.minting.minting_scene import STANDARD, MintingScene, config_of, member
from tests.surfpool import Surfpool, needs_surfpool

pytestmark = needs_surfpool


async def test_copies_are_minted_to_their_owners_wallet_once_each(pool: Pool, database_url: str, tmp_path: Path):
    with closing(Surfpool()) as chain:
        scene = MintingScene(pool, chain, tmp_path)  # type: ignore[arg-type]
        owner = await scene.person()
        mint = await scene.asked(owner, 23)
        async with member(config_of(database_url, chain, tmp_path)):  # type: ignore[arg-type]
            finished = await scene.until_finished(mint)
        assert (finished.state, finished.done, finished.poisoned) == ("done", 23, 0)
        items = await scene.mints.items(mint, 0, None, 100)
        expected = {STANDARD.asset_address(scene.authority, id_text(item.copy)): 1 for item in items}
        assert scene.on_chain(await scene.wallet(owner)) == expected
