"""Which new passwords are refused: common ones, and those made of what others know of a user.

As NIST SP 800-63B asks: a list, the user's own words, and no rules about kinds of characters.
"""

import gzip
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal

Reason = Literal["common", "repetitive", "personal"]

LIST_FILE = "common_passwords.txt.gz"
# A listed password stays a common one with so many digits and signs around it.
AROUND_MAX = 6
# A repetition of so few characters is no password.
PERIOD_MAX = 4
OWN_WORD_LENGTH_MIN = 3
# What has to be left of letters without the user's own words.
LETTERS_LEFT_MIN = 4


class PasswordRefused(Exception):
    """Others would guess this password early: choose another one."""

    code = "password_refused"

    def __init__(self, reason: Reason) -> None:
        super().__init__({
            "common": "this password, or one like it, is on lists of common passwords",
            "repetitive": "this password repeats a few characters",
            "personal": "this password consists of your name, your address or the name of this site",
        }[reason])  # fmt: skip
        self.reason = reason


def check_password(password: str, own_words: Iterable[str]) -> None:
    """``own_words``: the user's name and address, and names of the site. Raises PasswordRefused."""
    folded = password.casefold()
    if _is_repetitive(folded):
        raise PasswordRefused("repetitive")
    core = folded.strip("0123456789!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")
    if folded in common_passwords() or (len(folded) - len(core) <= AROUND_MAX and core in common_passwords()):
        raise PasswordRefused("common")
    if _is_personal(folded, own_words):
        raise PasswordRefused("personal")


@cache
def common_passwords() -> frozenset[str]:
    """In small letters; of 5 characters and more."""
    packed = files("gateway.identity.passwords").joinpath(LIST_FILE).read_bytes()
    return frozenset(gzip.decompress(packed).decode().split())


def _is_repetitive(folded: str) -> bool:
    return any(folded == (folded[:period] * len(folded))[: len(folded)] for period in range(1, PERIOD_MAX + 1))


def _is_personal(folded: str, own_words: Iterable[str]) -> bool:
    words = {word.casefold() for word in own_words}
    words |= {part for word in words for part in word.replace("@", " ").replace(".", " ").split()}
    left = folded
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= OWN_WORD_LENGTH_MIN:
            left = left.replace(word, "")
    return left != folded and sum(character.isalpha() for character in left) < LETTERS_LEFT_MIN
