"""Token-2022: mints with metadata in their own account, and groups with members.

Layouts are those of the program's extensions: 82 bytes of the mint padded to 165, one byte of the account's type, then
(type, length, value) of each extension. Sources: spl-token-2022, spl-token-metadata-interface and
spl-token-group-interface.
"""

import struct
from dataclasses import dataclass
from hashlib import sha256

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chain.programs.addresses import TOKEN_2022

_NOBODY = Pubkey.default()
_METADATA_POINTER, _GROUP_POINTER, _MEMBER_POINTER = 39, 40, 41
_EXTENSIONS_OFFSET = 166
_HEADER = struct.Struct("<HH")
# Types of extensions, and the bytes of their values.
METADATA_TYPE, GROUP_TYPE, MEMBER_TYPE = 19, 21, 23
POINTER_BYTES, GROUP_BYTES, MEMBER_BYTES = 64, 80, 72


def _discriminator(name: str) -> bytes:
    return sha256(name.encode()).digest()[:8]


_INITIALIZE_METADATA = _discriminator("spl_token_metadata_interface:initialize_account")
_UPDATE_FIELD = _discriminator("spl_token_metadata_interface:updating_field")
_INITIALIZE_GROUP = _discriminator("spl_token_group_interface:initialize_token_group")
_INITIALIZE_MEMBER = _discriminator("spl_token_group_interface:initialize_member")
_FIELD_BY_NAME = b"\3"


class NotAMint(ValueError):
    """These bytes are not a mint of Token-2022 with extensions that can be read."""


@dataclass(frozen=True, slots=True)
class MintAccount:
    """The mint of an asset or of a collection. ``group``: of which collection it is a member."""

    supply: int
    decimals: int
    has_mint_authority: bool
    update_authority: Pubkey | None
    name: str
    symbol: str
    uri: str
    fields: dict[str, str]
    group: Pubkey | None
    group_size: int | None
    group_max: int | None


def mint_bytes(*extensions: int) -> int:
    """The size of a mint with extensions of these sizes."""
    return _EXTENSIONS_OFFSET + sum(_HEADER.size + one for one in extensions)


def metadata_bytes(name: str, symbol: str, uri: str, fields: dict[str, str]) -> int:
    """The size of the metadata extension."""
    texts = [name, symbol, uri, *(text for pair in fields.items() for text in pair)]
    return 64 + 4 + sum(4 + len(text.encode()) for text in texts)


def _pointer(kind: int, mint: Pubkey) -> Instruction:
    """A pointer to the mint itself that nobody can change."""
    return Instruction(TOKEN_2022, bytes([kind, 0]) + bytes(_NOBODY) + bytes(mint), [AccountMeta(mint, False, True)])


def metadata_pointer(mint: Pubkey) -> Instruction:
    """The metadata are in the mint."""
    return _pointer(_METADATA_POINTER, mint)


def group_pointer(mint: Pubkey) -> Instruction:
    """The group is in the mint."""
    return _pointer(_GROUP_POINTER, mint)


def member_pointer(mint: Pubkey) -> Instruction:
    """The membership of a group is in the mint."""
    return _pointer(_MEMBER_POINTER, mint)


def initialize_metadata(mint: Pubkey, authority: Pubkey, name: str, symbol: str, uri: str) -> Instruction:
    """Metadata that ``authority`` may change, which is the mint authority, too."""
    accounts = [
        AccountMeta(mint, False, True),
        AccountMeta(authority, False, False),
        AccountMeta(mint, False, False),
        AccountMeta(authority, True, False),
    ]
    return Instruction(TOKEN_2022, _INITIALIZE_METADATA + b"".join(map(_text, (name, symbol, uri))), accounts)


def update_field(mint: Pubkey, authority: Pubkey, name: str, value: str) -> Instruction:
    """An additional field of the metadata."""
    accounts = [AccountMeta(mint, False, True), AccountMeta(authority, True, False)]
    return Instruction(TOKEN_2022, _UPDATE_FIELD + _FIELD_BY_NAME + _text(name) + _text(value), accounts)


def initialize_group(mint: Pubkey, authority: Pubkey, size_max: int) -> Instruction:
    """A group of at most so many members."""
    accounts = [AccountMeta(mint, False, True), AccountMeta(mint, False, False), AccountMeta(authority, True, False)]
    return Instruction(TOKEN_2022, _INITIALIZE_GROUP + bytes(authority) + struct.pack("<Q", size_max), accounts)


def initialize_member(mint: Pubkey, authority: Pubkey, group: Pubkey) -> Instruction:
    """Make this mint a member of a group. It writes the group: such transactions run one after the other."""
    accounts = [
        AccountMeta(mint, False, True),
        AccountMeta(mint, False, False),
        AccountMeta(authority, True, False),
        AccountMeta(group, False, True),
        AccountMeta(authority, True, False),
    ]
    return Instruction(TOKEN_2022, _INITIALIZE_MEMBER, accounts)


def parse_mint(data: bytes) -> MintAccount:
    """The mint in the data of its account. Raises NotAMint."""
    try:
        return _parsed(data)
    except (struct.error, UnicodeDecodeError, IndexError, ValueError) as error:
        raise NotAMint(str(error)) from None


def _parsed(data: bytes) -> MintAccount:
    if len(data) <= _EXTENSIONS_OFFSET or data[165] != 1:
        raise NotAMint("no mint with extensions")
    authority: Pubkey | None = None
    texts = ("", "", "")
    fields: dict[str, str] = {}
    group: Pubkey | None = None
    size: int | None = None
    size_max: int | None = None
    place = _EXTENSIONS_OFFSET
    while place + _HEADER.size <= len(data):
        kind, length = _HEADER.unpack_from(data, place)
        value = data[place + _HEADER.size : place + _HEADER.size + length]
        if kind == 0 or len(value) < length:
            break
        if kind == METADATA_TYPE:
            authority = _address(value[:32])
            texts, fields = _metadata(value)
        elif kind == MEMBER_TYPE:
            group = _address(value[32:64])
        elif kind == GROUP_TYPE:
            size, size_max = struct.unpack_from("<QQ", value, 64)
        place += _HEADER.size + length
    supply = struct.unpack_from("<Q", data, 36)[0]
    return MintAccount(supply, data[44], data[:4] != bytes(4), authority, *texts, fields, group, size, size_max)


def _metadata(value: bytes) -> tuple[tuple[str, str, str], dict[str, str]]:
    place = 64
    name, place = _read_text(value, place)
    symbol, place = _read_text(value, place)
    uri, place = _read_text(value, place)
    (count,) = struct.unpack_from("<I", value, place)
    place += 4
    fields: dict[str, str] = {}
    if count > len(value):
        raise NotAMint("more fields than bytes")
    for _ in range(count):
        field, place = _read_text(value, place)
        fields[field], place = _read_text(value, place)
    return (name, symbol, uri), fields


def _read_text(value: bytes, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", value, place)
    end = place + 4 + length
    if end > len(value):
        raise NotAMint("a text ends behind the account")
    return value[place + 4 : end].decode(), end


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded


def _address(value: bytes) -> Pubkey | None:
    found = Pubkey.from_bytes(value)
    return None if found == _NOBODY else found
