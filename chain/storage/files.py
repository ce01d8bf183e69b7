"""Files of content in a directory, named by their CIDs.

A file is written under a temporary name and takes its name when it is complete and on the disk, so a name always
stands for its whole content. Several processes, and several machines over a shared file system, may use one directory:
who writes the same content writes the same file. Everything here blocks: call it in a thread.
"""

import os
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self

from chain.storage.cids import Cid
from chain.storage.errors import ContentDamaged, ContentTooLarge
from chain.storage.unixfs import FileTree, Node

READ_BYTES = 262_144
# Files of writers that died are removed after this time.
ABANDONED_S = 24 * 3600
_INCOMING = "incoming"


class ContentFiles:
    """The directory. ``create`` before the first use."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._incoming = directory / _INCOMING

    def create(self) -> None:
        """Make the directory if need be. Raises OSError."""
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, cid: Cid) -> Path:
        """Where this content is, if it is stored. The last characters but one are spread evenly (as in IPFS)."""
        text = cid.text
        return self._directory / text[-3:-1] / text

    def receive(self, bytes_max: int) -> "IncomingFile":
        """A file to write to. Raises OSError."""
        self.create()
        descriptor, name = tempfile.mkstemp(dir=self._incoming)
        return IncomingFile(self, os.fdopen(descriptor, "wb"), Path(name), bytes_max)

    def put(self, content: bytes) -> Node:
        """Store this content; returns its tree. Raises OSError."""
        with self.receive(len(content)) as incoming:
            incoming.write(content)
            node = incoming.finish()
            incoming.keep()
        return node

    def open(self, cid: Cid) -> IO[bytes]:
        """The content. Raises ContentDamaged if it is not here."""
        try:
            return self.path(cid).open("rb")
        except FileNotFoundError:
            raise ContentDamaged(f"{cid.text} is not in {self._directory}") from None

    def verify(self, cid: Cid) -> int:
        """Read the whole file and compute its CID; returns its size. Raises ContentDamaged."""
        tree = FileTree()
        with self.open(cid) as content:
            while piece := content.read(READ_BYTES):
                tree.feed(piece)
        node = tree.finish()
        if node.cid != cid:
            raise ContentDamaged(f"the file of {cid.text} has another content")
        return node.size

    def pieces(self, cid: Cid, first: int, size: int) -> Generator[bytes, None, None]:
        """So many bytes from ``first`` on. Raises ContentDamaged, also where the file is too short."""
        with self.open(cid) as content:
            content.seek(first)
            while size > 0:
                piece = content.read(min(size, READ_BYTES))
                if not piece:
                    raise ContentDamaged(f"the file of {cid.text} is too short")
                size -= len(piece)
                yield piece

    def remove_abandoned(self) -> int:
        """Remove files that nobody has written to for a day; returns how many."""
        removed, oldest = 0, time.time() - ABANDONED_S
        for path in self._incoming.iterdir() if self._incoming.is_dir() else ():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    removed += 1
        return removed


class IncomingFile:
    """A file that is being written, and its CID. Use it as a context: what is not kept is removed at its end."""

    def __init__(self, files: ContentFiles, file: IO[bytes], path: Path, bytes_max: int) -> None:
        self._files = files
        self._file = file
        self._tree = FileTree()
        self._bytes_max = bytes_max
        self._size = 0
        self._node: Node | None = None
        self.path = path

    @property
    def node(self) -> Node:
        """The tree of the whole content, once it is finished."""
        assert self._node is not None, "finish comes first"
        return self._node

    def write(self, piece: bytes) -> None:
        """Append. Raises ContentTooLarge, OSError."""
        self._size += len(piece)
        if self._size > self._bytes_max:
            raise ContentTooLarge(self._bytes_max)
        self._tree.feed(piece)
        self._file.write(piece)

    def finish(self) -> Node:
        """The content is complete, and can be read at ``path``. Raises OSError."""
        self._file.flush()
        self._node = self._tree.finish()
        return self._node

    def keep(self) -> None:
        """Give the file its name, and return when it is on the disk. Raises OSError."""
        path = self._files.path(self.node.cid)
        os.fsync(self._file.fileno())
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.replace(path)
        for directory in (path.parent, path.parent.parent):
            with _opened(directory) as descriptor:
                os.fsync(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
