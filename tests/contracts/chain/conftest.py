"""A local chain in a process of its own."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.chain_process import ChainProcess


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    with closing(ChainProcess(tmp_path)) as mine:
        mine.start()
        yield mine
