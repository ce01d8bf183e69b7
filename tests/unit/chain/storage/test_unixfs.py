"""Files and directories as trees of blocks, against trees that kubo built."""

import hashlib
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given
from hypothesis import strategies as st

from chain.storage.cids import DAG_PB, RAW, Cid
from chain.storage.unixfs import (
    CHUNK_BYTES,
    LINKS_MAX,
    DirectoryTooLarge,
    FileTree,
    Node,
    directory_node,
    file_cid,
    file_node,
)


def blocks_of(content: bytes) -> tuple[Node, list[tuple[Cid, bytes]]]:
    blocks: list[tuple[Cid, bytes]] = []
    return file_node(content, lambda cid, block: blocks.append((cid, block))), blocks


def test_a_directory_has_the_id_that_kubo_gives_it():
    # kubo: test/sharness/t0114-gateway-subdomains/README.md, `ipfs add -Qr --cid-version 1 testdirlisting`.
    text_file = file_node(b"I am a txt file\n")
    ipns = directory_node({"bar": file_node(b"text-file-content\n")})
    root = directory_node(
        {
            "hello": file_node(b"hello\n"),
            "ipfs": directory_node({"ipns": ipns, "file.txt": text_file}),
            "api": directory_node({"file.txt": text_file}),
        }
    )
    assert root.cid.text == "bafybeiht6dtwk3les7vqm6ibpvz6qpohidvlshsfyr7l5mpysdw2vmbbhe"
    assert directory_node({}).cid.text == "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES])
def test_a_file_of_one_chunk_is_a_raw_block(size: int):
    content = b"x" * size
    node, blocks = blocks_of(content)
    assert node == Node(Cid(RAW, hashlib.sha256(content).digest()), size, size)
    assert blocks == [(node.cid, content)]


@pytest.mark.parametrize(
    ("chunks", "parents"), [(2, 1), (LINKS_MAX, 1), (LINKS_MAX + 1, 3), (2 * LINKS_MAX, 3), (2 * LINKS_MAX + 1, 4)]
)
def test_a_larger_file_is_a_balanced_tree(chunks: int, parents: int):
    node, blocks = blocks_of(bytes(chunks * CHUNK_BYTES))
    kinds = [cid.codec for cid, _ in blocks]
    assert (kinds.count(RAW), kinds.count(DAG_PB)) == (chunks, parents)
    assert node.size == chunks * CHUNK_BYTES
    # Each block is counted where it is linked.
    assert node.tree_bytes == sum(len(block) for _, block in blocks)
    assert node.cid == blocks[-1][0]


@given(st.lists(st.integers(0, 3 * CHUNK_BYTES), max_size=4))
def test_the_id_does_not_depend_on_how_the_content_comes(cuts: list[int]):
    content = bytes(range(256)) * (3 * CHUNK_BYTES // 256) + b"end"
    places = [0, *sorted(cuts), len(content)]
    tree = FileTree()
    for first, last in pairwise(places):
        tree.feed(content[first:last])
    assert tree.finish().cid == file_cid(content)


def test_a_directory_that_kubo_would_shard_is_refused():
    node = file_node(b"x")
    with pytest.raises(DirectoryTooLarge):
        directory_node({f"{number:032}.json": node for number in range(4_000)})


@pytest.mark.parametrize(
    ("mebibytes", "text"),
    [
        (LINKS_MAX, "bafybeigwduxcf2aawppv3isnfeshnimkyplvw3hthxjhr2bdeje4tdaicu"),
        (LINKS_MAX + 1, "bafybeidhd7lo2n2v7lta5yamob3xwhbxcczmmtmhquwhjesi35jntf7mpu"),
    ],
)
def test_a_tree_is_the_one_that_kubo_builds(mebibytes: int, text: str):
    """kubo: test/cli/add_test.go, profile test-cid-v1 (chunks of 1 MiB), one level of the tree and two.

    Its content is the key stream of ChaCha20 under the hash of a seed.
    """
    key = hashlib.sha256(b"v1-seed").digest()
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor()
    tree, mebibyte = FileTree(chunk_bytes=1 << 20), bytes(1 << 20)
    for _ in range(mebibytes):
        tree.feed(stream.update(mebibyte))
    assert tree.finish().cid.text == text
