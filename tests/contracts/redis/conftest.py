"""A Valkey of one test."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from valkey_server import Valkey


@pytest.fixture
def directory() -> Iterator[Path]:
    # A short path: names of UNIX sockets have 107 bytes.
    made = Path(tempfile.mkdtemp(prefix="ece-v-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
async def valkey(directory: Path) -> AsyncIterator[Valkey]:
    server = Valkey(directory)
    await server.start()
    yield server
    server.kill()
