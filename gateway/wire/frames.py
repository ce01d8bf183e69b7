"""The WebSocket protocol's frames (docs/protocol.md), in msgpack and JSON: the same maps in both."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import msgpack
import msgspec

from domain.money import AMOUNT_MAX
from gateway.wire.duplicate_keys import DuplicateKey, reject_duplicates

MSGPACK_SUBPROTOCOL = "ece.v1.msgpack"
JSON_SUBPROTOCOL = "ece.v1.json"

# The largest up to which all integers are numbers of JavaScript.
INTEGER_MAX = 2**53

RequestId = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)] | Annotated[str, msgspec.Meta(max_length=64)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
_WITHIN = msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)
ClientTime = Annotated[int, _WITHIN] | Annotated[float, _WITHIN]
NonNegative = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
IdText = Annotated[str, msgspec.Meta(max_length=32)]
ChannelName = Annotated[str, msgspec.Meta(max_length=64)]


class Position(msgspec.Struct, frozen=True):
    """The last event that a client has."""

    epoch: NonNegative
    seq: NonNegative


class Hello(msgspec.Struct, frozen=True, tag_field="op", tag="hello"):
    id: RequestId
    token: str | None = None


class Ping(msgspec.Struct, frozen=True, tag_field="op", tag="ping"):
    id: RequestId
    client_time: ClientTime | None = None


class Subscribe(msgspec.Struct, frozen=True, tag_field="op", tag="subscribe"):
    id: RequestId
    channel: ChannelName
    since: Position | None = None


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="op", tag="unsubscribe"):
    id: RequestId
    channel: ChannelName


class BidFrame(msgspec.Struct, frozen=True, tag_field="op", tag="bid"):
    id: RequestId
    auction: IdText
    amount: Amount
    key: Key


class BuyNowFrame(msgspec.Struct, frozen=True, tag_field="op", tag="buy_now"):
    id: RequestId
    auction: IdText
    key: Key


# How many fields a frame has at least, `op` among them, and how many of those are always text.
_FIELDS = {Hello: (2, 1), Ping: (2, 1), Subscribe: (3, 2), Unsubscribe: (3, 2), BidFrame: (5, 3), BuyNowFrame: (4, 3)}

ClientFrame = Hello | Ping | Subscribe | Unsubscribe | BidFrame | BuyNowFrame


def convert(members: Any) -> ClientFrame:
    """A frame from its fields. Raises ValidationError."""
    frame: ClientFrame = msgspec.convert(members, ClientFrame)
    return frame


def op_of(frame: ClientFrame) -> str:
    """The command's name on the wire."""
    return str(frame.__struct_config__.tag)


class BidReply(msgspec.Struct, frozen=True):
    """The bid is durable. Prices in base units, times in ms."""

    id: int | str
    ok: bool
    auction: str
    epoch: int
    seq: int
    at: int
    outcome: str
    price: int
    minimum: int
    ends_at: int
    duplicate: bool


class ErrorReply(msgspec.Struct, frozen=True):
    """Nothing happened."""

    id: int | str
    ok: bool
    error: msgspec.Raw


class EventFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event of a channel, or, with type ``state``, a snapshot that replaces all up to ``seq``.

    ``watchers`` goes with a snapshot: about how many follow the channel through this gateway.
    """

    channel: str
    epoch: int
    seq: int
    type: str
    at: int
    data: Any
    watchers: int | None = None


class InvalidFrame(Exception):
    """The frame can be read but is not one of the protocol. ``request_id`` is its id, if it has a sound one."""

    def __init__(self, message: str, request_id: int | str | None) -> None:
        super().__init__(message)
        self.request_id = request_id


class BrokenFrame(Exception):
    """The frame is not even msgpack or JSON: the connection can't go on."""


class Codec:
    """One encoding of the protocol; ``encode`` gives a payload, ``frame`` a whole WebSocket frame around it."""

    def __init__(
        self, subprotocol: str, opcode: int, encode: Callable[[Any], bytes],
        decoder: Callable[[Any], ClientFrame], raw_decode: Callable[[Any], Any],
    ) -> None:  # fmt: skip
        self.subprotocol = subprotocol
        self.binary = opcode == 2
        self.encode = encode
        self._first_byte = bytes([0x80 | opcode])
        self._decode = decoder
        self._raw_decode = raw_decode

    def decode(self, data: bytes | str) -> ClientFrame:
        """The client's frame. Raises InvalidFrame or BrokenFrame."""
        try:
            frame = self._decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            frame = self._decode_floats(data, error)
        # Most frames are as short as theirs can be: no field can occur twice in one, and none is looked for.
        fields, texts = _FIELDS[type(frame)]
        if isinstance(data, str):
            if data.count('"') != 2 * (fields + texts + isinstance(frame.id, str)):
                self._reject_duplicate_keys(data, frame.id)
        elif data[0] != 0x80 | fields and data[:3] != bytes((0xDE, 0, fields)):
            self._reject_duplicate_keys(data, frame.id)
        return frame

    def _decode_floats(self, data: bytes | str, error: Exception) -> ClientFrame:
        """JavaScript's libraries write integers above 2**32 as floats in MessagePack: those that are whole count."""
        if self.binary and isinstance(error, msgspec.ValidationError):
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
                return convert(_integral(self._raw_decode(data)))
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
            # What is not ours to know was passed over before, and is not as it has to be.
            raise InvalidFrame("a field that is not of the protocol can't be read", request_id) from None

    def frame(self, message: Any) -> bytes:
        """A WebSocket frame (RFC 6455 §5.2, unmasked, not fragmented) that can be written to any socket as it is."""
        payload = self.encode(message)
        size = len(payload)
        if size < 126:
            return self._first_byte + bytes([size]) + payload
        if size < 65_536:
            return self._first_byte + b"\x7e" + size.to_bytes(2, "big") + payload
        return self._first_byte + b"\x7f" + size.to_bytes(8, "big") + payload

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
        sound = type(request_id) is int or (isinstance(request_id, str) and len(request_id) <= 64)
        return InvalidFrame(message, request_id if sound else None)


def _integral(value: Any) -> Any:
    """The same, with integers in place of floats that are whole and no larger than INTEGER_MAX."""
    if isinstance(value, dict):
        return {name: _integral(its) for name, its in value.items()}
    if isinstance(value, float) and value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value)
    return value


MSGPACK = Codec(
    MSGPACK_SUBPROTOCOL, 2, msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(ClientFrame).decode,
    msgspec.msgpack.Decoder().decode,
)  # fmt: skip
JSON = Codec(
    JSON_SUBPROTOCOL, 1, msgspec.json.Encoder().encode, msgspec.json.Decoder(ClientFrame).decode,
    msgspec.json.Decoder().decode,
)  # fmt: skip
CODECS = {codec.subprotocol: codec for codec in (MSGPACK, JSON)}
