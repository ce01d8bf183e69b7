"""Letters of other scripts that look like ASCII: Unicode's table, and names of the house that can't be imitated."""

import unicodedata
from collections import defaultdict

import pytest
from confusable_homoglyphs.confusables import confusables_data

from domain.confusables import LOOKS_LIKE_ASCII
from domain.users import is_reserved, skeleton


def of_unicode() -> dict[str, str]:
    """By ASCII letter or digit: the letters and digits that UTS 39 takes for it, and that NFKC leaves as they are."""
    found: dict[str, list[str]] = defaultdict(list)
    for character, others in confusables_data.items():
        plain = [one["c"] for one in others if len(one["c"]) == 1 and one["c"].isascii() and one["c"].isalnum()]
        if (
            plain
            and len(character) == 1
            and not character.isascii()
            and unicodedata.category(character)[0] in "LN"
            and unicodedata.normalize("NFKC", character) == character
        ):
            found[plain[0].lower()].append(character)
    return {letter: "".join(sorted(same)) for letter, same in sorted(found.items())}


def test_the_table_is_that_of_unicode():
    assert of_unicode() == LOOKS_LIKE_ASCII
    assert sum(map(len, LOOKS_LIKE_ASCII.values())) > 300


@pytest.mark.parametrize(
    "name",
    [
        "\u0430dmin", "\u0410DMIN", "\uff41\uff44\uff4d\uff49\uff4e",
        "\U0001d41a\U0001d41d\U0001d426\U0001d422\U0001d427",
        "\u0455upp\u043ert", "\u03bfperator", "\u00e1dmin", "adm\u0131n", "\u13aadmin",
    ],
)  # fmt: skip
def test_names_of_the_house_in_letters_of_other_scripts_are_reserved(name: str):
    assert is_reserved(name)


@pytest.mark.parametrize(
    "name", ["\u0410\u043d\u043d\u0430", "\u674e\u5c0f\u9f8d", "\u00c9lodie", "Jos\u00e9", "\u0391\u03bd\u03bd\u03b1"]
)
def test_names_of_people_in_other_scripts_are_not(name: str):
    assert not is_reserved(name)


def test_what_looks_alike_has_one_skeleton():
    assert skeleton("\u0440\u0430\u0443\u0440\u0430\u04c0") == skeleton("paypal")
    assert skeleton("anna") != skeleton("\u0430\u043d\u043d\u0430")
