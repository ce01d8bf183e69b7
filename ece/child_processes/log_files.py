"""Log files of child processes: the children append, the supervisor rotates."""

import shutil
from collections import deque
from pathlib import Path
from typing import BinaryIO

from ece.logs import mask_text

LOG_BYTES_MAX = 32 * 1024 * 1024
ROTATED_MAX = 3
TAIL_BYTES = 16 * 1024


def open_log(path: Path) -> BinaryIO:
    """Open for appending, after moving a file that has grown too big out of the way."""
    if size_of(path) > LOG_BYTES_MAX:
        _shift(path)
        path.rename(_numbered(path, 1))
    return path.open("ab", buffering=0)


def rotate(path: Path) -> bool:
    """Rotate a log that a process is still writing: copy it, then truncate it. True if it was due.

    The writer appends (O_APPEND), so its next line lands at the new start.
    """
    if size_of(path) <= LOG_BYTES_MAX:
        return False
    _shift(path)
    shutil.copyfile(path, _numbered(path, 1))
    with path.open("r+b") as handle:
        handle.truncate(0)
    return True


def size_of(path: Path) -> int:
    """Bytes in the file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def last_lines(path: Path, count: int = 5, since: int = 0) -> list[str]:
    """The last lines after the byte `since` that are not blank; without secrets."""
    try:
        with path.open("rb") as handle:
            handle.seek(0, 2)
            end = handle.tell()
            # A log that has been rotated meanwhile is read from its new beginning.
            handle.seek(max(end - TAIL_BYTES, since if since <= end else 0))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [mask_text(line) for line in deque((line for line in text.splitlines() if line.strip()), maxlen=count)]


def _shift(path: Path) -> None:
    for number in range(ROTATED_MAX - 1, 0, -1):
        older = _numbered(path, number)
        if older.exists():
            older.replace(_numbered(path, number + 1))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
