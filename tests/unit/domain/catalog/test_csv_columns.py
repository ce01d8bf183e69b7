import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.csv_columns import BadColumns, Columns, columns_of
from domain.catalog.csv_formats import FORMATS, READABLE, column_key, field_known, set_code
from domain.catalog.rows import BadRow, CardRow

OWN = ["set", "number", "name", "rarity"]
A_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")


def columns(*header: str, format_name: str | None = None, **mapped: str) -> Columns:
    return columns_of(list(header), format_name, mapped)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("base", "base"), ("BS", "bs"), ("Base Set", "base-set"), (" The Brothers' War ", "the-brothers-war"),
        ("GK2_AZORIUS", "gk2-azorius"), ("ex_127", "ex-127"), ("Pokémon 151", "pokemon-151"), ("", ""), (" ", ""),
        ("The Lord of the Rings: Tales of Middle-earth", "the-lord-of-the-rings-t-94b75042"),
        ("拡張パック", "132b987b"), ("拡張ハ\u309aック", "132b987b"),
        ("Łódź Straße", "lodz-strasse"), ("Æther’s", "aethers"),
    ],
)  # fmt: skip
def test_a_set_written_in_any_way_has_one_code(written: str, code: str):
    assert set_code(written) == code


@given(st.text(max_size=80))
def test_whatever_is_written_is_a_code_and_codes_stay(written: str):
    code = set_code(written)
    assert code == "" if not written.split() else A_CODE.match(code)
    assert set_code(code) == code


def test_long_names_that_begin_alike_are_two_sets():
    assert set_code("Secret Lair Drop Series: Artists One") != set_code("Secret Lair Drop Series: Artists Two")


def test_names_of_columns_may_have_blanks_any_case_and_underscores():
    found = columns("\ufeffSet", " NUMBER ", "Name", "rarity", "Set Name", "Trait: Type")
    assert found.row(["base", "4", "Charizard", "rare", "Base Set", "Fire"]) == CardRow(
        "base", "4", "Charizard", "rare", "Base Set", traits={"Type": "Fire"}
    )


def test_what_stands_where_a_code_should_be_is_the_name_of_the_set():
    found = columns(*OWN)
    assert found.row(["Base Set", "4", "Charizard", "rare"]) == CardRow(
        "base-set", "4", "Charizard", "rare", "Base Set"
    )
    assert found.row(["BASE", "4", "Charizard", "rare"]) == CardRow("base", "4", "Charizard", "rare")


def test_columns_without_a_name_may_be_empty_and_nothing_else():
    found = columns("", *OWN, "", " ")
    assert found.row(["", "base", "4", "Charizard", "rare", "", " "]) == CardRow("base", "4", "Charizard", "rare")
    assert found.row(["", "base", "4", "Charizard", "rare"]) == CardRow("base", "4", "Charizard", "rare")
    with pytest.raises(BadRow, match="a cell has text in a column without a name"):
        found.row(["", "base", "4", "Charizard", "rare", "", "1999"])


def test_a_row_may_end_early_after_what_a_card_needs_and_go_on_with_nothing():
    found = columns(*OWN, "description", "edition")
    assert found.row(["base", "4", "Charizard", "rare"]) == CardRow("base", "4", "Charizard", "rare")
    assert found.row(["base", "4", "Charizard", "rare", "", "", "", " "]) == CardRow("base", "4", "Charizard", "rare")
    for cells in (["base", "4", "Charizard"], ["base", "4", "Charizard", "rare", "", "", "more"]):
        with pytest.raises(BadRow, match=f"^{len(cells)} cells where the header has 6$"):
            found.row(cells)


def test_an_empty_cell_of_what_a_card_needs_is_named_by_its_column():
    with pytest.raises(BadRow, match=r"^no number: nothing in 'Card Number'$"):
        columns(*OWN, "Card Number", number="card number").row(["base", "1", "Charizard", "rare", ""])


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (["set", "number", "name"], "the column 'rarity' is missing; there are 'set', 'number', 'name'. --map rarity="),
        ([*OWN, "Colour"], "unknown column 'Colour'"),
        ([*OWN, " SET"], "the column 'set' occurs twice"),
        (["Titel", "Nr", "Serie"], "columns of no known format: 'Titel', 'Nr', 'Serie'. A catalog has set, number, n"),
        (["base"], "columns of no known format: 'base'"),
        ([f"c{n}" for n in range(20)], "'c11' and 8 more. A catalog has"),
    ],
)  # fmt: skip
def test_a_header_that_is_none_says_why(header: list[str], why: str):
    with pytest.raises(BadColumns, match=re.escape(why)):
        columns_of(header, None, {})


def test_columns_are_what_one_says_and_others_are_left_out():
    found = columns("Titel", "Nr", "Serie", "Wert", "Preis", name="titel", number="Nr", set="Serie", rarity="Wert")
    assert found.row(["Glurak", "4", "Basis", "Rare", "5 €"]) == CardRow("basis", "4", "Glurak", "Rare")
    assert (found.ignored, found.format.collection) == (["Preis"], False)
    with pytest.raises(BadColumns, match="no column 'Name' to take the name from; there are 'Titel', 'Nr'"):
        columns("Titel", "Nr", name="Name")


def test_any_file_can_be_a_collection_which_needs_no_rarities():
    mapped = {"number": "Card Number", "set": "Set Code"}
    found = columns_of(["Name", "Set Code", "Card Number", "Printing"], None, mapped, collection=True)
    assert found.row(["Mew", "BASE", "4", "Foil"]) == CardRow("base", "4", "Mew", "unknown")
    assert found.format.collection


def test_what_one_says_goes_before_what_a_format_says():
    header = "cardname", "cardq", "cardrarity", "cardset", "cardcode", "print_id"
    found = columns(*header, number="print_id", **{"trait:code": "cardcode"})
    assert found.row(["Ember Wyrm", "1", "Common", "Kindled Raiders", "KDR-EN017", "21779"]) == CardRow(
        "kdr", "21779", "Ember Wyrm", "Common", "Kindled Raiders", traits={"code": "KDR-EN017"}
    )


def test_a_format_can_be_forced_and_says_what_it_lacks():
    assert columns("Name", "Edition", "Card Number", format_name="deckbox").format.name == "deckbox"
    with pytest.raises(BadColumns, match="the column 'card number' is missing; there are 'Name', 'Edition'"):
        columns("Name", "Edition", format_name="deckbox")


@pytest.mark.parametrize("one", FORMATS, ids=lambda its: its.name)
def test_a_format_is_known_by_its_columns_and_taken_for_no_other(one):
    assert [its.name for its in FORMATS if its.marks <= one.marks] == [one.name]
    named = {source.column for sources in one.sources.values() for source in sources}
    assert all(column == column_key(column) for column in one.marks | named)
    assert all(field_known(field) for field in one.sources)
    assert (one.name in READABLE) != bool(one.refusal)
