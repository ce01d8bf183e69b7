"""A local chain of each test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chain_scene import Scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    mine = Scene(tmp_path / "chain")
    await mine.open()
    yield mine
    await mine.close()
