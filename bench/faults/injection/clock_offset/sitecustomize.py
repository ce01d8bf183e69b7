"""Has this process read its wall clock with the offset (ns) that stands in a file beside this one, named by its id.

See bench/faults/injection/clocks.py.
"""

import mmap
import os
import struct
import time
from pathlib import Path

_offset: mmap.mmap | None = None
_read_offset = struct.Struct("<q").unpack_from
_time_ns, _time = time.time_ns, time.time


def _open_offset() -> None:
    global _offset
    path = Path(__file__).parent / str(os.getpid())
    path.write_bytes(bytes(8))
    with path.open("r+b") as file:
        _offset = mmap.mmap(file.fileno(), 8)


def _shifted_time_ns() -> int:
    assert _offset is not None
    return _time_ns() + int(_read_offset(_offset)[0])


def _shifted_time() -> float:
    assert _offset is not None
    return _time() + float(_read_offset(_offset)[0]) / 1e9


try:
    _open_offset()
except OSError:
    # The run is over, and its folder is gone.
    pass
else:
    # A forked child is another process, with a clock of its own.
    os.register_at_fork(after_in_child=_open_offset)
    time.time_ns, time.time = _shifted_time_ns, _shifted_time
