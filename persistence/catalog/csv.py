"""Reads records of CSV files one at a time; a broken record does not affect the lines after it."""

import csv
import re
from collections import deque
from collections.abc import Iterator

from domain.catalog.rows import BadRow

SEPARATORS = ",;\t"
# A quoted field may hold line breaks; one that goes on for longer was never closed.
RECORD_MAX = 64 * 1024
NOT_CLOSED = "a quote is opened and not closed"
BROKEN_QUOTES = "quotes that are not doubled, so that nobody can tell where a cell ends"
REPAIRED_MAX = 20

Record = tuple[int, list[str] | BadRow]


def separator_of(header: str) -> str:
    """The separator of which there are the most outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=bare.count)


def separator_named(line: str) -> str | None:
    """What Excel's first line `sep=;` says, quoted or not; None where the line is another."""
    named = re.fullmatch(r'"?sep=([^"\w\s]|\t)"?[,;\t]*', line.strip("\r\n \ufeff"), re.IGNORECASE)
    return named[1] if named else None


def _reader(lines: Iterator[str], separator: str) -> Iterator[list[str]]:
    """Raises csv.Error where quotes are broken, or open at the end."""
    return csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)


class _SingleLines:
    """Records of one line each, by one reader: making one for every line would cost more than reading it."""

    def __init__(self, separator: str) -> None:
        self._separator = separator
        self._line: list[str] = []
        self._reader = self._new_reader()

    def cells(self, line: str) -> list[str] | None:
        """The cells of the line; None where its quotes are broken, or open at the end."""
        self._line.append(line)
        try:
            return next(self._reader)
        except (csv.Error, IndexError):
            self._line.clear()
            self._reader = self._new_reader()
            return None

    def _new_reader(self) -> Iterator[list[str]]:
        # Where the reader asks for a second line there is none: IndexError.
        return _reader(iter(self._line.pop, None), self._separator)


class Records:
    """Reads lines as records of cells.

    A record of several lines that breaks, or has not as many cells as it should, is taken to be a line with a quote
    too many: that line is read alone, and the others again. ``repaired`` are the first lines with quotes that should
    have been doubled.
    """

    def __init__(self, lines: Iterator[str | BadRow]) -> None:
        self._lines = lines
        self._again: deque[str | BadRow] = deque()
        self._line = 0
        self.repaired: list[int] = []

    def first_line(self) -> tuple[int, str | BadRow] | None:
        """The next line with anything in it but separators."""
        while (line := self._next()) is not None:
            if isinstance(line, BadRow) or line.strip(SEPARATORS + '\r\n \ufeff"'):
                return self._line, line
        return None

    def back(self, line: str | BadRow) -> None:
        """The line just read is to be read again."""
        self._again.appendleft(line)
        self._line -= 1

    def read(self, separator: str, widths: range | None) -> Iterator[Record]:
        """(line that it begins in, cells) of each record; blank lines are left out.

        ``widths`` are how many cells a record may have, which counts where there is doubt; None: any number.
        """
        again, lines = self._again, self._lines
        one = _SingleLines(separator)
        while (line := again.popleft() if again else next(lines, None)) is not None:
            self._line += 1
            if isinstance(line, BadRow):
                yield self._line, line
            elif '"' not in line:
                if bare := line.rstrip("\r\n"):
                    yield self._line, bare.split(separator)
            elif (cells := one.cells(line)) is not None:
                yield self._line, cells
            else:
                number = self._line
                yield number, self._several(line, separator, widths) or self._repaired(number, line, separator, widths)

    def _several(self, line: str, separator: str, widths: range | None) -> list[str] | None:
        """The cells of a record that goes on in the next lines; None where it doesn't: they are read again then.

        It has to be whole: a quote too many can swallow lines, up to one that has another.
        """
        pulled: list[str | BadRow] = []

        def following() -> Iterator[str]:
            length = len(line)
            yield line
            while (after := self._next()) is not None:
                pulled.append(after)
                length += len(after) if isinstance(after, str) else RECORD_MAX
                if isinstance(after, BadRow) or length > RECORD_MAX:
                    return
                yield after

        try:
            cells = next(_reader(following(), separator))
        except csv.Error:
            cells = []
        if cells and (widths is None or len(cells) == widths[-1]):
            return cells
        for after in reversed(pulled):
            self.back(after)
        return None

    def _next(self) -> str | BadRow | None:
        line = self._again.popleft() if self._again else next(self._lines, None)
        if line is not None:
            self._line += 1
        return line

    def _repaired(self, number: int, line: str, separator: str, widths: range | None) -> list[str] | BadRow:
        """The cells of a line where a quote ends a cell only before a separator, or at the end of the line.

        Quotes within a cell come in pairs: else a separator within quotes may have been taken for one between cells.
        """
        text, cells, place = line.rstrip("\r\n"), list[str](), 0
        quoted = re.compile(rf' *"(.*?)" *(?={re.escape(separator)}|$)')
        bare = re.compile(rf"[^{re.escape(separator)}]*")
        while place <= len(text):
            found = quoted.match(text, place) or bare.match(text, place)
            assert found is not None, "an empty cell is one, too"
            cell = found[found.lastindex or 0]
            if cell.count('"') % 2:
                return BadRow(NOT_CLOSED if cell.lstrip().startswith('"') else BROKEN_QUOTES)
            cells.append(cell.replace('""', '"') if found.lastindex else cell)
            place = found.end() + 1
        if widths is not None and len(cells) not in widths:
            return BadRow(BROKEN_QUOTES)
        if len(self.repaired) < REPAIRED_MAX:
            self.repaired.append(number)
        return cells
