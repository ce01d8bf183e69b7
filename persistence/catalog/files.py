"""Catalogs as files: JSON lines, a JSON array, or CSV, read row by row."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from domain.catalog.csv_columns import BadColumns, Columns, columns_of
from domain.catalog.rows import BadRow, CardRow, row_from_json
from persistence.catalog.csv import Record, Records, separator_named, separator_of
from persistence.catalog.text import LINE_MAX, TOO_LONG, TextLines, utf_16

LINE_BYTES_MAX = LINE_MAX
ARRAY_BYTES_MAX = 256 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 4096
_CSV_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
# The first bytes of files that are not text.
_NO_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a ZIP file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
}


class FileBroken(Exception):
    """The file is not a catalog; nothing of it was written."""


class How(NamedTuple):
    """Options for reading a CSV file; None: detected. ``mapped``: members of a card → columns."""

    format_name: str | None = None
    mapped: Mapping[str, str] = {}
    encoding: str | None = None
    collection: bool = False


AS_FOUND = How()


class Read(NamedTuple):
    """A row with the line that it begins in, and how much of the file was read with it."""

    line: int
    row: CardRow | BadRow
    offset: int


class JsonFile:
    """A file of JSON objects: as lines, or one array."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __iter__(self) -> Iterator[Read]:
        head = self._file.read(_HEAD_BYTES)
        if utf_16(head):
            raise FileBroken("this is UTF-16: JSON has to be UTF-8")
        self._file.seek(len(_BOM) if head.startswith(_BOM) else 0)
        return _array(self._file) if head.removeprefix(_BOM).lstrip().startswith(b"[") else _lines(self._file)


class CsvFile:
    """A CSV file, its header read. Raises FileBroken where that is none."""

    def __init__(self, file: BinaryIO, how: How) -> None:
        self._text = TextLines(file, how.encoding)
        self._records = Records(iter(self._text))
        self.separator, header, first = self._header()
        try:
            self.columns: Columns = columns_of(header, how.format_name, how.mapped, how.collection)
        except BadColumns as wrong:
            raise FileBroken(f"line {first}: {wrong}") from None

    @property
    def encoding(self) -> str:
        """As far as the file was read."""
        return self._text.encoding

    @property
    def repaired(self) -> list[int]:
        """The first lines with quotes that should have been doubled, which were read all the same."""
        return self._records.repaired

    def __iter__(self) -> Iterator[Read]:
        columns, text = self.columns, self._text
        for line, cells in self._records.read(self.separator, columns.widths):
            if isinstance(cells, BadRow):
                yield Read(line, cells, text.offset)
                continue
            try:
                row: CardRow | BadRow = columns.row(cells)
            except BadRow as bad:
                # Excel writes rows of separators where there once was something.
                if not any(map(str.strip, cells)):
                    continue
                row = bad
            yield Read(line, row, text.offset)

    def _header(self) -> tuple[str, list[str], int]:
        first = self._records.first_line()
        separator = separator_named(first[1]) if first is not None and isinstance(first[1], str) else None
        if separator is not None:
            first = self._records.first_line()
        if first is None:
            raise FileBroken("the file is empty")
        line, header = first
        if isinstance(header, BadRow):
            raise FileBroken(f"line {line}: {header}")
        separator = separator or separator_of(header)
        self._records.back(header)
        _, cells = next(self._records.read(separator, None), _no_record(line))
        if isinstance(cells, BadRow):
            raise FileBroken(f"line {line}: {cells}")
        return separator, cells, line


CatalogFile = JsonFile | CsvFile


@contextmanager
def catalog_file(path: Path, how: How = AS_FOUND) -> Iterator[CatalogFile]:
    """The file, open; it gives every row, good or bad. Raises FileBroken where there are none to read, and OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        if not head.strip():
            raise FileBroken("the file is empty")
        for beginning, what in _NO_TEXT.items():
            if head.startswith(beginning):
                raise FileBroken(f"this is {what}: save it as CSV")
        if _is_csv(path, head):
            yield CsvFile(file, how)
        elif how != AS_FOUND:
            raise FileBroken(
                "this is JSON, which has members of its own and is UTF-8: formats, columns and encodings are of CSV"
            )
        else:
            yield JsonFile(file)


def _is_csv(path: Path, head: bytes) -> bool:
    """By the file's name, else by what it begins with."""
    suffix = path.suffix.lower()
    if suffix in _CSV_SUFFIXES or suffix in _JSON_SUFFIXES:
        return suffix in _CSV_SUFFIXES
    return head.removeprefix(_BOM).lstrip()[:1] not in (b"[", b"{")


def _no_record(line: int) -> Record:
    return line, BadRow("the file is empty")


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


def _json_row(line: bytes) -> CardRow | BadRow:
    try:
        return row_from_json(line)
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
