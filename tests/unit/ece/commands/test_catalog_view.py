"""What `ece catalog import` shows fits the terminal, and only says what it should."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from ece.commands.catalog_view import PREVIEW_ROWS, print_how_read, print_preview
from persistence.catalog.files import CsvFile, How, catalog_file

EXPORTS = Path(__file__).resolve().parents[3] / "catalog_exports"


def shown(path: Path, width: int, how: How) -> list[str]:
    out = Console(file=io.StringIO(), width=width, highlight=False)
    with catalog_file(path, how) as file:
        assert isinstance(file, CsvFile)
        rows = list(file)[:PREVIEW_ROWS]
        print_how_read(out, file)
        print_preview(out, rows)
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "preview"),
    [
        (80, [
            " Line  Set                 Number     Rarity   Name            More",
            "    2  commander-tales-o…  mkm824528  unknown  Clever Lantern  Commander: Tale…",
            "    3  sunken-court        mkm835390  unknown  Old Tomb (V.1)  Sunken Court",
        ]),
        (120, [
            " Line  Set                 Number     Rarity   Name            More",
            "    2  commander-tales-o…  mkm824528  unknown  Clever Lantern  "
            "Commander: Tales of the Last Forge – Märchen",
            "    3  sunken-court        mkm835390  unknown  Old Tomb (V.1)  Sunken Court",
        ]),
        (40, [
            " Line  Set                 Number",
            "    2  commander-tales-o…  mkm824528",
            "    3  sunken-court        mkm835390",
        ]),
    ],
)  # fmt: skip
def test_a_card_is_a_line_however_wide_the_terminal_is(width: int, preview: list[str]):
    lines = shown(EXPORTS / "cardmarket-articles.csv", width, How())
    assert max(map(len, lines)) <= width
    assert lines[-3:] == preview


@pytest.mark.parametrize("separator", [",", "\x1b"])
def test_signs_that_a_terminal_would_follow_are_not_shown(tmp_path: Path, separator: str):
    path = tmp_path / "a.csv"
    text = f"sep={separator}\nset,number,name,rarity,\u009b31mred\nbase,1,Mew,rare,x\n"
    path.write_text(text.replace(",", separator))
    name = "commas" if separator == "," else "\ufffd"
    assert shown(path, 80, How(mapped={"name": "Name"})) == [
        f"Read as an ECE catalog, UTF-8, separated by {name}.",
        "  taken      set · number · name · rarity",
        "  not taken  \ufffd31mred",
        " Line  Set   Number  Rarity  Name",
        "    3  base  1       rare    Mew",
    ]


def test_columns_that_are_left_out_are_named():
    assert shown(EXPORTS / "dragonshield-app.csv", 200, How())[:3] == [
        "Read as Dragon Shield (app), UTF-8, separated by commas.",
        "  taken      set ← Expansion Code · set_name ← Expansion Name · number ← CardNumber · name ← Name",
        "  not taken  Quantity · PurchasePrice · Foil · Condition · Language · PurchaseDate · Single Current Price · "
        "Total Current Price",
    ]
