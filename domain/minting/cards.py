"""The metadata of a copy of a card."""

from collections.abc import Mapping

import msgspec

from domain.minting.metadata import (
    NAME_BYTES_MAX,
    SYMBOL_BYTES_MAX,
    Attribute,
    Creator,
    File,
    Metadata,
    Properties,
    is_address,
)

ELLIPSIS = "…"


class Picture(msgspec.Struct, frozen=True):
    """The address of an image, and its media type where that is known."""

    uri: str
    media_type: str | None = None


class MintedCard(msgspec.Struct, frozen=True):
    """A copy of a card, as the catalog has it. ``grade`` in tenths; ``creators``: chain addresses and percents."""

    name: str
    set_code: str
    set_name: str
    number: str
    rarity: str
    serial: int
    description: str = ""
    traits: Mapping[str, str] = {}
    edition: int | None = None
    grader: str | None = None
    grade: int | None = None
    images: tuple[str, ...] = ()
    model_3d: str | None = None
    royalty_basis_points: int = 0
    creators: tuple[tuple[str, int], ...] = ()


def metadata_of(card: MintedCard, picture: Picture | None) -> Metadata:
    """The same metadata for the same copy and picture, whenever and wherever they are made.

    Without a picture the document has no ``image``. A model is named where wallets can reach it.
    """
    return Metadata(
        name=name_on_chain(card.name, card.serial),
        symbol=symbol_on_chain(card.set_code),
        description=card.description,
        seller_fee_basis_points=card.royalty_basis_points,
        image=None if picture is None else picture.uri,
        animation_url=card.model_3d if card.model_3d is not None and is_address(card.model_3d) else None,
        attributes=_attributes(card),
        properties=_properties(card, picture),
    )


def name_on_chain(name: str, serial: int) -> str:
    """``Charizard #7``; a long name is shortened, so that the number stays."""
    number = f" #{serial}"
    return _shortened(name, NAME_BYTES_MAX - len(number)) + number


def symbol_on_chain(set_code: str) -> str:
    """The code of the set, in capitals, as long as it fits."""
    return set_code.upper()[:SYMBOL_BYTES_MAX].rstrip("-")


def collection_metadata(code: str, name: str, cards: int) -> Metadata:
    """The metadata of the collection of a set with so many cards."""
    return Metadata(
        name=_shortened(name, NAME_BYTES_MAX),
        symbol=symbol_on_chain(code),
        description=f"{name}: {cards} cards",
        seller_fee_basis_points=0,
    )


def _shortened(text: str, bytes_max: int) -> str:
    if len(text.encode()) <= bytes_max:
        return text
    room = bytes_max - len(ELLIPSIS.encode())
    return text.encode()[:room].decode(errors="ignore").rstrip() + ELLIPSIS


def _attributes(card: MintedCard) -> tuple[Attribute, ...]:
    """What every card has, then its grade, then its traits by name."""
    found = [("Card", card.name), ("Set", card.set_name), ("Number", card.number), ("Rarity", card.rarity)]
    found.append(("Serial", str(card.serial)))
    if card.edition is not None:
        found.append(("Edition", str(card.edition)))
    if card.grader is not None and card.grade is not None:
        found += [("Grader", card.grader), ("Grade", f"{card.grade // 10}.{card.grade % 10}")]
    own = {name for name, _ in found}
    found += [(name if name not in own else f"{name} (trait)", card.traits[name]) for name in sorted(card.traits)]
    return tuple(Attribute(name, value) for name, value in found)


def _properties(card: MintedCard, picture: Picture | None) -> Properties | None:
    files = () if picture is None or picture.media_type is None else (File(picture.uri, picture.media_type),)
    creators = tuple(Creator(address, share) for address, share in card.creators)
    if not files and not creators:
        return None
    return Properties(files, "image" if files else None, creators)
