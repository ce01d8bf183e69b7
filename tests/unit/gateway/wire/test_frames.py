"""The protocol's frames: what is accepted, what is refused and how, and what goes out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.money import AMOUNT_MAX
from gateway.websocket.operations.auctions import BidFrame, BuyNowFrame
from gateway.websocket.operations.table import JSON, MSGPACK, OPERATIONS
from gateway.wire.codec import Codec
from gateway.wire.faults import BrokenFrame, InvalidFrame
from gateway.wire.frames import Frame, Hello, Ping, Position, Subscribe, Unsubscribe
from tests.unit.gateway.websocket.sessions import decoded

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
def test_frames_mean_the_same_in_both_codecs(codec: Codec, frame: dict[str, Any], expected: Frame):
    assert codec.decode(encoded(codec, frame)) == expected


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        {"amount": 5.5}, {"amount": "5"}, {"amount": -1}, {"amount": 0}, {"amount": AMOUNT_MAX + 1},
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


def test_whole_floats_are_integers_in_msgpack_as_javascript_writes_them():
    # An amount of 5,000 USD as msgpackr writes it.
    frame = bytes.fromhex("85a26f70a3626964a2696401a761756374696f6ead30303030303030303030303031")
    frame += bytes.fromhex("a6616d6f756e74cb41f2a05f20000000a36b6579a16b")
    assert MSGPACK.decode(frame) == BidFrame(1, "0000000000001", 5_000_000_000, "k")
    since = {"op": "subscribe", "id": 3, "channel": "c", "since": {"epoch": 1.0, "seq": 5e9}}
    assert MSGPACK.decode(encoded(MSGPACK, since)) == Subscribe(3, "c", Position(1, 5_000_000_000))


@pytest.mark.parametrize(
    ("written", "meant"), [((2.0, 5.0), (2, 5)), ((2.0**53, 1e15), (2**53, 10**15)), ((-0.0, 1.0), (0, 1))]
)
def test_and_they_are_integers_from_there_on(written: tuple[float, float], meant: tuple[int, int]):
    found = MSGPACK.decode(encoded(MSGPACK, BID | {"id": written[0], "amount": written[1]}))
    assert isinstance(found, BidFrame)
    assert (found.id, found.amount) == meant
    assert (type(found.id), type(found.amount)) == (int, int)


@pytest.mark.parametrize("amount", [0.5, 5.5, -1.0, 0.0, 1e16, 2.0**54, 1e300, float("nan"), float("inf")])
def test_all_other_floats_are_refused(amount: float):
    refused = fault(MSGPACK, encoded(MSGPACK, BID | {"id": 7.0, "amount": amount}))
    assert isinstance(refused, InvalidFrame)
    assert refused.request_id == 7


@pytest.mark.parametrize("text", ["5.0", "5e0", "5000000000.0"])
def test_json_has_integers_and_they_are_written_as_such(text: str):
    frame = str(encoded(JSON, BID)).replace('"amount":5', f'"amount":{text}')
    assert isinstance(fault(JSON, frame), InvalidFrame)


def written(codec: Codec, pairs: list[tuple[str, Any]]) -> bytes | str:
    """A map of these pairs, whatever their names."""
    if codec is MSGPACK:
        return bytes([0x80 + len(pairs)]) + b"".join(msgspec.msgpack.encode(part) for pair in pairs for part in pair)
    return "{" + ", ".join(f'"{name}" : {msgspec.json.encode(value).decode()}' for name, value in pairs) + "}"


@BOTH
@pytest.mark.parametrize(
    ("first", "again"),
    [
        (("amount", 5), ("amount", 7)), (("op", "bid"), ("op", "bid")), (("id", "1"), ("id", 1)),
        (("key", "k"), ("key", "other")), (("x", 1), ("x", 1)), (("x", {"y": 1}), ("x", 2)),
    ],
)  # fmt: skip
def test_a_field_that_occurs_twice_is_refused(codec: Codec, first: tuple[str, Any], again: tuple[str, Any]):
    refused = fault(codec, written(codec, [first, *(BID | dict([again])).items()]))
    assert isinstance(refused, InvalidFrame)
    assert (str(refused), refused.request_id) == ("a field occurs twice", 1)


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        (JSON, '{"op":"bid","id":1,"auction":"a","amount":5,"am\\u006funt":7,"key":"k"}'),
        (JSON, '{"op":"bid","id":1,"id":"1","auction":"a","amount":5,"key":"k"}'),
        (JSON, '{"op":"subscribe","id":1,"channel":"c","since":{"epoch":1,"seq":1,"seq":2}}'),
        (JSON, '{"op":"hello","id":1,"token":"a","token":"b"}'),
        (MSGPACK, b"\x84\xa2op\xa4ping\xa2id\x01\xabclient_time\x01\xabclient_time\x02"),
        (MSGPACK, b"\xde\x00\x03\xa2op\xa4ping\xa2id\x01\xa2id\x01"),
        (MSGPACK, b"\x83\xa2op\xa4ping\xa2id\x01\xa1x\x82\xa1y\x01\xa1y\x01"),
        (MSGPACK, b"\x83\xa2op\xa4ping\xa2id\x01\xa2id\xcb\x3f\xf0\0\0\0\0\0\0"),
    ],
)  # fmt: skip
def test_wherever_it_stands_and_however_it_is_written(codec: Codec, data: bytes | str):
    refused = fault(codec, data)
    assert isinstance(refused, InvalidFrame)
    assert str(refused) == "a field occurs twice"


SHORTEST = [
    {"op": "hello", "id": "a"}, {"op": "ping", "id": 1}, {"op": "subscribe", "id": 1, "channel": "c"},
    {"op": "unsubscribe", "id": "a", "channel": "c"}, BID, BID | {"id": "b1"},
    {"op": "buy_now", "id": 5, "auction": "a", "key": "k"},
]  # fmt: skip


@BOTH
@pytest.mark.parametrize("frame", SHORTEST)
def test_the_shortest_frames_are_not_read_a_second_time(
    codec: Codec, frame: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    looked: list[Any] = []
    monkeypatch.setattr(codec, "_reject_duplicate_keys", lambda *data: looked.append(data))
    codec.decode(encoded(codec, frame))
    if codec is MSGPACK:
        # The longer form of the same map, which some libraries write always.
        codec.decode(bytes((0xDE, 0, len(frame))) + bytes(encoded(codec, frame))[1:])  # type: ignore[arg-type]
    assert looked == []
    codec.decode(encoded(codec, frame | {"more": 1}))
    assert len(looked) == 1


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
    assert isinstance(frame, Frame)


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
    assert {name: codec.subprotocol for name, codec in OPERATIONS.codecs.items()} == {
        "ece.v1.msgpack": "ece.v1.msgpack",
        "ece.v1.json": "ece.v1.json",
    }
    assert (MSGPACK.binary, JSON.binary) == (True, False)
