"""From the header of a CSV file to cards: which cells of a row are which members of a card."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter

from domain.catalog.csv_formats import (
    FORMAT_OF,
    FORMATS,
    OWN_FORMAT,
    RARITY_UNKNOWN,
    REQUIRED,
    Format,
    Source,
    column_key,
    set_code,
)
from domain.catalog.rows import TRAIT_PREFIX, BadRow, CardRow, row_from_csv

COLUMNS_NAMED_MAX = 12

# The place of a cell, or how a text is made of the cells of a row.
Pick = int | Callable[[list[str]], str]


class BadColumns(Exception):
    """The header can't be read; the message says why, and what to do."""


class Columns:
    """The columns of one file.

    ``taken``: members of a card → the columns that they come from. ``widths``: how many cells a row may have.
    """

    def __init__(self, header: list[str], its: Format, sources: Mapping[str, Sequence[Source]]) -> None:
        keys = [column_key(name) for name in header]
        place_of = {key: place for place, key in enumerate(keys) if key}
        found = {
            field: there
            for field, of_field in sources.items()
            if (there := [source for source in of_field if source.column in place_of])
        }
        used = {source.column for there in found.values() for source in there}
        _check(header, keys, its, found, used)
        self.format = its
        self.taken = {field: [header[place_of[source.column]].strip() for source in there]
                      for field, there in found.items()}  # fmt: skip
        self.ignored = [name.strip() for name, key in zip(header, keys, strict=True) if key and key not in used]
        needed = [min(place_of[source.column] for source in there)
                  for field, there in found.items() if field in REQUIRED]  # fmt: skip
        self._width = len(header)
        self.widths = range(max(needed) + 1, self._width + 1)
        self._unnamed = [place for place, key in enumerate(keys) if not key]
        picks = _picks(its, {field: _pick(there, place_of) for field, there in found.items()})
        self._fields = list(picks)
        self._set = self._fields.index("set")
        # Nearly all members are a cell as it is: one look-up fetches them all, then the others are put in.
        self._cells = itemgetter(*(pick if isinstance(pick, int) else 0 for pick in picks.values()))
        self._others = [(place, pick) for place, pick in enumerate(picks.values()) if not isinstance(pick, int)]

    def row(self, cells: list[str]) -> CardRow:
        """The card in these cells. Raises BadRow.

        They may end early, after what a card needs: Excel leaves out empty cells at the end of a row, TopDecked columns
        that nobody has filled. They may go on with nothing.
        """
        if len(cells) != self._width:
            if len(cells) < self.widths[0] or any(map(str.strip, cells[self._width :])):
                raise BadRow(f"{len(cells)} cells where the header has {self._width}")
            cells = (cells + [""] * self._width)[: self._width]
        texts = list(self._cells(cells))
        for place, pick in self._others:
            texts[place] = pick(cells)
        texts[self._set] = set_code(texts[self._set])
        if self._unnamed and any(cells[place].strip() for place in self._unnamed):
            raise BadRow("a cell has text in a column without a name")
        try:
            return row_from_csv(self._fields, texts)
        except BadRow:
            for field, columns in self.taken.items():
                if field in REQUIRED and not texts[self._fields.index(field)].strip():
                    raise BadRow(f"no {field}: nothing in {_named(columns)}") from None
            raise


def columns_of(
    header: list[str], format_name: str | None, mapped: Mapping[str, str], collection: bool = False
) -> Columns:
    """What the columns are: by the format given or found, but for those in ``mapped`` (member of a card → column).

    ``collection``: the file is one, whatever its format. Raises BadColumns.
    """
    keys = {column_key(name) for name in header}
    its = FORMAT_OF[format_name] if format_name else next((its for its in FORMATS if its.marks <= keys), None)
    if its is None and not mapped:
        raise BadColumns(_unknown(header))
    its = its or OWN_FORMAT
    if its.refusal:
        raise BadColumns(its.refusal)
    sources, own = dict(its.sources), its is OWN_FORMAT
    if own:
        sources |= {trait: (Source(key),) for trait, key in _traits(header)}
    for field, column in mapped.items():
        if column_key(column) not in keys:
            raise BadColumns(f"no column {column!r} to take the {field} from; there are {_named(header)}")
        sources[field] = (Source(column_key(column)),)
    columns = Columns(header, its._replace(collection=its.collection or collection), sources)
    if columns.ignored and own and not mapped:
        raise BadColumns(
            f"unknown column {columns.ignored[0][:64]!r}: a trait is a column 'trait:NAME'; "
            "with --map, columns that are not named are left out"
        )
    return columns


def _traits(header: list[str]) -> list[tuple[str, str]]:
    """Names of traits keep their case: they are shown."""
    return [
        (TRAIT_PREFIX + name.partition(":")[2].strip(), column_key(name))
        for name in header
        if column_key(name).startswith(TRAIT_PREFIX)
    ]


def _check(
    header: list[str], keys: list[str], its: Format, found: Mapping[str, Sequence[Source]], used: set[str]
) -> None:
    twice = [name for name, key in zip(header, keys, strict=True) if key in used and keys.count(key) > 1]
    if twice:
        raise BadColumns(f"the column {twice[0].strip()!r} occurs twice")
    for field in REQUIRED:
        if field not in found and not (field == "rarity" and its.collection):
            raise BadColumns(_missing(its.sources[field][0].column if field in its.sources else field, field, header))


def _pick(sources: Sequence[Source], place_of: Mapping[str, int]) -> Pick:
    """How a member is taken out of a row: of several sources the first with a text."""
    ways = [(place_of[source.column], source.read or str.strip) for source in sources]
    if len(ways) == 1 and sources[0].read is None:
        return ways[0][0]
    return lambda cells: next((text for place, read in ways if (text := read(cells[place]))), "")


def _picks(its: Format, picks: dict[str, Pick]) -> dict[str, Pick]:
    """With what a card has beyond its columns: the name of its set, and a rarity."""
    if "set_name" not in picks:
        written = _function(picks["set"])
        picks["set_name"] = lambda cells: _name_of_set(written(cells))
    if its.collection:
        rarity = _function(picks["rarity"]) if "rarity" in picks else lambda cells: ""
        picks["rarity"] = lambda cells: rarity(cells) or RARITY_UNKNOWN
    return picks


def _function(pick: Pick) -> Callable[[list[str]], str]:
    return itemgetter(pick) if isinstance(pick, int) else pick


@lru_cache(maxsize=4_096)
def _name_of_set(written: str) -> str:
    """What stands where a code should be is the set's name, unless it is a code."""
    return "" if written.strip().casefold() == set_code(written) else written


def _unknown(header: list[str]) -> str:
    keys = [column_key(name) for name in header]
    missing = [field for field in REQUIRED if field not in keys]
    if len(missing) < len(REQUIRED) - 1:
        return _missing(missing[0], missing[0], header)
    return (
        f"columns of no known format: {_named(header)}. A catalog has {', '.join(REQUIRED)}; "
        "--map name=COLUMN says which column is what, --format NAME which program wrote the file"
    )


def _missing(column: str, field: str, header: list[str]) -> str:
    return f"the column {column!r} is missing; there are {_named(header)}. --map {field}=COLUMN names another"


def _named(columns: list[str]) -> str:
    named = [repr(" ".join(name.split())[:64]) for name in columns if name.strip()]
    more = f" and {len(named) - COLUMNS_NAMED_MAX} more" if len(named) > COLUMNS_NAMED_MAX else ""
    return ", ".join(named[:COLUMNS_NAMED_MAX]) + more
