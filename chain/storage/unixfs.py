"""Files and directories as trees of blocks (UnixFS), with the CIDs that ``ipfs add --cid-version=1`` gives.

Its defaults are part of the id: chunks of 256 KiB, raw leaves, a balanced tree of 174 links a node. A file of one chunk
is that raw block.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from chain.storage.cids import DAG_PB, Cid, block_cid
from chain.storage.varint import varint

CHUNK_BYTES = 262_144
LINKS_MAX = 174
# More entries than kubo puts into one block; it shards a directory whose block would be larger.
DIRECTORY_BLOCK_BYTES_MAX = 262_144

# Types of UnixFS nodes, and wire types of protocol buffers.
_DIRECTORY, _FILE = 1, 2
_INTEGER, _BYTES = 0, 2

OnBlock = Callable[[Cid, bytes], None]


class DirectoryTooLarge(ValueError):
    """The entries do not fit one block."""


class Node(NamedTuple):
    """The root of a tree. ``size``: bytes of the file; ``tree_bytes``: bytes of all its blocks."""

    cid: Cid
    size: int
    tree_bytes: int


def _ignore(_cid: Cid, _block: bytes) -> None:
    pass


class FileTree:
    """The tree of one file, fed with its content piece by piece; memory is that of a chunk and a few nodes.

    ``on_block`` gets each block when it is complete, children before their parents.
    """

    def __init__(self, on_block: OnBlock = _ignore, chunk_bytes: int = CHUNK_BYTES) -> None:
        """``chunk_bytes``: other chunks give other ids."""
        self._on_block = on_block
        self._chunk_bytes = chunk_bytes
        self._chunk = bytearray()
        # Of each level the nodes that have no parent yet, leaves first.
        self._levels: list[list[Node]] = [[]]

    def feed(self, piece: bytes) -> None:
        """The next bytes of the file, as many as there are."""
        view = memoryview(piece)
        while len(self._chunk) + len(view) >= self._chunk_bytes:
            room = self._chunk_bytes - len(self._chunk)
            self._chunk += view[:room]
            view = view[room:]
            self._leaf()
        self._chunk += view

    def finish(self) -> Node:
        """The root of the whole file. Call it once."""
        if self._chunk or self._levels == [[]]:
            self._leaf()
        level = 0
        while level < len(self._levels) - 1 or len(self._levels[level]) > 1:
            if self._levels[level]:
                self._parent(level)
            level += 1
        return self._levels[level][0]

    def _leaf(self) -> None:
        block = bytes(self._chunk)
        self._chunk.clear()
        cid = block_cid(block)
        self._on_block(cid, block)
        self._add(0, Node(cid, len(block), len(block)))

    def _add(self, level: int, node: Node) -> None:
        if level == len(self._levels):
            self._levels.append([])
        self._levels[level].append(node)
        if len(self._levels[level]) == LINKS_MAX:
            self._parent(level)

    def _parent(self, level: int) -> None:
        children = self._levels[level]
        self._levels[level] = []
        size = sum(child.size for child in children)
        data = _field(1, _FILE) + _field(3, size) + b"".join(_field(4, child.size) for child in children)
        self._add(level + 1, _node([("", child) for child in children], data, size, self._on_block))


def file_node(content: bytes, on_block: OnBlock = _ignore) -> Node:
    """The tree of a file in memory."""
    tree = FileTree(on_block)
    tree.feed(content)
    return tree.finish()


def file_cid(content: bytes) -> Cid:
    """The CID of a file in memory."""
    return block_cid(content) if len(content) <= CHUNK_BYTES else file_node(content).cid


def directory_node(entries: Mapping[str, Node], on_block: OnBlock = _ignore) -> Node:
    """A directory of these files and directories, by name. Raises DirectoryTooLarge."""
    links = sorted(entries.items(), key=lambda entry: entry[0].encode())
    return _node(links, _field(1, _DIRECTORY), 0, on_block)


def _node(links: Iterable[tuple[str, Node]], data: bytes, size: int, on_block: OnBlock) -> Node:
    links = list(links)
    # The links (field 2) stand before the data (field 1): dag-pb has one form.
    block = b"".join(_bytes_field(2, _link(name, node)) for name, node in links) + _bytes_field(1, data)
    if size == 0 and len(block) > DIRECTORY_BLOCK_BYTES_MAX:
        raise DirectoryTooLarge(f"{len(links)} entries do not fit one block")
    cid = block_cid(block, DAG_PB)
    on_block(cid, block)
    return Node(cid, size, len(block) + sum(node.tree_bytes for _, node in links))


def _link(name: str, node: Node) -> bytes:
    return _bytes_field(1, node.cid.binary) + _bytes_field(2, name.encode()) + _field(3, node.tree_bytes)


def _field(number: int, value: int) -> bytes:
    return varint(number << 3 | _INTEGER) + varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | _BYTES) + varint(len(value)) + value
