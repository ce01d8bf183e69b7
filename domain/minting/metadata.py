"""The metadata document of an NFT: the JSON that its URI leads to (Metaplex's token metadata standard, version 1.0).

A document has one form: RFC 8785 (sorted names, no blanks, UTF-8), so equal metadata have equal bytes and one content
id. Name, symbol and URI also stand in the account on the chain, which limits their length in bytes.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from domain.errors import INVALID_METADATA, METADATA_TOO_LONG, ROYALTY_TOO_HIGH, TOO_MANY_ATTRIBUTES
from domain.text import BadText, line, lines

# Limits of the token metadata program, kept for every standard so that a card fits each of them. Bytes of UTF-8.
NAME_BYTES_MAX = 32
SYMBOL_BYTES_MAX = 10
URI_BYTES_MAX = 200
ROYALTY_BP_MAX = 10_000
CREATORS_MAX = 5
SHARES_TOTAL = 100
ATTRIBUTES_MAX = 64
FILES_MAX = 16
DESCRIPTION_MAX = 4_000
DOCUMENT_BYTES_MAX = 65_536
SCHEMES = ("ipfs://", "ar://", "https://")

Label = Annotated[str, Meta(min_length=1, max_length=200)]


class InvalidMetadata(ValueError):
    """The metadata break a rule. ``code`` is that of domain/errors.py, ``field`` where, ``maximum`` the limit."""

    def __init__(self, code: str, message: str, field: str, maximum: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.maximum = maximum

    def __reduce__(self) -> tuple[type["InvalidMetadata"], tuple[str, str, str, int | None]]:
        return type(self), (self.code, str(self), self.field, self.maximum)


class Attribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A trait: its name, and its value. ``display_type`` says how wallets show a number."""

    trait_type: Label
    value: Label | int
    display_type: Literal["number", "date", "boost_number", "boost_percentage"] | None = None


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file of the asset, with its media type."""

    uri: str
    type: Label
    cdn: bool | None = None


class Creator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who gets which share of the royalties, in percent."""

    address: Label
    share: Annotated[int, Meta(ge=0, le=SHARES_TOTAL)]


class Properties(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The files of the asset, and who made it."""

    files: tuple[File, ...] = ()
    category: Literal["image", "video", "audio", "vr", "html"] | None = None
    creators: tuple[Creator, ...] = ()


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole document. Fields that are empty are left out of its JSON."""

    name: Label
    symbol: str = ""
    description: Annotated[str, Meta(max_length=DESCRIPTION_MAX)] = ""
    seller_fee_basis_points: Annotated[int, Meta(ge=0)] = 0
    image: str | None = None
    animation_url: str | None = None
    external_url: str | None = None
    attributes: tuple[Attribute, ...] = ()
    properties: Properties | None = None


def encode(metadata: Metadata) -> bytes:
    """The one form of this document. Raises InvalidMetadata."""
    check(metadata)
    document = msgspec.json.encode(metadata, order="sorted")
    if len(document) > DOCUMENT_BYTES_MAX:
        raise InvalidMetadata(METADATA_TOO_LONG, "the document is too long", "document", DOCUMENT_BYTES_MAX)
    return document


def parse(document: bytes) -> Metadata:
    """The metadata of a document that somebody else wrote, with its text cleaned. Raises InvalidMetadata."""
    if len(document) > DOCUMENT_BYTES_MAX:
        raise InvalidMetadata(METADATA_TOO_LONG, "the document is too long", "document", DOCUMENT_BYTES_MAX)
    try:
        metadata = msgspec.convert(_cleaned(msgspec.json.decode(document), "document"), Metadata)
    except msgspec.ValidationError as error:
        raise _of_schema(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidMetadata(INVALID_METADATA, "the document is not JSON", "document") from None
    check(metadata)
    return metadata


def check(metadata: Metadata) -> None:
    """Check everything that types do not. Raises InvalidMetadata."""
    check_on_chain(metadata.name, metadata.symbol, metadata.image or "", metadata.seller_fee_basis_points, "image")
    if len(metadata.attributes) > ATTRIBUTES_MAX:
        raise InvalidMetadata(TOO_MANY_ATTRIBUTES, f"at most {ATTRIBUTES_MAX} attributes", "attributes", ATTRIBUTES_MAX)
    for name in ("image", "animation_url", "external_url"):
        address = getattr(metadata, name)
        if address is not None:
            _check_uri(address, name)
    if metadata.properties is not None:
        _check_properties(metadata.properties)


def check_on_chain(name: str, symbol: str, uri: str, royalty_basis_points: int, uri_field: str = "uri") -> None:
    """Check what the account on the chain holds. Raises InvalidMetadata."""
    limits = (("name", name, NAME_BYTES_MAX), ("symbol", symbol, SYMBOL_BYTES_MAX), (uri_field, uri, URI_BYTES_MAX))
    for field, text, bytes_max in limits:
        if len(text.encode()) > bytes_max:
            raise InvalidMetadata(METADATA_TOO_LONG, f"{field}: at most {bytes_max} bytes", field, bytes_max)
    if not name:
        raise InvalidMetadata(INVALID_METADATA, "name: it is empty", "name")
    if royalty_basis_points > ROYALTY_BP_MAX:
        raise InvalidMetadata(
            ROYALTY_TOO_HIGH, "the royalties are more than the price", "seller_fee_basis_points", ROYALTY_BP_MAX
        )
    if royalty_basis_points < 0:
        raise InvalidMetadata(INVALID_METADATA, "royalties below zero", "seller_fee_basis_points")


def is_address(uri: str) -> bool:
    """Whether a wallet may be sent there: no ``data:``, ``javascript:`` or ``http:`` address."""
    printable = uri.isascii() and uri.isprintable() and " " not in uri
    return printable and uri.startswith(SCHEMES) and len(uri) <= URI_BYTES_MAX


def _check_properties(properties: Properties) -> None:
    if len(properties.files) > FILES_MAX:
        raise InvalidMetadata(METADATA_TOO_LONG, f"at most {FILES_MAX} files", "properties.files", FILES_MAX)
    for file in properties.files:
        _check_uri(file.uri, "properties.files")
    creators = properties.creators
    if len(creators) > CREATORS_MAX:
        raise InvalidMetadata(
            METADATA_TOO_LONG, f"at most {CREATORS_MAX} creators", "properties.creators", CREATORS_MAX
        )
    if creators and sum(creator.share for creator in creators) != SHARES_TOTAL:
        raise InvalidMetadata(INVALID_METADATA, "the shares of the creators are not 100", "properties.creators")


def _check_uri(uri: str, field: str) -> None:
    if len(uri.encode()) > URI_BYTES_MAX:
        raise InvalidMetadata(METADATA_TOO_LONG, f"{field}: at most {URI_BYTES_MAX} bytes", field, URI_BYTES_MAX)
    if not is_address(uri):
        raise InvalidMetadata(INVALID_METADATA, f"{field}: not an ipfs, ar or https address", field)


def _cleaned(value: Any, field: str) -> Any:
    try:
        if isinstance(value, str):
            return lines(value) if field == "description" else line(value)
        if isinstance(value, list):
            return [_cleaned(one, field) for one in value]
        if isinstance(value, dict):
            return {name: _cleaned(one, name) for name, one in value.items()}
    except BadText as bad:
        raise InvalidMetadata(INVALID_METADATA, str(bad), field[:64]) from None
    return value


def _of_schema(message: str) -> InvalidMetadata:
    """msgspec ends its messages with the place: ``… - at `$.properties.files[0].uri```."""
    reason, _, place = message.partition(" - at `$")
    field = place.rstrip("`").lstrip(".")[:64] or "document"
    return InvalidMetadata(INVALID_METADATA, ascii(f"{field}: {reason}")[1:-1][:200], field)
