"""Metaplex Core: assets and collections in one account each, with plugins behind the data.

Layouts are those of the program's official client (`@metaplex-foundation/mpl-core`). Account: base; with plugins then a
header that says where the registry is, the plugins, the registry.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chain.programs.addresses import SYSTEM

MPL_CORE = Pubkey.from_string("CoREENxT6tW1HoK8ypY1SxRMZTcVPm7R94rH4PZNhX7d")
_TRANSFER, _CREATE_ASSET, _CREATE_COLLECTION = 14, 20, 21
_IN_ACCOUNT = b"\0"
_NONE, _NO_ADAPTERS = b"\0", b"\1\0\0\0\0"
_ROYALTIES = 0
_ASSET_KEY, _HEADER_KEY, _REGISTRY_KEY, _COLLECTION_KEY = 1, 3, 4, 5
_BY_NOBODY, _BY_ADDRESS, _BY_COLLECTION = 0, 1, 2
_ADDRESS_AUTHORITY = 3
_HEADER_BYTES = 9
_CREATOR = struct.Struct("<32sB")
PERCENT = 100
# Of an asset, those with its owner.
OWNER_BYTES = 33
PLUGINS_MAX = 64


class NotMetaplex(ValueError):
    """These bytes are not an account of Metaplex Core that can be read."""


@dataclass(frozen=True, slots=True)
class MetaplexAsset:
    """``collection`` None: of none. ``royalty_basis_points`` None: of its own it has no royalties."""

    owner: Pubkey
    update_authority: Pubkey | None
    collection: Pubkey | None
    name: str
    uri: str
    royalty_basis_points: int | None


@dataclass(frozen=True, slots=True)
class MetaplexCollection:
    """``size``: how many assets it has now; ``minted``: how many it ever had."""

    update_authority: Pubkey
    name: str
    uri: str
    minted: int
    size: int


# Instructions


def create_collection(
    collection: Pubkey, authority: Pubkey, payer: Pubkey, name: str, uri: str, royalty_basis_points: int
) -> Instruction:
    """Create it; ``collection`` and ``payer`` sign."""
    data = bytes([_CREATE_COLLECTION]) + _text(name) + _text(uri) + _plugins(royalty_basis_points, authority)
    accounts = [
        AccountMeta(collection, True, True),
        AccountMeta(authority, False, False),
        AccountMeta(payer, True, True),
        AccountMeta(SYSTEM, False, False),
    ]
    return Instruction(MPL_CORE, data + _NO_ADAPTERS, accounts)


def create_asset(
    asset: Pubkey, collection: Pubkey | None, authority: Pubkey, payer: Pubkey, owner: Pubkey, name: str, uri: str,
    royalty_basis_points: int,
) -> Instruction:  # fmt: skip
    """Create it; ``asset`` and ``payer`` sign, and the authority of the collection if there is one."""
    data = bytes([_CREATE_ASSET]) + _IN_ACCOUNT + _text(name) + _text(uri) + _plugins(royalty_basis_points, authority)
    accounts = [
        AccountMeta(asset, True, True),
        _absent() if collection is None else AccountMeta(collection, False, True),
        _absent() if collection is None else AccountMeta(authority, True, False),
        AccountMeta(payer, True, True),
        AccountMeta(owner, False, False),
        AccountMeta(authority, False, False) if collection is None else _absent(),
        AccountMeta(SYSTEM, False, False),
        _absent(),
    ]
    return Instruction(MPL_CORE, data + _NO_ADAPTERS, accounts)


def transfer(asset: Pubkey, collection: Pubkey | None, payer: Pubkey, owner: Pubkey, new_owner: Pubkey) -> Instruction:
    """Give it to another; ``owner`` and ``payer`` sign."""
    accounts = [
        AccountMeta(asset, False, True),
        _absent() if collection is None else AccountMeta(collection, False, False),
        AccountMeta(payer, True, True),
        AccountMeta(owner, True, False),
        AccountMeta(new_owner, False, False),
        _absent(),
        _absent(),
    ]
    return Instruction(MPL_CORE, bytes([_TRANSFER]) + _NONE, accounts)


def _absent() -> AccountMeta:
    """The address of the program stands for an account that is not given."""
    return AccountMeta(MPL_CORE, False, False)


def _plugins(royalty_basis_points: int, creator: Pubkey) -> bytes:
    """Some plugins, each with its default authority."""
    if not royalty_basis_points:
        return b"\1" + struct.pack("<I", 0)
    return b"\1" + struct.pack("<I", 1) + _royalties(royalty_basis_points, [(creator, PERCENT)]) + _NONE


def _royalties(basis_points: int, creators: Sequence[tuple[Pubkey, int]]) -> bytes:
    shares = b"".join(_CREATOR.pack(bytes(address), percent) for address, percent in creators)
    return struct.pack("<BHI", _ROYALTIES, basis_points, len(creators)) + shares + _NONE


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded


# Sizes


def asset_bytes(name: str, uri: str, royalty_basis_points: int) -> int:
    """The size of an asset's account with an update authority."""
    return 1 + 32 + 33 + len(_text(name)) + len(_text(uri)) + 1 + _plugin_bytes(royalty_basis_points)


def collection_bytes(name: str, uri: str, royalty_basis_points: int) -> int:
    """The size of a collection's account."""
    return 1 + 32 + len(_text(name)) + len(_text(uri)) + 8 + _plugin_bytes(royalty_basis_points)


def _plugin_bytes(royalty_basis_points: int) -> int:
    if not royalty_basis_points:
        return 0
    registry = 1 + 4 + 10 + 4
    return _HEADER_BYTES + len(_royalties(royalty_basis_points, [(Pubkey.default(), PERCENT)])) + registry


# Accounts


def parse_asset(data: bytes) -> MetaplexAsset:
    """The asset in the data of its account. Raises NotMetaplex."""
    try:
        return _asset(_Reader(data))
    except (struct.error, UnicodeDecodeError, IndexError, ValueError) as error:
        raise NotMetaplex(str(error)) from None


def owner_of(data: bytes) -> str | None:
    """The owner in the first 33 bytes of an asset; None where there is none, as of a burnt one."""
    if len(data) < OWNER_BYTES or data[0] != _ASSET_KEY:
        return None
    return str(Pubkey.from_bytes(data[1:OWNER_BYTES]))


def parse_collection(data: bytes) -> MetaplexCollection:
    """The collection in the data of its account. Raises NotMetaplex."""
    reader = _Reader(data)
    try:
        if reader.byte() != _COLLECTION_KEY:
            raise NotMetaplex("no collection")
        return MetaplexCollection(
            reader.address(), reader.text(), reader.text(), reader.number("<I"), reader.number("<I")
        )
    except (struct.error, UnicodeDecodeError, IndexError, ValueError) as error:
        raise NotMetaplex(str(error)) from None


class _Reader:
    """Reads forward; struct.error or ValueError at the end of the data."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self.data = data
        self.place = place

    def number(self, layout: str) -> int:
        (found,) = struct.unpack_from(layout, self.data, self.place)
        self.place += struct.calcsize(layout)
        return int(found)

    def byte(self) -> int:
        return self.number("<B")

    def address(self) -> Pubkey:
        return Pubkey.from_bytes(self._next(32))

    def text(self) -> str:
        return self._next(self.number("<I")).decode()

    def _next(self, length: int) -> bytes:
        end = self.place + length
        if end > len(self.data):
            raise NotMetaplex("it ends within a value")
        found = self.data[self.place : end]
        self.place = end
        return found


def _asset(reader: _Reader) -> MetaplexAsset:
    if reader.byte() != _ASSET_KEY:
        raise NotMetaplex("no asset")
    owner, kind = reader.address(), reader.byte()
    if kind > _BY_COLLECTION:
        raise NotMetaplex("an unknown kind of update authority")
    authority = None if kind == _BY_NOBODY else reader.address()
    name, uri = reader.text(), reader.text()
    if reader.byte():
        reader.number("<Q")
    return MetaplexAsset(
        owner, authority if kind == _BY_ADDRESS else None, authority if kind == _BY_COLLECTION else None, name, uri,
        _royalties_of(reader),
    )  # fmt: skip


def _royalties_of(reader: _Reader) -> int | None:
    """Of the plugins behind the base."""
    if reader.place >= len(reader.data):
        return None
    if reader.byte() != _HEADER_KEY:
        raise NotMetaplex("no header of plugins")
    registry = _Reader(reader.data, reader.number("<Q"))
    if registry.byte() != _REGISTRY_KEY:
        raise NotMetaplex("no registry of plugins")
    count = registry.number("<I")
    if count > PLUGINS_MAX:
        raise NotMetaplex("too many plugins")
    for _ in range(count):
        kind, authority = registry.byte(), registry.byte()
        if authority == _ADDRESS_AUTHORITY:
            registry.address()
        offset = registry.number("<Q")
        if kind == _ROYALTIES:
            plugin = _Reader(reader.data, offset)
            if plugin.byte() != _ROYALTIES:
                raise NotMetaplex("another plugin than the registry says")
            return plugin.number("<H")
    return None
