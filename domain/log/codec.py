"""The log's bytes: events as msgpack, joined by a SHA-256 chain.

Row hash = SHA-256(previous hash ‖ epoch ‖ seq ‖ at ‖ body), the three numbers as 8-byte big-endian integers; the first
row's previous hash is SHA-256 of ``ece-<kind>-v1`` and the entity's 8-byte id. Anyone with the rows can check it:
nothing else goes in.
"""

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import msgspec

from domain.entity import Rules

HASH_BYTES = 32

encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
"""Events, states, terms and commands of every kind."""
_pack_position = struct.Struct(">qqq").pack


class Unreadable(ValueError):
    """This version of the engine can't decode the bytes."""


class Codec:
    """Reads what ``encode`` wrote for one kind. Every method raises Unreadable."""

    def __init__(self, rules: Rules[Any, Any, Any]) -> None:
        self.decode_terms = _decoder(rules.terms_type)
        self.decode_command = _decoder(rules.command_type)
        self.decode_event = _decoder(rules.event_type)
        self.decode_state = _decoder(rules.state_type)


def _decoder(of: Any) -> Callable[[bytes | msgspec.Raw], Any]:
    decode = msgspec.msgpack.Decoder(of).decode

    def decoded(data: bytes | msgspec.Raw) -> Any:
        try:
            return decode(data)
        except msgspec.MsgspecError as error:
            raise Unreadable(str(error)) from None

    return decoded


def first_hash(kind: str, entity: int) -> bytes:
    """The previous hash of an entity's first row."""
    return hashlib.sha256(f"ece-{kind}-v1".encode() + entity.to_bytes(8, "big")).digest()


def next_hash(previous: bytes, epoch: int, seq: int, at_ms: int, body: bytes) -> bytes:
    """The hash of the row that follows ``previous``."""
    return hashlib.sha256(previous + _pack_position(epoch, seq, at_ms) + body).digest()


def command_key(user: int, key: str) -> bytes:
    """The key of a user's command in the log: 16 bytes."""
    return hashlib.blake2b(user.to_bytes(8, "big") + key.encode(), digest_size=16).digest()
