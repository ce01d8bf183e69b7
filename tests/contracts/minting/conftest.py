"""A database and a local chain for the minting pool."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from persistence.postgres.pool import Pool
from tests.chain_process import ChainProcess
from tests.contracts.minting.minting_scene import MintingScene


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    with closing(ChainProcess(tmp_path / "chain")) as mine:
        mine.start()
        yield mine


@pytest.fixture
def scene(pool: Pool, chain: ChainProcess, tmp_path: Path) -> MintingScene:
    return MintingScene(pool, chain, tmp_path)
