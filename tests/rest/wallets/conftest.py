"""A chain for the tests of a module, and where its wallets are."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.chain_process import ChainProcess


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wallets")


@pytest.fixture(scope="module")
def chain(home: Path) -> Iterator[ChainProcess]:
    with closing(ChainProcess(home / "chain")) as mine:
        mine.start()
        yield mine
