"""The log's bytes: events as msgpack, joined by a SHA-256 chain.

Row hash = SHA-256(previous hash ‖ epoch ‖ seq ‖ at ‖ body), the three numbers as 8-byte big-endian integers;
the first row's previous hash is SHA-256 of ``ece-auction-v1`` and the auction's 8-byte id. Anyone with the
rows can check it: nothing else goes in.
"""

import hashlib
import struct

import msgspec

from domain.auction.events import Event
from domain.auction.state import Auction

HASH_BYTES = 32

encode_event = msgspec.msgpack.Encoder().encode
_event_decoder = msgspec.msgpack.Decoder(Event)
_auction_encoder = msgspec.msgpack.Encoder()
_auction_decoder = msgspec.msgpack.Decoder(Auction)
_pack_position = struct.Struct(">qqq").pack


class UnreadableEvent(ValueError):
    """The bytes are not an event of this version of the log."""


def decode_event(body: bytes) -> Event:
    """The event in a log row's body. Raises UnreadableEvent."""
    try:
        event: Event = _event_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise UnreadableEvent(str(error)) from None
    return event


def encode_auction(auction: Auction) -> bytes:
    """A snapshot of the state."""
    return _auction_encoder.encode(auction)


def decode_auction(data: bytes) -> Auction:
    """The state in a snapshot. Raises UnreadableEvent."""
    try:
        return _auction_decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise UnreadableEvent(str(error)) from None


def first_hash(auction_id: int) -> bytes:
    """What the first row of an auction is chained to."""
    return hashlib.sha256(b"ece-auction-v1" + auction_id.to_bytes(8, "big")).digest()


def next_hash(previous: bytes, epoch: int, seq: int, at_ms: int, body: bytes) -> bytes:
    """The hash of the row that follows ``previous``."""
    return hashlib.sha256(previous + _pack_position(epoch, seq, at_ms) + body).digest()


def command_key(bidder: int, key: str) -> bytes:
    """The 16 bytes under which the log finds a bidder's command again."""
    return hashlib.blake2b(bidder.to_bytes(8, "big") + key.encode(), digest_size=16).digest()
