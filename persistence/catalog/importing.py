"""Importing a catalog: rows in pages, each page written as a whole, the next one read and made ready meanwhile."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from domain.catalog.rows import BadRow, CardRow
from persistence.catalog.files import Read
from persistence.catalog.pages import Page, page_of
from persistence.catalog.writing import CatalogWriting

PAGE_ROWS = 10_000
SETTLED_FROM = 5_000
ROWS_MAX = 5_000_000
FINDINGS_MAX = 20


@dataclass
class Imported:
    """What became of the rows; of the bad ones the first FINDINGS_MAX, by line."""

    read: int = 0
    bad: int = 0
    created: int = 0
    changed: int = 0
    same: int = 0
    # Rows of a collection with a card that an earlier row has: another copy of it.
    repeated: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)


class Pages:
    """Good rows in pages. Bad rows, and repetitions in the same file, are reported and left out.

    A ``collection`` has a row for copies of a card, and so may have several for a card.
    """

    def __init__(
        self, rows: Iterable[Read], report: Imported, collection: bool, report_bad: Callable[[int, str], None]
    ) -> None:
        self._rows = iter(rows)
        self._report = report
        self._collection = collection
        self._tell_bad = report_bad
        # Hashes alone: a file may have millions of rows.
        self._seen: set[int] = set()
        self.offset = 0

    def next_page(self) -> Page:
        """Up to PAGE_ROWS rows, ready to be written; none at the end. Raises FileBroken."""
        return page_of(self._next_rows())

    def _next_rows(self) -> list[CardRow]:
        page: list[CardRow] = []
        for line, row, offset in self._rows:
            self.offset = offset
            self._report.read += 1
            if isinstance(row, BadRow):
                self._bad(line, str(row))
            elif self._report.read > ROWS_MAX:
                self._bad(line, f"more than {ROWS_MAX:,} rows; nothing from this line on was read")
                self._rows = iter(())
                break
            elif (known := hash((row.set, row.number))) in self._seen:
                self._seen_before(line, row)
            else:
                self._seen.add(known)
                if self._collection:
                    self._seen.add(hash((row.set, row.number, row.name, row.rarity)))
                page.append(row)
                if len(page) == PAGE_ROWS:
                    return page
        return page

    def _seen_before(self, line: int, row: CardRow) -> None:
        if not self._collection:
            self._bad(line, "this set and number stand in the file before")
        elif hash((row.set, row.number, row.name, row.rarity)) in self._seen:
            self._report.repeated += 1
        else:
            self._bad(line, "this set and number stand in the file before, with another name or rarity")

    def _bad(self, line: int, why: str) -> None:
        self._report.bad += 1
        if len(self._report.findings) < FINDINGS_MAX:
            self._report.findings.append((line, why))
        self._tell_bad(line, why)


async def import_rows(
    rows: Iterable[Read],
    writing: CatalogWriting | None,
    now_ms: int,
    *,
    creator: int = 0,
    collection: bool = False,
    report_bad: Callable[[int, str], None] = lambda line, why: None,
    report_offset: Callable[[int], None] = lambda offset: None,
) -> Imported:
    """Write every good row; without ``writing``, only look. Raises FileBroken and StoreUnavailable.

    Of a ``collection`` only cards are written that the catalog has not: it says too little of those that are there.
    """
    report = Imported()
    pages = Pages(rows, report, collection, report_bad)
    page = await asyncio.to_thread(pages.next_page)
    while page.keys:
        report_offset(pages.offset)
        following = asyncio.create_task(asyncio.to_thread(pages.next_page))
        try:
            if writing is not None:
                written = await writing.put_page(page, creator, now_ms, only_new=collection)
                report.created += written.created
                report.changed += written.changed
                report.same += written.same
        finally:
            # A thread can't be cut off: it is waited for, whatever happened.
            await asyncio.wait([following])
        page = following.result()
    if writing is not None and report.created + report.changed >= SETTLED_FROM:
        await writing.settle()
    report_offset(pages.offset)
    return report
