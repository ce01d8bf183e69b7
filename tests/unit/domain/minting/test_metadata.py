"""Metadata documents: one form, limits in bytes, and typed errors."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ERRORS
from domain.minting.cards import MintedCard, Picture, metadata_of, name_on_chain, symbol_on_chain
from domain.minting.metadata import (
    ATTRIBUTES_MAX,
    DOCUMENT_BYTES_MAX,
    NAME_BYTES_MAX,
    SYMBOL_BYTES_MAX,
    InvalidMetadata,
    check_on_chain,
    encode,
    parse,
)
from domain.text import line

CARD = MintedCard(
    name="Charizard", set_code="base-set", set_name="Base Set", number="4", rarity="rare", serial=7,
    description="Spits fire.\nBreathes it, too.", traits={"Type": "Fire", "Artist": "Mitsuhiro Arita"}, edition=100,
    grader="PSA", grade=95, royalty_basis_points=500, creators=(("11111111111111111111111111111111", 100),),
)  # fmt: skip
PICTURE = Picture("ipfs://bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", "image/webp")


def test_a_copy_of_a_card_has_this_document():
    assert json.loads(encode(metadata_of(CARD, PICTURE))) == {
        "name": "Charizard #7",
        "symbol": "BASE-SET",
        "description": "Spits fire.\nBreathes it, too.",
        "seller_fee_basis_points": 500,
        "image": PICTURE.uri,
        "attributes": [
            {"trait_type": "Card", "value": "Charizard"},
            {"trait_type": "Set", "value": "Base Set"},
            {"trait_type": "Number", "value": "4"},
            {"trait_type": "Rarity", "value": "rare"},
            {"trait_type": "Serial", "value": "7"},
            {"trait_type": "Edition", "value": "100"},
            {"trait_type": "Grader", "value": "PSA"},
            {"trait_type": "Grade", "value": "9.5"},
            {"trait_type": "Artist", "value": "Mitsuhiro Arita"},
            {"trait_type": "Type", "value": "Fire"},
        ],
        "properties": {
            "category": "image",
            "files": [{"uri": PICTURE.uri, "type": "image/webp"}],
            "creators": [{"address": "11111111111111111111111111111111", "share": 100}],
        },
    }


def test_a_card_without_a_picture_has_none():
    document = json.loads(encode(metadata_of(MintedCard("Pikachu", "jungle", "Jungle", "60", "common", 1), None)))
    assert "image" not in document
    assert "properties" not in document


words = st.text(min_size=1, max_size=64).map(lambda text: _line(text)).filter(bool)


def _line(text: str) -> str:
    try:
        return line(text)
    except ValueError:
        return ""


cards = st.builds(
    MintedCard, name=words, set_code=st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True), set_name=words,
    number=words, rarity=words, serial=st.integers(1, 2**31 - 1), description=words,
    traits=st.dictionaries(words, words, max_size=32), grader=words, grade=st.integers(10, 100),
    royalty_basis_points=st.integers(0, 10_000),
)  # fmt: skip


@given(cards, st.randoms())
def test_equal_cards_have_equal_bytes_in_the_one_form_of_json(card: MintedCard, chance: Any):
    document = encode(metadata_of(card, PICTURE))
    shuffled = list(card.traits.items())
    chance.shuffle(shuffled)
    again = MintedCard(**{name: getattr(card, name) for name in card.__struct_fields__} | {"traits": dict(shuffled)})
    assert encode(metadata_of(again, PICTURE)) == document
    # RFC 8785, for names in ASCII.
    members = json.loads(document)
    assert json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == document
    assert encode(parse(document)) == document


@given(words, st.integers(1, 2**31 - 1))
def test_a_name_fits_the_account_and_keeps_its_number(name: str, serial: int):
    found = name_on_chain(name, serial)
    assert len(found.encode()) <= NAME_BYTES_MAX
    assert found.endswith(f" #{serial}")


def test_long_names_and_symbols_are_shortened():
    assert name_on_chain("Blastoise, Shadowless First Edition", 12) == "Blastoise, Shadowless Fir… #12"
    assert symbol_on_chain("scarlet-violet-151") == "SCARLET-VI"
    assert len(symbol_on_chain("a" * 32).encode()) == SYMBOL_BYTES_MAX


def refused(document: Any) -> tuple[str, str, int | None]:
    with pytest.raises(InvalidMetadata) as error:
        parse(document if isinstance(document, bytes) else json.dumps(document).encode())
    assert error.value.code in ERRORS
    copy = pickle.loads(pickle.dumps(error.value))
    assert (copy.code, str(copy), copy.field, copy.maximum) == (
        error.value.code, str(error.value), error.value.field, error.value.maximum,
    )  # fmt: skip
    return error.value.code, error.value.field, error.value.maximum


def creator(share: int) -> dict[str, Any]:
    return {"address": "11111111111111111111111111111111", "share": share}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "n" * 33}, ("metadata_too_long", "name", 32)),
        ({"name": "é" * 17}, ("metadata_too_long", "name", 32)),
        ({"symbol": "S" * 11}, ("metadata_too_long", "symbol", 10)),
        ({"image": "https://" + "i" * 200}, ("metadata_too_long", "image", 200)),
        ({"description": "d" * 4_001}, ("invalid_metadata", "description", None)),
        ({"seller_fee_basis_points": 10_001}, ("royalty_too_high", "seller_fee_basis_points", 10_000)),
        ({"seller_fee_basis_points": -1}, ("invalid_metadata", "seller_fee_basis_points", None)),
        ({"seller_fee_basis_points": 2.5}, ("invalid_metadata", "seller_fee_basis_points", None)),
        ({"seller_fee_basis_points": "500"}, ("invalid_metadata", "seller_fee_basis_points", None)),
        ({"attributes": [{"trait_type": "t", "value": "v"}] * (ATTRIBUTES_MAX + 1)},
         ("too_many_attributes", "attributes", ATTRIBUTES_MAX)),
        ({"attributes": [{"trait_type": "t"}]}, ("invalid_metadata", "attributes[0]", None)),
        ({"attributes": {"Type": "Fire"}}, ("invalid_metadata", "attributes", None)),
        ({"name": ""}, ("invalid_metadata", "name", None)),
        ({"name": "\u200b"}, ("invalid_metadata", "name", None)),
        ({"name": "a\u202eb"}, ("invalid_metadata", "name", None)),
        ({"name": 7}, ("invalid_metadata", "name", None)),
        ({"nmae": "x"}, ("invalid_metadata", "document", None)),
        ({"image": "javascript:alert(1)"}, ("invalid_metadata", "image", None)),
        ({"image": "http://127.0.0.1/"}, ("invalid_metadata", "image", None)),
        ({"image": "data:image/png;base64,AA=="}, ("invalid_metadata", "image", None)),
        ({"properties": {"files": [{"uri": "file:///etc/passwd", "type": "x"}]}},
         ("invalid_metadata", "properties.files", None)),
        ({"properties": {"creators": [creator(60), creator(41)]}}, ("invalid_metadata", "properties.creators", None)),
        ({"properties": {"creators": [creator(20)] * 6}}, ("metadata_too_long", "properties.creators", 5)),
        ({"properties": {"creators": [creator(101)]}}, ("invalid_metadata", "properties.creators[0].share", None)),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_each_broken_rule_has_its_code(fields: dict[str, Any], expected: tuple[str, str, int | None]):
    assert refused({"name": "Charizard #7"} | fields) == expected


@pytest.mark.parametrize(
    "document", [b"", b"x", b"[]", b"7", b"null", b"{", b"\xff", b"[" * 60_000, b'{"name":"\\ud800"}']
)
def test_what_is_no_document_is_refused(document: bytes):
    assert refused(document)[0] == "invalid_metadata"


def test_a_document_that_is_too_large_is_refused():
    assert refused(b" " * (DOCUMENT_BYTES_MAX + 1)) == ("metadata_too_long", "document", DOCUMENT_BYTES_MAX)


def test_what_the_account_holds_is_checked_alone():
    check_on_chain("n" * 32, "s" * 10, "u" * 200, 10_000)
    with pytest.raises(InvalidMetadata) as error:
        check_on_chain("name", "SYM", "u" * 201, 0)
    assert (error.value.code, error.value.field, error.value.maximum) == ("metadata_too_long", "uri", 200)
