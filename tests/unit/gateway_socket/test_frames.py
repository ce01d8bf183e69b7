"""The protocol's frames: what is accepted, what is refused and how, and what goes out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import decoded

from domain.money import AMOUNT_MAX
from gateway.frames import (
    CODECS,
    JSON,
    MSGPACK,
    BidFrame,
    BrokenFrame,
    BuyNowFrame,
    ClientFrame,
    Codec,
    Hello,
    InvalidFrame,
    Ping,
    Position,
    Subscribe,
    Unsubscribe,
)

BOTH = pytest.mark.parametrize("codec", [MSGPACK, JSON], ids=["msgpack", "json"])
BID = {"op": "bid", "id": 1, "auction": "0000000000001", "amount": 5, "key": "k"}


def encoded(codec: Codec, frame: Any) -> bytes | str:
    return msgspec.msgpack.encode(frame) if codec is MSGPACK else msgspec.json.encode(frame).decode()


def fault(codec: Codec, data: bytes | str) -> InvalidFrame | BrokenFrame:
    with pytest.raises((InvalidFrame, BrokenFrame)) as caught:
        codec.decode(data)
    return caught.value


@BOTH
@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"op": "hello", "id": 1}, Hello(1)),
        ({"op": "hello", "id": "a", "token": "t"}, Hello("a", "t")),
        ({"op": "ping", "id": 2, "client_time": 1.5}, Ping(2, 1.5)),
        ({"op": "ping", "id": 2**53}, Ping(2**53)),
        ({"op": "subscribe", "id": 3, "channel": "auction:1"}, Subscribe(3, "auction:1")),
        (
            {"op": "subscribe", "id": 3, "channel": "c", "since": {"epoch": 1, "seq": 0}},
            Subscribe(3, "c", Position(1, 0)),
        ),
        ({"op": "unsubscribe", "id": 4, "channel": "c"}, Unsubscribe(4, "c")),
        (BID, BidFrame(1, "0000000000001", 5, "k")),
        (BID | {"amount": AMOUNT_MAX, "key": "k" * 64}, BidFrame(1, "0000000000001", AMOUNT_MAX, "k" * 64)),
        ({"op": "buy_now", "id": 5, "auction": "a", "key": "k"}, BuyNowFrame(5, "a", "k")),
        # Fields of a later version do not disturb.
        (BID | {"new": [1, {"of": "tomorrow"}]}, BidFrame(1, "0000000000001", 5, "k")),
    ],
)
def test_frames_mean_the_same_in_both_codecs(codec: Codec, frame: dict[str, Any], expected: ClientFrame):
    assert codec.decode(encoded(codec, frame)) == expected


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        {"amount": 5.0}, {"amount": 5.5}, {"amount": "5"}, {"amount": -1}, {"amount": 0}, {"amount": AMOUNT_MAX + 1},
        {"amount": None}, {"amount": True}, {"amount": [5]}, {"amount": {"$gt": 0}}, {"amount": 2**63 - 1},
        {"key": ""}, {"key": "k" * 65}, {"key": 7}, {"key": None}, {"auction": 7}, {"auction": "a" * 33},
        {"op": "sell"}, {"op": 3}, {"op": None}, {"op": ["bid"]},
    ],
)  # fmt: skip
def test_a_frame_of_other_content_is_refused_with_its_id(codec: Codec, change: dict[str, Any]):
    refused = fault(codec, encoded(codec, BID | change))
    assert isinstance(refused, InvalidFrame)
    assert refused.request_id == 1
    assert 0 < len(str(refused)) < 300


@BOTH
@pytest.mark.parametrize("missing", ["op", "auction", "amount", "key"])
def test_a_frame_that_lacks_a_field_is_refused_with_its_id(codec: Codec, missing: str):
    refused = fault(codec, encoded(codec, {k: v for k, v in BID.items() if k != missing}))
    assert isinstance(refused, InvalidFrame)
    assert refused.request_id == 1


@BOTH
@pytest.mark.parametrize("request_id", [None, 1.5, True, [], {}, "x" * 65])
def test_an_unsound_id_is_not_echoed(codec: Codec, request_id: Any):
    refused = fault(codec, encoded(codec, BID | {"id": request_id}))
    assert isinstance(refused, InvalidFrame)
    assert refused.request_id is None


@BOTH
@pytest.mark.parametrize("value", [[], [1, 2], 7, "bid", None, True, 1.5])
def test_what_is_no_map_is_refused(codec: Codec, value: Any):
    assert isinstance(fault(codec, encoded(codec, value)), InvalidFrame)


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        (JSON, ""), (JSON, "{"), (JSON, "{'op': 'ping'}"), (JSON, "nonsense"), (JSON, '{"op": NaN}'), (JSON, "{}{}"),
        (JSON, '{"op":"ping","id":1'), (JSON, "\x00"), (JSON, "{,}"),
        (MSGPACK, b""), (MSGPACK, b"\xc1"), (MSGPACK, b"\x81"), (MSGPACK, b"\xdf\xff\xff\xff\xff"),
        (MSGPACK, b"\x81\xa2op\xd9\xff"), (MSGPACK, b'{"op":"ping"}'), (MSGPACK, b"\x80\x80"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_at_all_is_broken(codec: Codec, data: bytes | str):
    refused = fault(codec, data)
    assert isinstance(refused, BrokenFrame) or "map" in str(refused)


@BOTH
@pytest.mark.parametrize("depth", [100, 2_000, 100_000])
def test_deep_frames_are_refused(codec: Codec, depth: int):
    deep = b"\x91" * depth + b"\x01" if codec is MSGPACK else "[" * depth + "1" + "]" * depth
    assert isinstance(fault(codec, deep), InvalidFrame | BrokenFrame)
    # Also where nobody looks at it.
    prefix = b"\x83\xa2op\xa4ping\xa2id\x01\xa1x" if codec is MSGPACK else '{"op":"ping","id":1,"x":'
    nested = prefix + deep + (b"" if codec is MSGPACK else "}")
    try:
        assert codec.decode(nested) == Ping(1)
    except (InvalidFrame, BrokenFrame):
        assert depth > 100


trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["op", "id", "auction", "amount", "key", "channel", "since", "token", "client_time", "x"])
ops = st.sampled_from(["hello", "ping", "subscribe", "unsubscribe", "bid", "buy_now", "sell", 3])
near_frames = st.builds(lambda op, rest: {"op": op} | rest, ops, st.dictionaries(names, trees, max_size=6))


def survives(codec: Codec, data: bytes | str) -> None:
    """Decoding gives a frame of the protocol, or one of the two faults, whose id can be sent back."""
    try:
        frame = codec.decode(data)
    except BrokenFrame:
        return
    except InvalidFrame as refused:
        codec.frame(
            {"id": refused.request_id, "ok": False, "error": {"code": "invalid_frame", "message": str(refused)}}
        )
        return
    assert isinstance(frame, ClientFrame)


@given(near_frames | trees)
@settings(max_examples=100)
def test_no_msgpack_value_does_harm(value: Any):
    try:
        data = msgspec.msgpack.encode(value)
    except OverflowError:
        return
    survives(MSGPACK, data)


@given(near_frames | trees)
@settings(max_examples=100)
def test_no_json_value_does_harm(value: Any):
    survives(JSON, msgspec.json.encode(value).decode())


@given(st.binary(max_size=64))
@settings(max_examples=200)
def test_no_bytes_do_harm(data: bytes):
    survives(MSGPACK, data)


@given(st.text(max_size=64) | st.text(alphabet='{}[]":,0123456789.eE+-\\u truefalsn', max_size=64))
@settings(max_examples=200)
def test_no_text_does_harm(text: str):
    survives(JSON, text)


@given(near_frames, st.data())
@settings(max_examples=100)
def test_no_cut_or_changed_frame_does_harm(value: Any, data: st.DataObject):
    try:
        whole = bytearray(msgspec.msgpack.encode(value))
    except OverflowError:
        return
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    survives(MSGPACK, bytes(whole))
    survives(MSGPACK, bytes(whole[:at]))


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\xa2id\xd6\xff\x00\x00\x00\x00", b"\x82\xa2op\xa4ping\xa2id\xd6\xff\x00\x00\x00\x00",
        b"\x81\x91\x01\x01", b"\x81\x81\x01\x01\x01", b"\x81\xc4\x01a\x01", b"\x81\xd4\x01a\x01", b"\xd4\x01a",
        b"\x81\xa2id\xcf\xff\xff\xff\xff\xff\xff\xff\xff", b"\x82\xa2id\x01\xa2id\x02", b"\x81\xa1\xff\x01",
        b"\xc7\xff\x05", b"\xa2\xff\xfe",
    ],
)  # fmt: skip
def test_the_odd_corners_of_msgpack_do_no_harm(data: bytes):
    survives(MSGPACK, data)


@pytest.mark.parametrize(
    "text",
    [
        '{"id": 1e400}', '{"id": 123456789012345678901234567890}', '{"id": "\\ud800"}', '{"op": "\\ud800"}',
        '{"op":"ping","id":1,"client_time":1e999}', '{"id":-9999999999999999999}', "\ufeff{}", '{"a":1,"a":2}',
    ],
)  # fmt: skip
def test_the_odd_corners_of_json_do_no_harm(text: str):
    survives(JSON, text)


@BOTH
@pytest.mark.parametrize("size", [0, 1, 100, 120, 125, 126, 127, 1_000, 65_530, 65_536, 70_000, 200_000])
def test_frames_of_every_size_are_whole_websocket_frames(codec: Codec, size: int):
    message = {"x": "y" * size}
    assert decoded(codec, codec.frame(message)) == [message]
    assert decoded(codec, codec.frame(message) * 2) == [message] * 2


def test_each_subprotocol_has_its_codec():
    assert {name: codec.subprotocol for name, codec in CODECS.items()} == {
        "ece.v1.msgpack": "ece.v1.msgpack",
        "ece.v1.json": "ece.v1.json",
    }
    assert (MSGPACK.binary, JSON.binary) == (True, False)
