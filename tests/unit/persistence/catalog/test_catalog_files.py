"""Files as people have them: what Excel, text editors and collectors' programs write."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalog.csv_formats import READABLE
from domain.catalog.rows import BadRow, CardRow
from persistence.catalog.csv import BROKEN_QUOTES, NOT_CLOSED, RECORD_MAX
from persistence.catalog.files import AS_FOUND, CsvFile, FileBroken, How, catalog_file
from persistence.catalog.text import LINE_MAX, TOO_LONG

EXPORTS = Path(__file__).resolve().parents[3] / "catalog_exports"
HEADER = "set,number,name,rarity\n"
BAD_END = "this is {}: save it as CSV"


def card(number: int | str, name: str, rarity: str = "rare", **more: str) -> CardRow:
    return CardRow("base", str(number), name, rarity, **more)


def read(path: Path, how: How = AS_FOUND) -> dict[int, CardRow | str]:
    """Line → its card, or why it is none."""
    with catalog_file(path, how) as rows:
        return {line: str(row) if isinstance(row, BadRow) else row for line, row, _ in rows}


def read_bytes(folder: Path, content: bytes, how: How = AS_FOUND) -> dict[int, CardRow | str]:
    path = folder / "cards.csv"
    path.write_bytes(content)
    return read(path, how)


def read_text(folder: Path, content: str) -> dict[int, CardRow | str]:
    return read_bytes(folder, content.encode())


# ---- encodings


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""), ("utf-16-be", b""), ("cp1252", b""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_file_is_read_in_the_encoding_that_it_is_in(tmp_path: Path, encoding: str, bom: bytes, newline: str):
    place = "Köln" if encoding == "cp1252" else "Łódź"
    text = f'{HEADER}base,1,Poké – “Ball”,rare\nbase,2,"{place}, a market",rare\n'.replace("\n", newline)
    assert read_bytes(tmp_path, bom + text.encode(encoding)) == {
        2: card(1, "Poké – “Ball”"), 3: card(2, f"{place}, a market")
    }  # fmt: skip


def test_an_en_dash_of_windows_is_an_en_dash(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(HEADER.encode() + b"base,1,Tag \x96 Team,rare\n")
    with catalog_file(path) as rows:
        assert [row for _, row, _ in rows] == [card(1, "Tag – Team")]
        assert isinstance(rows, CsvFile)
        assert rows.encoding == "Windows-1252"


def test_in_a_file_of_utf_8_a_broken_line_is_bad_and_not_read_as_something_else(tmp_path: Path):
    content = HEADER.encode() + "base,1,Poké,rare\n".encode() + b"base,2,Pok\xe9,rare\nbase,3,Mew,rare\n"
    assert read_bytes(tmp_path, content) == {
        2: card(1, "Poké"), 3: "the text is not UTF-8, as the lines before are", 4: card(3, "Mew")
    }  # fmt: skip


def test_lines_that_are_utf_8_are_so_after_lines_of_windows(tmp_path: Path):
    filling = b"".join(b"base,%d,Mew,rare\n" % number for number in range(10, 5_000))
    content = HEADER.encode() + b"base,1,Pok\xe9,rare\n" + filling + "base,2,Poké,rare\n".encode()
    rows = read_bytes(tmp_path, content)
    assert (rows[2], rows[4_993]) == (card(1, "Poké"), card(2, "Poké"))


def test_an_encoding_that_nobody_can_guess_can_be_said(tmp_path: Path):
    content = f"{HEADER}base,1,ブラッキー,rare\n".encode("cp932")
    assert read_bytes(tmp_path, content) == {
        2: "the text is neither UTF-8 nor Windows-1252; --encoding NAME says what it is"
    }
    assert read_bytes(tmp_path, content, How(encoding="cp932")) == {2: card(1, "ブラッキー")}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04....", "an Excel workbook or a ZIP file"), (b"\xd0\xcf\x11\xe0....", "an old Excel workbook"),
        (b"\x1f\x8b....", "compressed with gzip"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, what: str):
    with pytest.raises(FileBroken, match=BAD_END.format(what)):
        read_bytes(tmp_path, content)


# ---- separators, headers, padding


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("named", ["", '"sep={}"\r\n', "sep={}\n", "SEP={};;;\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_are_found_or_named_by_the_first_line(tmp_path: Path, separator: str, named: str, bom: str):
    lines = f'{HEADER}base,1,"Charizard",rare\nbase,2,Mew,rare\n'.replace(",", separator)
    first = 2 + bool(named)
    assert read_text(tmp_path, bom + named.format(separator) + lines) == {
        first: card(1, "Charizard"), first + 1: card(2, "Mew")
    }  # fmt: skip


def test_a_separator_that_is_named_may_be_any_sign(tmp_path: Path):
    assert read_text(tmp_path, "sep=|\nset|number|name|rarity\nbase|1|a,b;c|rare\n") == {3: card(1, "a,b;c")}


def test_rows_and_columns_of_separators_alone_are_nothing(tmp_path: Path):
    text = ";;;;;\nset; Number ;NAME;rarity;;\n;;;;;\nbase;1;Mew;rare;;\n\n ; ;;; ;\n;;;;;\n"
    assert read_text(tmp_path, text) == {4: card(1, "Mew")}


def test_a_header_may_be_quoted_and_have_line_breaks(tmp_path: Path):
    assert read_text(tmp_path, '"set","number","card\nname","rarity"\nbase,1,Mew,rare\n'.replace("card\n", "")) == {
        2: card(1, "Mew")
    }
    how = How(mapped={"name": "Card Name"})
    assert read_bytes(tmp_path, b'set,number,"Card\nName",rarity\nbase,1,Mew,rare\n', how) == {3: card(1, "Mew")}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "the file is empty"), ("\n;;;\n", "the file is empty"), ("sep=;\n", "the file is empty"),
        ('"set,number\n', "line 1: a quote is opened and not closed"),
        ("\n\nSerie;Nr;Titel\n1;2;3\n", "line 3: columns of no known format: 'Serie', 'Nr', 'Titel'."),
        ("x" * (LINE_MAX + 1), f"line 1: {TOO_LONG}"),
    ],
)  # fmt: skip
def test_a_file_without_a_header_says_so(tmp_path: Path, content: str, why: str):
    with pytest.raises(FileBroken, match=why.replace(".", r"\.")):
        read_text(tmp_path, content)


def test_formats_and_columns_are_of_csv_alone(tmp_path: Path):
    path = tmp_path / "cards"
    path.write_bytes(b'{"set": "base", "number": "1", "name": "Mew", "rarity": "rare"}')
    assert read(path) == {1: card(1, "Mew")}
    with pytest.raises(FileBroken, match="this is JSON"):
        read(path, How(mapped={"name": "Name"}))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_json_that_is_not_utf_8_says_so(tmp_path: Path, encoding: str):
    path = tmp_path / "cards.jsonl"
    path.write_bytes('{"set": "base", "number": "1", "name": "Mew", "rarity": "rare"}\n'.encode(encoding))
    with pytest.raises(FileBroken, match="this is UTF-16: JSON has to be UTF-8"):
        read(path)


# ---- quotes


@pytest.mark.parametrize(
    ("line", "read_as"),
    [
        ('base,1,"Open,rare', NOT_CLOSED),
        ('base,1,"Open,"rare"', BROKEN_QUOTES),
        ('base,1,"Spirit Message "I"",rare', card(1, 'Spirit Message "I"')),
        ('base,1,"The "Wise", or so",rare', BROKEN_QUOTES),
        ('base,1,"The "Wise" one, or so",rare', card(1, 'The "Wise" one, or so')),
        ('base,1,"A ""good"" and a "bad" one",rare', card(1, 'A "good" and a "bad" one')),
        ('base,1,Spirit Message "I",rare', card(1, 'Spirit Message "I"')),
        ('base,1,"Spirit Message ""I""",rare', card(1, 'Spirit Message "I"')),
        ('base,1,"Rowdy" Mew,rare', card(1, '"Rowdy" Mew')),
        ('base, 1, "Mew, the", rare', card(1, "Mew, the")),
        ('base,1,Mew,rare,"Two\nlines, and\n\nmore"', card(1, "Mew", description="Two\nlines, and\n\nmore")),
    ],
)  # fmt: skip
def test_a_line_with_odd_quotes_is_read_as_it_is_meant_or_is_bad_by_itself(tmp_path: Path, line: str, read_as: object):
    after = 3 + line.count("\n")
    header = HEADER.replace("\n", ",description\n")
    rows = read_text(tmp_path, f'{header}{line}\nbase,2,Mew,rare\nbase,3,"Mew, two",rare\nbase,4,"",rare\n')
    nameless = rows.pop(after + 2)
    assert nameless == "no name: nothing in 'name'"
    assert {place: trimmed(row) for place, row in rows.items()} == {
        2: read_as, after: card(2, "Mew"), after + 1: card(3, "Mew, two")
    }  # fmt: skip


def trimmed(row: CardRow | str) -> CardRow | str:
    """Blanks around values are taken off elsewhere."""
    if isinstance(row, str):
        return row
    return CardRow(row.set, row.number.strip(), row.name.strip(), row.rarity.strip(), row.set_name, row.description)


def test_a_quote_that_is_never_closed_costs_its_line_alone(tmp_path: Path):
    number, lines = 3_000, [HEADER, 'base,0,"Open,rare\n']
    lines += [f"base,{n},Mew of some length {'x' * 60},rare\n" for n in range(1, number)]
    assert sum(map(len, lines)) > 3 * RECORD_MAX
    rows = read_text(tmp_path, "".join(lines))
    assert rows.pop(2) == NOT_CLOSED
    assert rows == {n + 2: card(n, f"Mew of some length {'x' * 60}") for n in range(1, number)}


def test_quotes_that_swallow_lines_up_to_another_one_cost_their_lines_alone(tmp_path: Path):
    header = HEADER.replace("\n", ",description\n")
    assert read_text(tmp_path, f'{header}base,1,"Open,rare\nbase,2,Mew,rare\nbase,3,End",rare\nbase,4,Mew,rare\n') == {
        2: NOT_CLOSED, 3: card(2, "Mew"), 4: card(3, 'End"'), 5: card(4, "Mew")
    }  # fmt: skip


def test_every_line_may_have_a_quote_that_is_never_closed(tmp_path: Path):
    rows = read_text(tmp_path, HEADER + "".join(f'base,{n},"Open {n},rare\n' for n in range(1_000)))
    assert rows == dict.fromkeys(range(2, 1_002), NOT_CLOSED)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("base,1,{},rare", {2: TOO_LONG}), ('base,1,"{}",rare', {2: TOO_LONG}),
        ('base,1,"Open\n{}', {2: NOT_CLOSED, 3: TOO_LONG}),
    ],
)  # fmt: skip
def test_a_line_that_is_too_long_costs_itself_alone(tmp_path: Path, line: str, bad: dict[int, str], encoding: str):
    content = f"{HEADER}{line.format('x' * (3 * LINE_MAX))}\nbase,2,Mew,rare\n".encode(encoding)
    assert read_bytes(tmp_path, content) == bad | {2 + len(bad): card(2, "Mew")}


def test_lines_whose_quotes_were_repaired_are_named(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(f'{HEADER}base,1,"a "b"",rare\nbase,2,"a ""b""",rare\nbase,3,"c "d"",rare\n')
    with catalog_file(path) as rows:
        assert len(list(rows)) == 3
        assert isinstance(rows, CsvFile)
        assert rows.repaired == [2, 4]


letters = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x17E, exclude_categories=["C", "Z"]), min_size=1)
descriptions = st.tuples(letters, st.sampled_from(["", '"', ",", ";", "\n", '",', '""', "\n\n", '"\n,']), letters).map(
    "".join
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(descriptions, min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_is_written_well_is_read_as_it_was(tmp_path: Path, written: list[str], separator: str, quoting: int):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, quoting=quoting)
    header = ["set", "number", "name", "rarity", "description"]
    writer.writerows([header, *(["base", n, "Mew", "rare", text] for n, text in enumerate(written))])
    rows = read_bytes(tmp_path, out.getvalue().encode())
    assert list(rows.values()) == [card(n, "Mew", description=text) for n, text in enumerate(written)]


# ---- what collectors' programs export


EXPORTED: Mapping[str, tuple[str, dict[int, CardRow | str]]] = {
    "deckbox.csv": ("deckbox", {
        2: CardRow("pok", "192", "Orrin, the Ashen", "mythic", "Peaks of Kindling"),
        3: CardRow("pok", "192", "Orrin, the Ashen", "mythic", "Peaks of Kindling"),
        4: CardRow("suc", "39", "Lantern Thief // Borrowed Light", "rare", "Sunken Court"),
        5: CardRow("ex-127", "14", "Meadow", "common", "Extras: Sunken Court"),
    }),
    "deckbox-2019.csv": ("deckbox", {
        2: CardRow("peaks-of-kindling", "192", "Lîm-Orn's Vault", "unknown", "Peaks of Kindling"),
        3: CardRow("the-chronicle-of-the-ki-49dc2214", "262", "Meadow", "unknown",
                   "The Chronicle of the Kindled Peaks: Tales of the Last Forge"),
    }),
    "moxfield.csv": ("moxfield", {
        2: CardRow("pok", "263", "Sun Anvil", "unknown"),
        3: CardRow("suc", "39", "Lantern Thief // Borrowed Light", "unknown"),
        4: CardRow("ppok", "152★", "Sun Anvil", "unknown"),
        5: "no set: nothing in 'Edition'",
    }),
    "manabox.csv": ("manabox", {
        2: CardRow("suc", "39", "Lantern Thief // Borrowed Light", "rare", "Sunken Court"),
        3: CardRow("suc", "39", "Lantern Thief // Borrowed Light", "rare", "Sunken Court"),
        4: CardRow("plst", "POK-192", "Orrin, the Ashen", "mythic", "The List"),
    }),
    "topdecked.csv": ("topdecked", {
        2: CardRow("pok", "263", "Sun Anvil", "uncommon", "The Kindled' Peaks"),
        3: CardRow("pok", "263", "Sun Anvil", "uncommon", "The Kindled' Peaks"),
        4: CardRow("suc", "41", "Errant, Lantern Thief", "rare", "Sunken Court"),
    }),
    "dragonshield.csv": ("dragonshield", {
        3: CardRow("pok", "109s", "Orn's Weirding", "unknown", "Peaks of Kindling"),
        4: CardRow("pok", "109s", "Orn's Weirding", "unknown", "Peaks of Kindling"),
        5: CardRow("gk2-peaks", "12", "Ember Token (4/4)", "unknown", "Guild Kit: Peaks"),
    }),
    "dragonshield-app.csv": ("dragonshield-app", {
        2: CardRow("pok", "263", "Sun Anvil", "unknown", "Peaks of Kindling"),
        3: CardRow("suc", "39", "Lantern Thief", "unknown", "Sunken Court"),
        4: CardRow("suc", "39", "Borrowed Light", "unknown", "Sunken Court"),
    }),
    "cardmarket.csv": ("cardmarket", {
        2: CardRow("sunken-court", "mkm7437", "High Lantern", "unknown", "Sunken Court"),
        3: CardRow("pok", "97", "Ash Rider // Swift End", "unknown", "Peaks of Kindling"),
        4: CardRow("pok", "97", "Ash Rider // Swift End", "unknown", "Peaks of Kindling"),
    }),
    "cardmarket-articles.csv": ("cardmarket-articles", {
        2: CardRow("commander-tales-of-the-0596c1d5", "mkm824528", "Clever Lantern", "unknown",
                   "Commander: Tales of the Last Forge – Märchen"),
        3: CardRow("sunken-court", "mkm835390", "Old Tomb (V.1)", "unknown", "Sunken Court"),
    }),
    "ygoprodeck.csv": ("ygoprodeck", {
        2: CardRow("kdr", "KDR-EN017", "Ember Wyrm", "Common", "Kindled Raiders"),
        3: CardRow("kdr", "KDR-EN049", 'Spirit Lantern "I"', "Quarter Century Secret Rare", "Kindled Raiders"),
        4: CardRow("kdr", "KDR-EN050", 'Spirit Lantern "N"', "Ultra Rare", "Kindled Raiders"),
        5: CardRow("rsw", "RSW-EN001", "Beatrix, Lady of the Lantern", "Ultra Rare", "Raiders, Second Wave"),
        6: CardRow("kdr", "KDR-EN017", "Ember Wyrm", "Ultra Rare", "Kindled Raiders"),
        7: "no set: nothing in 'cardcode', 'cardset'",
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTED)
def test_an_export_is_known_and_read(name: str):
    format_name, rows = EXPORTED[name]
    with catalog_file(EXPORTS / name) as file:
        assert isinstance(file, CsvFile)
        assert (file.columns.format.name, file.columns.format.collection) == (format_name, True)
    assert read(EXPORTS / name) == rows


def test_every_format_has_an_export_to_be_tested_with():
    assert {format_name for format_name, _ in EXPORTED.values()} == {*READABLE} - {"ece"}
    refused = {"cardmarket-stock.csv", "cardmarket-orders.csv"}
    assert {path.name for path in EXPORTS.glob("*.csv")} == EXPORTED.keys() | refused


@pytest.mark.parametrize(
    ("name", "why"), [("cardmarket-stock.csv", "names no cards"), ("cardmarket-orders.csv", "an order in a row")]
)
def test_an_export_that_has_no_cards_says_so(name: str, why: str):
    with pytest.raises(FileBroken, match=why):
        read(EXPORTS / name)
