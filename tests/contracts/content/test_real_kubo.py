"""Content ids and pins against a real Kubo. Skipped unless KUBO_BINARY names its program (`ipfs`)."""

import asyncio
import os
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chain.storage.car import CarOfFile, car_header
from chain.storage.cids import Cid
from chain.storage.remotes.http import RemoteHttp
from chain.storage.remotes.kubo import KuboNode
from chain.storage.unixfs import CHUNK_BYTES, LINKS_MAX, file_cid

BINARY = os.environ.get("KUBO_BINARY")
pytestmark = pytest.mark.skipif(BINARY is None, reason="KUBO_BINARY does not name the program of a Kubo node")
CHUNK = random.Random(7).randbytes(CHUNK_BYTES)


class Node:
    """A node of its own, offline, with its API on a free port."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._environment = {**os.environ, "IPFS_PATH": str(path)}
        self.run("init", "--profile=test")

    def run(self, *arguments: str, content: bytes | None = None) -> bytes:
        command = [str(BINARY), *arguments]
        return subprocess.run(command, input=content, capture_output=True, env=self._environment, check=True).stdout

    @property
    def url(self) -> str:
        """As the daemon writes it: ``/ip4/127.0.0.1/tcp/PORT``."""
        return f"http://127.0.0.1:{(self._path / 'api').read_text().strip().rsplit('/', 1)[-1]}"

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([str(BINARY), "daemon", "--offline"], env=self._environment, stdout=subprocess.PIPE)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("kubo"))
    daemon = node.start()
    assert daemon.stdout is not None
    for line in daemon.stdout:
        if b"Daemon is ready" in line:
            break
    yield node
    daemon.terminate()
    daemon.communicate(timeout=20)


FULL = LINKS_MAX * CHUNK_BYTES


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, FULL, FULL + 1])
def test_a_file_has_the_id_that_kubo_gives_it(node: Node, size: int):
    content = (CHUNK * (size // CHUNK_BYTES + 1))[:size]
    added = node.run("add", "-Q", "--cid-version=1", "--pin=false", content=content)
    assert added.decode().strip() == file_cid(content).text


async def test_an_imported_file_is_pinned_and_given_back(node: Node):
    contents = [b"a document", CHUNK * 3 + b"end"]
    roots = [file_cid(content) for content in contents]
    http = RemoteHttp()
    await KuboNode(http, node.url).import_car(roots, car_of(roots, contents))
    await http.close()
    pinned = (await asyncio.to_thread(node.run, "pin", "ls", "--type=recursive", "-q")).decode().split()
    assert {root.text for root in roots} <= set(pinned)
    for root, content in zip(roots, contents, strict=True):
        assert await asyncio.to_thread(node.run, "cat", root.text) == content


async def car_of(roots: list[Cid], contents: list[bytes]) -> AsyncIterator[bytes]:
    yield car_header(roots)
    for content in contents:
        car = CarOfFile()
        yield car.feed(content)
        yield car.finish()[1]
