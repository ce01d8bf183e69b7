"""Catalogs as files: JSON lines, a JSON array, or CSV, read row by row."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from domain.catalog.rows import BadRow, CardRow, columns_wrong, row_from_csv, row_from_json

LINE_BYTES_MAX = 64 * 1024
ARRAY_BYTES_MAX = 256 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 4096
TOO_LONG = f"the line is longer than {LINE_BYTES_MAX // 1024} KiB"


class FileBroken(Exception):
    """The file as a whole is no catalog; nothing of it was written."""


class Read(NamedTuple):
    """A row with the line that it begins in, and how much of the file was read with it."""

    line: int
    row: CardRow | BadRow
    offset: int


def read_rows(path: Path) -> Iterator[Read]:
    """Every row of the file, good or bad. Raises FileBroken where there are none to read, and OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if not head.strip():
            raise FileBroken("the file is empty")
        file.seek(len(_BOM) if head.startswith(_BOM) else 0)
        if path.suffix.lower() == ".csv":
            yield from _csv(file)
        elif head.removeprefix(_BOM).lstrip().startswith(b"["):
            yield from _array(file)
        else:
            yield from _lines(file)


def _lines(file: BinaryIO) -> Iterator[Read]:
    offset = 0
    for number, line in enumerate(_bounded_lines(file), 1):
        if line is None:
            yield Read(number, BadRow(TOO_LONG), offset)
            continue
        offset += len(line)
        if line.isspace():
            continue
        yield Read(number, _json_row(line), offset)


def _array(file: BinaryIO) -> Iterator[Read]:
    data = file.read(ARRAY_BYTES_MAX + 1)
    if len(data) > ARRAY_BYTES_MAX:
        raise FileBroken(f"a JSON array above {ARRAY_BYTES_MAX >> 20} MiB: write it as JSON lines, one card a line")
    try:
        elements = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise FileBroken(f"broken JSON: {error}") from None
    if not elements:
        raise FileBroken("the array is empty")
    line, place = 1, 0
    for element in elements:
        raw = bytes(element)
        found = data.index(raw, place)
        line += data.count(b"\n", place, found)
        its_line = line
        line += raw.count(b"\n")
        place = found + len(raw)
        row = BadRow(TOO_LONG) if len(raw) > LINE_BYTES_MAX else _json_row(raw)
        yield Read(its_line, row, place)


def _csv(file: BinaryIO) -> Iterator[Read]:
    # What is not UTF-8 becomes halves of surrogate pairs, which no row may have.
    offset = 0

    def texts() -> Iterator[str]:
        nonlocal offset
        for line in _bounded_lines(file):
            if line is None:
                raise csv.Error(TOO_LONG)
            offset += len(line)
            yield line.decode("utf-8", "surrogateescape")

    reader = csv.reader(texts(), strict=True)
    line = 1
    try:
        columns = next(reader)
        wrong = columns_wrong(columns)
        if wrong is not None:
            raise FileBroken(f"line 1: {wrong}")
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield Read(line, _csv_row(columns, cells), offset)
            line = reader.line_num + 1
    except csv.Error as error:
        yield Read(line, BadRow(f"broken CSV: {error}; nothing after this line was read"), offset)


def _json_row(line: bytes) -> CardRow | BadRow:
    try:
        return row_from_json(line)
    except BadRow as bad:
        return bad


def _csv_row(columns: list[str], cells: list[str]) -> CardRow | BadRow:
    try:
        return row_from_csv(columns, cells)
    except BadRow as bad:
        return bad


def _bounded_lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Lines of up to LINE_BYTES_MAX; None for a longer one, of which no more is kept in memory at once."""
    while line := file.readline(LINE_BYTES_MAX + 1):
        if len(line) <= LINE_BYTES_MAX:
            yield line
            continue
        while not line.endswith(b"\n") and (line := file.readline(LINE_BYTES_MAX)):
            pass
        yield None
