"""Which CSV files are known: the engine's own format, and what collectors' programs export.

A new format is one entry in FORMATS. Columns are found by name, never by place; case, blanks and underscores of a name
don't count.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from domain.catalog.rows import TRAIT_PREFIX, CardRow
from domain.catalog.words import folded
from domain.text import normal

REQUIRED = ("set", "number", "name", "rarity")
SET_CODE_MAX = 32
# Of a name that is too long as a code, this much is kept before its hash.
SET_CODE_STEM = 23
RARITY_UNKNOWN = "unknown"


class Source(NamedTuple):
    """A column (by its ``column_key``) that a member of a card may come from, and how its text is read."""

    column: str
    read: Callable[[str], str] | None = None


class Format(NamedTuple):
    """Files that one program writes. Of several sources the first whose cell isn't empty counts."""

    name: str
    title: str
    # Which version of the program's export this was made from.
    made_for: str
    # Columns that tell the format from all others.
    marks: frozenset[str]
    sources: Mapping[str, Sequence[Source]]
    # A collection lists copies: a card may stand in several rows, and cards that the catalog has stay as they are.
    collection: bool = True
    # Why files of this format can't be read.
    refusal: str = ""


def field_known(name: str) -> bool:
    """Whether a card can have this member from a column of its own."""
    return name in OWN_FORMAT.sources or (name.startswith(TRAIT_PREFIX) and name != TRAIT_PREFIX)


def column_key(name: str) -> str:
    """What a column is known by."""
    return " ".join(name.replace("\ufeff", "").replace("_", " ").split()).casefold()


@lru_cache(maxsize=4_096)
def set_code(text: str) -> str:
    """A set's code or name as a code of ours: `BASE` is `base`, `Throne of Eldraine` is `throne-of-eldraine`.

    Names too long for a code, or without a Latin letter or digit, are told apart by a hash of the whole name.
    """
    text = normal(" ".join(text.split()).casefold())
    plain = folded(re.sub("['’`]", "", text)).encode("ascii", "ignore").decode()
    code = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if text and (not code or len(code) > SET_CODE_MAX):
        code = f"{code[:SET_CODE_STEM].strip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".strip("-")
    return code


def _deckbox_rarity(text: str) -> str:
    rarity = text.strip().casefold()
    return {"mythicrare": "mythic", "basicland": "common"}.get(rarity, rarity)


def _before_the_dash(text: str) -> str:
    """`MRD` of `MRD-EN017`; nothing where there is no dash."""
    return text.partition("-")[0] if "-" in text else ""


def _cardmarket_product(text: str) -> str:
    return f"mkm{text.strip()}" if text.strip() else ""


def _format(name: str, title: str, made_for: str, marks: Iterable[str], /, **sources: Sequence[Source]) -> Format:
    return Format(name, title, made_for, frozenset(marks), sources)


def _unreadable(name: str, title: str, made_for: str, marks: Iterable[str], refusal: str) -> Format:
    return Format(name, title, made_for, frozenset(marks), {}, refusal=refusal)


OWN_FORMAT = Format(
    "ece",
    "an ECE catalog",
    "this version",
    frozenset(REQUIRED),
    {field: (Source(column_key(field)),) for field in CardRow.__struct_fields__ if field != "traits"},
    collection=False,
)

FORMATS = (
    OWN_FORMAT,
    _format(
        "deckbox", "Deckbox", "its inventory export of 2019 (without `Edition Code`) to 2026",
        ("count", "name", "edition", "card number"),
        # Edition is a set's name; the code is Deckbox's own for old sets.
        set=[Source("edition code"), Source("edition")], set_name=[Source("edition")], number=[Source("card number")],
        name=[Source("name")], rarity=[Source("rarity", _deckbox_rarity)],
    ),
    _format(
        "moxfield", "Moxfield", "its collection export of 2024 to 2026",
        ("count", "name", "edition", "collector number"),
        set=[Source("edition")], number=[Source("collector number")], name=[Source("name")],
    ),
    _format(
        "manabox", "ManaBox", "its collection and binder exports of 2023 to October 2026",
        ("name", "set code", "set name", "collector number"),
        set=[Source("set code")], set_name=[Source("set name")], number=[Source("collector number")],
        name=[Source("name")], rarity=[Source("rarity")],
    ),
    _format(
        "topdecked", "TopDecked", "its collection export of 2023 to 2026",
        ("name", "setcode", "collector number"),
        set=[Source("setcode")], set_name=[Source("setname")], number=[Source("collector number")],
        name=[Source("name")], rarity=[Source("rarity")],
    ),
    _format(
        "dragonshield", "Dragon Shield", "the web export of its card manager, 2023 to 2026",
        ("card name", "set code", "card number"),
        set=[Source("set code")], set_name=[Source("set name")], number=[Source("card number")],
        name=[Source("card name")],
    ),
    _format(
        "dragonshield-app", "Dragon Shield (app)", "the export of its app of 2024",
        ("name", "cardnumber", "expansion code"),
        set=[Source("expansion code")], set_name=[Source("expansion name")], number=[Source("cardnumber")],
        name=[Source("name")],
    ),
    _format(
        "cardmarket", "Cardmarket", "its stock export with names, as of API 2.0",
        ("idproduct", "english name", "exp. name"),
        # The collector's number is often empty, and older files don't have it; the product is always there.
        set=[Source("exp."), Source("exp. name")], set_name=[Source("exp. name")],
        number=[Source("collectornumber"), Source("collector number"), Source("idproduct", _cardmarket_product)],
        name=[Source("english name"), Source("local name")],
    ),
    _format(
        "cardmarket-articles", "Cardmarket (articles)", "its list of purchased or sold articles of 2025",
        ("product id", "localized product name", "expansion"),
        set=[Source("expansion")], set_name=[Source("expansion")], number=[Source("product id", _cardmarket_product)],
        name=[Source("article"), Source("localized product name")],
    ),
    _unreadable(
        "cardmarket-stock", "Cardmarket (stock)", "its stock export of 2026", ("idproduct", "groupcount"),
        "this stock file of Cardmarket names no cards, only its own product ids; export the articles instead",
    ),
    _unreadable(
        "cardmarket-orders", "Cardmarket (orders)", "its list of orders of 2025",
        ("orderid", "article count", "description"),
        "this file has an order in a row, not a card; export the articles instead",
    ),
    _format(
        "ygoprodeck", "YGOPRODeck", "its collection export of 2023 to 2025", ("cardname", "cardset", "cardcode"),
        # The number printed on a card begins with the code of its set: MRD-EN017.
        set=[Source("cardcode", _before_the_dash), Source("cardset")], set_name=[Source("cardset")],
        number=[Source("cardcode")], name=[Source("cardname")], rarity=[Source("cardrarity")],
    ),
)  # fmt: skip
FORMAT_OF = {its.name: its for its in FORMATS}
READABLE = [its.name for its in FORMATS if not its.refusal]
