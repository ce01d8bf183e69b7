"""docs/catalog-files.md names every format that is read, with its version and its columns, and every field."""

import re
from pathlib import Path

from domain.catalog.csv_formats import FORMAT_OF, READABLE, column_key, field_known

PAGE = (Path(__file__).parents[3] / "docs/catalog-files.md").read_text()


def rows_under(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in section.splitlines()
        if line.startswith("| `") and "--" not in line.split("|")[1]
    ]


def test_every_format_is_documented_with_its_version_and_columns():
    documented = {
        name.strip("`"): (
            title,
            made_for,
            *([column_key(one) for one in cell.split(", else ") if one] for cell in cells),
        )
        for name, title, made_for, *cells in rows_under("Exports of other programs")
    }
    assert documented == {
        name: (
            its.title,
            its.made_for,
            *([source.column for source in its.sources.get(f, ())] for f in ("set", "number", "name", "rarity")),
        )
        for name in READABLE
        if (its := FORMAT_OF[name]).collection
    }


def test_every_field_is_documented_and_no_other():
    named = {cells[0].strip("`") for cells in rows_under("Fields")}
    assert all(field_known(name) for name in named)
    assert named - {"trait:NAME"} == FORMAT_OF["ece"].sources.keys()
