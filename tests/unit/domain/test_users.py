import itertools
import string

import pytest
from confusable_homoglyphs.confusables import confusables_data

from domain.users import email_address, email_key, is_reserved, login_key, skeleton

CHARACTERS = string.ascii_letters + string.digits + "-_"


@pytest.mark.parametrize(
    ("written", "shown", "key"),
    [
        ("Ann@Example.ORG", "Ann@example.org", "ann@example.org"),
        ("ann@xn--bcher-kva.example", "ann@bücher.example", "ann@bücher.example"),
        ("ann@BÜCHER.example", "ann@bücher.example", "ann@bücher.example"),
        ("U\u0308nal@example.org", "Ünal@example.org", "ünal@example.org"),
        (" ann@example.org\n", "ann@example.org", "ann@example.org"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(written: str, shown: str, key: str):
    assert (email_address(written), email_key(written), email_key(shown), login_key(written)) == (shown, key, key, key)


@pytest.mark.parametrize("text", ["", "ann", "a b@example.org", "a\u202e@example.org", "a\0@example.org", "a@b@c"])
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(ValueError, match="this is no e-mail address"):
        email_address(text)


def test_names_are_compared_in_small_letters():
    assert login_key(" Ann-1 ") == "ann-1"


def test_skeletons_are_those_of_unicode_for_the_characters_of_usernames():
    alike = {(one, other["c"]) for one in CHARACTERS for other in confusables_data.get(one, [])
             if set(other["c"]) <= set(CHARACTERS)}  # fmt: skip
    assert alike >= {("0", "O"), ("1", "l"), ("I", "l"), ("m", "rn")}
    assert [(one, other) for one, other in alike if skeleton(one) != skeleton(other)] == []
    # And no others: those that are alike, and the same letter in another case.
    same = {(one, other) for one, other in itertools.product(CHARACTERS, repeat=2) if skeleton(one) == skeleton(other)}
    by_case = {frozenset("oO0"), frozenset("iIlL1")}
    assert {(one, other) for one, other in same if one.lower() != other.lower()} == {
        (one, other) for group in by_case for one, other in itertools.product(group, repeat=2)
        if one.lower() != other.lower()
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["admin", "ADMIN", "Adm1n", "adrnin", "ad-min", "_operator_", "0perator", "house", "System", "sys-tem", "SUPP0RT"],
)
def test_names_of_the_house_are_reserved_and_their_doubles(name: str):
    assert is_reserved(name)


@pytest.mark.parametrize(
    "name", ["ann", "bob", "housekeeper", "system-of-a-down", "admiral", "operetta", "cleo", "dan2"]
)
def test_other_names_are_free(name: str):
    assert not is_reserved(name)
