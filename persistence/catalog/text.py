"""Text files in any encoding, read as lines of bounded length."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from domain.catalog.rows import BadRow

LINE_MAX = 64 * 1024
HEAD_BYTES = 64 * 1024
UTF_8 = "UTF-8"
WINDOWS_1252 = "Windows-1252"
TOO_LONG = f"the line is longer than {LINE_MAX // 1024} KiB"
# Of UTF-16 without a mark: how many of a hundred high bytes are zero at least, and low ones at most.
ZEROS_HIGH_MIN = 10
ZEROS_LOW_MAX = 1


def encoding_known(name: str) -> bool:
    """Whether there is a text encoding of this name."""
    try:
        "".encode(name)
    except (LookupError, UnicodeError, ValueError):
        return False
    return True


class TextLines:
    """The lines of a file, decoded, one at a time. One that can't be read is a BadRow.

    What is no UTF-16 is UTF-8, line by line; where a line isn't, it is Windows-1252, unless an earlier one has shown
    that the file is UTF-8: then the line is broken. ``encoding`` is what was found, ``offset`` how much was read.
    """

    def __init__(self, file: BinaryIO, encoding: str | None = None) -> None:
        head = file.read(HEAD_BYTES)
        file.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
        self._file = file
        self._newline = "\r" if b"\r" in head and b"\n" not in head else "\n"
        self._wrapped = encoding or utf_16(head)
        if self._wrapped is None and self._newline == "\r":
            self._wrapped = UTF_8 if _is_utf_8(head) else WINDOWS_1252
        self._utf_8_seen = head.startswith(codecs.BOM_UTF8) or (not head.isascii() and _is_utf_8(head))
        self.encoding = self._wrapped or UTF_8
        self.offset = file.tell()

    def __iter__(self) -> Iterator[str | BadRow]:
        return self._bytes() if self._wrapped is None else self._texts(self._wrapped)

    def _bytes(self) -> Iterator[str | BadRow]:
        readline = self._file.readline
        while line := readline(LINE_MAX + 1):
            self.offset += len(line)
            if len(line) > LINE_MAX:
                while not line.endswith(b"\n") and (line := readline(LINE_MAX)):
                    self.offset += len(line)
                yield BadRow(TOO_LONG)
                continue
            try:
                text: str | BadRow = line.decode()
                if not self._utf_8_seen and not line.isascii():
                    self._utf_8_seen = True
            except UnicodeDecodeError:
                text = self._not_utf_8(line)
            yield text

    def _not_utf_8(self, line: bytes) -> str | BadRow:
        if self._utf_8_seen:
            return BadRow("the text is not UTF-8, as the lines before are")
        try:
            text = line.decode(WINDOWS_1252)
        except UnicodeDecodeError:
            return BadRow("the text is neither UTF-8 nor Windows-1252; --encoding NAME says what it is")
        self.encoding = WINDOWS_1252
        return text

    def _texts(self, encoding: str) -> Iterator[str | BadRow]:
        text = io.TextIOWrapper(self._file, encoding, errors="replace", newline=self._newline)
        try:
            while line := text.readline(LINE_MAX + 1):
                self.offset = self._file.tell()
                if len(line) > LINE_MAX:
                    while not line.endswith(self._newline) and (line := text.readline(LINE_MAX)):
                        pass
                    yield BadRow(TOO_LONG)
                else:
                    yield BadRow(f"the text is not {self.encoding}") if "\ufffd" in line else line
        finally:
            text.detach()


def _is_utf_8(head: bytes) -> bool:
    # The head may end within a letter.
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def utf_16(head: bytes) -> str | None:
    """The encoding of a file that begins like this where it is UTF-16, by its mark or its zeros; else None."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    even, odd = head[::2].count(0), head[1::2].count(0)
    few, many = len(head) // 2 * ZEROS_LOW_MAX // 100, max(1, len(head) // 2 * ZEROS_HIGH_MIN // 100)
    if odd >= many and even <= few:
        return "UTF-16-LE"
    return "UTF-16-BE" if even >= many and odd <= few else None
