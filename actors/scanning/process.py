"""`python -m actors.scanning.process`: reads pictures from its input; finds cards in them, or encodes them anew.

Decoders read files of strangers, so they run here: with a limit of memory, without connections and secrets, and the
parent kills what takes too long. It ends when its input does, or when nobody has asked for IDLE_S.
"""

import resource
import select
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from io import RawIOBase
from typing import Any, BinaryIO

import cv2
import msgspec

from actors.scanning.messages import HEAD, INDEX, LENGTH, REENCODE, SCAN, Refused
from actors.scanning.photographs import fingerprint_of, seen_in
from chain.storage.errors import ContentError
from chain.storage.reencoding import reencoded

# Of addresses: the libraries alone take a third of it. A picture of PIXELS_MAX fits.
MEMORY_BYTES_MAX = 1024**3
IDLE_S = 300.0
_WORK: Mapping[bytes, Callable[[bytes], Any]] = {SCAN: seen_in, INDEX: fingerprint_of, REENCODE: reencoded}


def answer(asked: bytes, picture: bytes) -> bytes:
    """A Seen, a fingerprint or a Reencoded; or Refused."""
    try:
        return msgspec.msgpack.encode(_WORK[asked](picture))
    except ContentError as error:
        return msgspec.msgpack.encode(Refused(type(error).__name__, str(error), error.maximum))


def serve(source: RawIOBase, sink: BinaryIO) -> None:
    """Answer until there is no more to answer."""
    while select.select([source], [], [], IDLE_S)[0]:
        head = _read(source, HEAD.size)
        if len(head) < HEAD.size:
            return
        asked, length = HEAD.unpack(head)
        content = answer(asked, _read(source, length))
        sink.write(LENGTH.pack(len(content)) + content)
        sink.flush()


def main() -> None:
    # The parent ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cv2.setNumThreads(1)
    # Of what is odd in files of strangers: it would stand in the log of the gateway.
    warnings.simplefilter("ignore")
    # Unbuffered: what is read ahead would not be seen by `select`.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as source:
        serve(source, sys.stdout.buffer)


def _read(source: RawIOBase, length: int) -> bytes:
    """So many bytes, fewer at the end."""
    content = bytearray()
    while len(content) < length and (piece := source.read(length - len(content))):
        content += piece
    return bytes(content)


if __name__ == "__main__":
    main()
