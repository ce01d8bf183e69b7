"""The public eBay "Online Auctions" CSV (Jank and Shmueli, Modeling Online Auctions), read strictly and row by row.

A broken row is reported with its line and skipped; a file that isn't this is refused with the columns that it needs.
Each line stands alone, so that a stray quote costs one row and not the rest of the file.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from bench.recordings.model import BrokenRow, Dataset, RecordedAuction, RecordedBid, UnusableRecording

COLUMNS = ("auctionid", "bid", "bidtime", "bidder", "openbid", "price", "item")
OPTIONAL_COLUMNS = ("bidderrate", "auction_type")
BASE_UNIT_DIGITS = 6
BASE_UNITS = 10**BASE_UNIT_DIGITS
WHOLE_DIGITS_MAX = 9
# Within what Decimal keeps exactly.
NUMBER_LENGTH_MAX = 24
TEXT_LENGTH_MAX = 200
LINE_LENGTH_MAX = 10_000
DAYS_MAX = Decimal(366)
# What Decimal alone would also take (nan, inf, 1_000, other scripts' digits) is no number in this file.
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?|\.[0-9]+([eE][+-]?[0-9]{1,2})?", re.ASCII)


@dataclass(frozen=True)
class _Row:
    auction_id: str
    bid: RecordedBid
    openbid: int
    price: int
    item: str


class _BadRow(Exception):
    """Why a row can't be used."""


def read_auctions(path: Path) -> Dataset:
    """Read the whole file. Raises UnusableRecording, or OSError when it can't be read."""
    with path.open(encoding="utf-8-sig", errors="replace", newline=None) as file:
        return _read(file, path.name)


def _read(file: TextIO, name: str) -> Dataset:
    lines = _lines(file)
    columns = _columns(next(lines, (0, ""))[1], name)
    auctions: dict[str, list[_Row]] = {}
    broken: list[BrokenRow] = []
    seen: dict[_Row, int] = {}
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = _row(line, columns)
            if row in seen:
                raise _BadRow(f"the same as line {seen[row]}")
        except _BadRow as reason:
            broken.append(BrokenRow(number, str(reason)))
            continue
        seen[row] = number
        auctions.setdefault(row.auction_id, []).append(row)
    if not auctions:
        first = f"; line {broken[0].line}: {broken[0].reason}" if broken else ""
        raise UnusableRecording(f"{name} holds no usable bid{first}")
    return Dataset(tuple(_auction(rows) for rows in auctions.values()), tuple(broken))


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Numbered lines. Of one that is far too long only its beginning: enough to be reported as broken."""
    number = 0
    while line := file.readline(LINE_LENGTH_MAX):
        number += 1
        rest = line
        while rest and not rest.endswith("\n") and len(rest) >= LINE_LENGTH_MAX:
            rest = file.readline(LINE_LENGTH_MAX)
        yield number, line


def _columns(header: str, name: str) -> dict[str, int]:
    needs = f"it needs a header with the columns {', '.join(COLUMNS)} (comma-separated)"
    if not header.strip():
        raise UnusableRecording(f"{name} is empty: {needs}")
    try:
        names = [cell.strip().lower() for cell in _cells(header)]
    except _BadRow as reason:
        raise UnusableRecording(f"{name} is not the eBay auctions file ({reason}): {needs}") from None
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise UnusableRecording(f"{name} is not the eBay auctions file, it lacks {', '.join(missing)}: {needs}")
    return {column: names.index(column) for column in COLUMNS}


def _cells(line: str) -> list[str]:
    if len(line) >= LINE_LENGTH_MAX:
        raise _BadRow(f"longer than {LINE_LENGTH_MAX} characters")
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise _BadRow(str(error)) from None


def _row(line: str, columns: dict[str, int]) -> _Row:
    cells = [cell.strip() for cell in _cells(line)]
    if len(cells) <= max(columns.values()):
        raise _BadRow(f"has {len(cells)} columns, needs {max(columns.values()) + 1}")
    at = {column: cells[index] for column, index in columns.items()}
    return _Row(
        auction_id=_text("auctionid", at["auctionid"]),
        bid=RecordedBid(_text("bidder", at["bidder"]), _money("bid", at["bid"]), _days(at["bidtime"])),
        openbid=_money("openbid", at["openbid"]),
        price=_money("price", at["price"]),
        item=_text("item", at["item"]),
    )


def _text(column: str, value: str) -> str:
    if not value:
        raise _BadRow(f"{column} is empty")
    if len(value) > TEXT_LENGTH_MAX:
        raise _BadRow(f"{column} is longer than {TEXT_LENGTH_MAX} characters")
    if not value.isprintable():
        raise _BadRow(f"{column} has characters that can't be printed")
    return value


def _number(column: str, value: str) -> Decimal:
    if value.startswith("-"):
        raise _BadRow(f"{column} is negative: {_short(value)}")
    if len(value) > NUMBER_LENGTH_MAX:
        raise _BadRow(f"{column} has too many digits: {_short(value)}")
    if not _NUMBER.fullmatch(value):
        raise _BadRow(f"{column} is not a number: {_short(value)}" if value else f"{column} is empty")
    return Decimal(value)


def _money(column: str, value: str) -> int:
    """Exact base units of a positive amount."""
    number = _number(column, value)
    if number.adjusted() >= WHOLE_DIGITS_MAX:
        raise _BadRow(f"{column} is too large: {_short(value)}")
    scaled = number.scaleb(BASE_UNIT_DIGITS)
    base_units = int(scaled)
    if base_units != scaled:
        raise _BadRow(f"{column} has more than {BASE_UNIT_DIGITS} decimals: {_short(value)}")
    if base_units == 0:
        raise _BadRow(f"{column} is zero")
    return base_units


def _days(value: str) -> Decimal:
    days = _number("bidtime", value)
    if days > DAYS_MAX:
        raise _BadRow(f"bidtime is past {DAYS_MAX} days: {_short(value)}")
    return days


def _short(value: str) -> str:
    return repr(value if len(value) <= 24 else value[:21] + "...")


def _auction(rows: list[_Row]) -> RecordedAuction:
    ordered = sorted(rows, key=lambda row: row.bid.at_days)
    first = ordered[0]
    return RecordedAuction(
        auction_id=first.auction_id,
        item=first.item,
        starting_price=first.openbid,
        closing_price=first.price,
        bids=tuple(row.bid for row in ordered),
        prices_disagree=any(row.price != first.price for row in rows),
    )
