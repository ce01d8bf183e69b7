import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.rows import BadRow, CardRow, row_from_csv, row_from_json
from domain.text import BadText, line

GOOD: dict[str, Any] = {"set": "base", "number": "4", "name": "Charizard", "rarity": "rare"}


def test_a_row_has_what_it_says():
    row = row_from_json(json.dumps(GOOD | {"traits": {"type": "fire"}, "edition": 5}).encode())
    assert row == CardRow("base", "4", "Charizard", "rare", traits={"type": "fire"}, edition=5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"set": "No Code"}, {"set": None}, {"number": 4}, {"name": ""}, {"name": "  "},
        {"name": "x" * 201}, {"name": "a\0b"}, {"name": "\u200b"}, {"name": "Pika\x1b[31mchu"},
        {"rarity": "\u202erare"}, {"number": "\u3164"}, {"traits": {"\u00e9": "1", "e\u0301": "2"}},
        {"images": ["\x1b"]}, {"set": "\x1b"}, {"\x1b": 1}, {"edition": 0}, {"edition": -1}, {"edition": 1.0},
        {"edition": "1"},
        {"edition": 2**31}, {"edition": True}, {"traits": ["fire"]}, {"traits": {"type": 1}}, {"images": "x"},
        {"colour": "red"}, {"description": "x" * 4001},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_card_is_refused(wrong: dict[str, Any]):
    with pytest.raises(BadRow):
        row_from_json(json.dumps(GOOD | wrong).encode())


def test_text_is_cleaned_in_every_field_before_anything_is_asked_of_it():
    given: dict[str, Any] = {
        "set": " base\n", "number": "\u00a0235", "name": "Poke\u0301mon\u200b  Mew", "rarity": " rare ",
        "set_name": "Base\u3000Set", "description": " One\r\nTwo ", "traits": {" ty\u200bpe": "Fe\u0301e "},
        "images": [" a.webp"], "model_3d": "b.glb\u2060",
    }  # fmt: skip
    row = CardRow(
        "base", "235", "Pokémon Mew", "rare", "Base Set", "One\nTwo", {"type": "Fée"}, None, ["a.webp"], "b.glb"
    )
    assert row_from_json(json.dumps(given).encode()) == row
    columns = [*(name for name in given if name not in ("traits", "images")), "images", "trait: ty\u200bpe"]
    cells = [given[name] for name in columns[:-2]]
    assert row_from_csv(columns, [*cells, " a.webp", "Fe\u0301e "]) == row


def test_what_is_said_of_a_row_has_nothing_that_a_terminal_acts_on():
    with pytest.raises(BadRow) as bad:
        row_from_json(json.dumps(GOOD | {"\x1b[31m": 1}).encode())
    assert str(bad.value).isprintable()


@pytest.mark.parametrize("missing", GOOD)
def test_what_is_missing_is_named(missing: str):
    with pytest.raises(BadRow, match=missing):
        row_from_json(json.dumps({name: value for name, value in GOOD.items() if name != missing}).encode())


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused(line: bytes):
    with pytest.raises(BadRow):
        row_from_json(line)


def cleaned(text: str) -> str:
    try:
        return line(text)
    except BadText:
        return ""


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).map(cleaned).filter(bool)


@given(text, text, st.dictionaries(text, text, max_size=4), st.none() | st.integers(1, 2**31 - 1))
def test_json_and_csv_say_the_same(number: str, name: str, traits: dict[str, str], edition: int | None):
    row = CardRow("base", number, name, "rare", traits=traits, edition=edition)
    assert row_from_json(msgspec.json.encode(row)) == row
    columns = ["set", "number", "name", "rarity", "edition", *(f"trait:{key}" for key in traits)]
    cells = ["base", number, name, "rare", "" if edition is None else str(edition), *traits.values()]
    assert row_from_csv(columns, cells) == row


@pytest.mark.parametrize("edition", ["1.0", "-1", "+1", " 1", "1e3", "٣", "0", "99999999999"])
def test_a_cell_that_is_no_count_is_refused(edition: str):
    with pytest.raises(BadRow):
        row_from_csv([*GOOD, "edition"], [*GOOD.values(), edition])
