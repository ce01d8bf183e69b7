"""The two encodings of the WebSocket protocol, msgpack and JSON: the same maps in both."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import reduce
from operator import or_
from typing import Any

import msgpack
import msgspec
from msgspec.inspect import StrType, StructType, UnionType, type_info

from gateway.wire.duplicate_keys import DuplicateKey, reject_duplicates
from gateway.wire.faults import BrokenFrame, InvalidFrame
from gateway.wire.frames import INTEGER_MAX, Frame

MSGPACK_SUBPROTOCOL = "ece.v1.msgpack"
JSON_SUBPROTOCOL = "ece.v1.json"

_SCALARS = (
    msgspec.inspect.StrType, msgspec.inspect.IntType, msgspec.inspect.FloatType, msgspec.inspect.BoolType,
    msgspec.inspect.NoneType, msgspec.inspect.LiteralType, msgspec.inspect.EnumType,
)  # fmt: skip


class Codec:
    """One encoding of the protocol; ``encode`` gives a payload, ``frame`` a whole WebSocket frame around it."""

    def __init__(
        self, subprotocol: str, opcode: int, frames: Sequence[type[Frame]], encode: Callable[[Any], bytes],
        decoder: Callable[[Any], Frame], raw_decode: Callable[[Any], Any],
    ) -> None:  # fmt: skip
        self.subprotocol = subprotocol
        self.binary = opcode == 2
        self.encode = encode
        first_byte = bytes([0x80 | opcode])
        self._headers = [first_byte + bytes([size]) for size in range(128)]
        self._decode = decoder
        self._raw_decode = raw_decode
        self._union = _union(frames)
        self._shortest = {frame: _shortest(frame) for frame in frames}

    def decode(self, data: bytes | str) -> Frame:
        """The client's frame. Raises InvalidFrame or BrokenFrame."""
        try:
            frame = self._decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            frame = self._decode_floats(data, error)
        # Most frames have only their required fields: then none can occur twice, and the check is skipped.
        fields, quotes = self._shortest[type(frame)]
        if isinstance(data, str):
            if data.count('"') != quotes + 2 * isinstance(frame.id, str):
                self._reject_duplicate_keys(data, frame.id)
        elif data[0] != 0x80 | fields and data[:3] != bytes((0xDE, 0, fields)):
            self._reject_duplicate_keys(data, frame.id)
        return frame

    def _decode_floats(self, data: bytes | str, error: Exception) -> Frame:
        """Accept whole floats as integers: JavaScript libraries write integers above 2**32 as floats in MessagePack."""
        if self.binary and isinstance(error, msgspec.ValidationError):
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
                frame: Frame = msgspec.convert(_integral(self._raw_decode(data)), self._union)
                return frame
        raise self._fault(data, str(error)) from None

    def _reject_duplicate_keys(self, data: bytes | str, request_id: int | str) -> None:
        try:
            if isinstance(data, str):
                json.loads(data, object_pairs_hook=reject_duplicates)
            else:
                msgpack.unpackb(data, object_pairs_hook=reject_duplicates, strict_map_key=False)
        except DuplicateKey as fault:
            raise InvalidFrame(str(fault), request_id) from None
        except Exception:
            # The decoder skips fields that are not of the protocol: one of these is malformed.
            raise InvalidFrame("a field that is not of the protocol can't be read", request_id) from None

    def frame(self, message: Any) -> bytes:
        """A WebSocket frame (RFC 6455 §5.2, unmasked, not fragmented) that can be written to any socket as it is."""
        payload = self.encode(message)
        size = len(payload)
        if size < 126:
            return self._headers[size] + payload
        if size < 65_536:
            return self._headers[126] + size.to_bytes(2, "big") + payload
        return self._headers[127] + size.to_bytes(8, "big") + payload

    def _fault(self, data: bytes | str, message: str) -> InvalidFrame | BrokenFrame:
        try:
            raw = self._raw_decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            return BrokenFrame(f"not {'msgpack' if self.binary else 'JSON'}")
        except RecursionError:
            return InvalidFrame("nested too deep", None)
        if not isinstance(raw, dict):
            return InvalidFrame("a frame is a map", None)
        request_id = _integral(raw.get("id")) if self.binary else raw.get("id")
        valid = type(request_id) is int or (isinstance(request_id, str) and len(request_id) <= 64)
        return InvalidFrame(message, request_id if valid else None)


def codecs_of(frames: Sequence[type[Frame]]) -> dict[str, Codec]:
    """Codecs of these client frames, by subprotocol. Raises TypeError where two have the same ``op``."""
    union, msgpack_, json_ = _union(frames), msgspec.msgpack, msgspec.json
    codecs = (
        Codec(
            MSGPACK_SUBPROTOCOL, 2, frames, msgpack_.Encoder().encode, msgpack_.Decoder(union).decode,
            msgpack_.Decoder().decode,
        ),
        Codec(
            JSON_SUBPROTOCOL, 1, frames, json_.Encoder().encode, json_.Decoder(union).decode, json_.Decoder().decode
        ),
    )  # fmt: skip
    return {codec.subprotocol: codec for codec in codecs}


def _union(frames: Sequence[type[Frame]]) -> Any:
    return reduce(or_, frames)


def _shortest(frame: type[Frame]) -> tuple[int, int]:
    """How many fields a frame has at least, ``op`` among them, and how many quotes these are in JSON, without an ``id``
    of text.

    (0, 0), which no frame has, where a required field may hold a map: in that, too, a field may occur twice.
    """
    about = type_info(frame)
    assert isinstance(about, StructType)
    required = [field.type for field in about.fields if field.required]
    if not all(_is_scalar(kind) for kind in required):
        return 0, 0
    fields, texts = 1 + len(required), 1 + sum(isinstance(kind, StrType) for kind in required)
    return fields, 2 * (fields + texts)


def _is_scalar(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, UnionType):
        return all(map(_is_scalar, kind.types))
    return isinstance(kind, _SCALARS)


def _integral(value: Any) -> Any:
    """The same, with integers in place of floats that are whole and no larger than INTEGER_MAX."""
    if isinstance(value, dict):
        return {name: _integral(its) for name, its in value.items()}
    if isinstance(value, list):
        return [_integral(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value)
    return value
