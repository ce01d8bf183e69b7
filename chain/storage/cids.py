"""Content ids: CIDv1, SHA-256, base32, as IPFS writes them (multiformats.io/cid).

Only the two codecs of files are known: a raw block, and a node of UnixFS (dag-pb). A CID has one text here: lower-case
base32 without padding.
"""

import base64
import binascii
import hashlib
from typing import NamedTuple, Self

RAW = 0x55
DAG_PB = 0x70
CODECS = frozenset({RAW, DAG_PB})
# Version 1; then the codec; then SHA-256 with its length.
_VERSION, _SHA_256 = b"\x01", b"\x12\x20"
BYTES_LENGTH = 36
TEXT_LENGTH = 59
URI_SCHEME = "ipfs://"


class InvalidCid(ValueError):
    """The text or the bytes are not a CID of the supported kinds."""


class Cid(NamedTuple):
    """The id of a block. Of a file in several blocks it is that of the root of their tree."""

    codec: int
    digest: bytes

    @property
    def binary(self) -> bytes:
        """As in CAR files and in links of UnixFS."""
        return _VERSION + bytes([self.codec]) + _SHA_256 + self.digest

    @property
    def text(self) -> str:
        """As in addresses."""
        return "b" + base64.b32encode(self.binary).decode().lower().rstrip("=")

    @property
    def uri(self) -> str:
        """``ipfs://`` and the text."""
        return URI_SCHEME + self.text

    @classmethod
    def from_binary(cls, content: bytes) -> Self:
        """Raises InvalidCid."""
        codec = content[1:2]
        if len(content) != BYTES_LENGTH or content != _VERSION + codec + _SHA_256 + content[4:]:
            raise InvalidCid("not a CIDv1 of SHA-256")
        if codec[0] not in CODECS:
            raise InvalidCid("neither a raw block nor a node of UnixFS")
        return cls(codec[0], content[4:])

    @classmethod
    def parse(cls, text: str) -> Self:
        """The CID of this text. Raises InvalidCid; never accepts two texts for one CID."""
        if len(text) != TEXT_LENGTH or not text.isascii() or text[0] != "b" or text != text.lower():
            raise InvalidCid("not a CIDv1 in lower-case base32")
        try:
            found = cls.from_binary(base64.b32decode(text[1:].upper() + "======"))
        except binascii.Error:
            raise InvalidCid("not base32") from None
        if found.text != text:
            raise InvalidCid("bits after the end")
        return found


def block_cid(block: bytes, codec: int = RAW) -> Cid:
    """The CID of one block."""
    return Cid(codec, hashlib.sha256(block).digest())
