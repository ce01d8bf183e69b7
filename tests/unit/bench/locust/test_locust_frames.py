"""The second implementation of the wire agrees with the documentation, and with the engine's own codec."""

from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
import yaml

from bench.locust.frames import (
    AUCTION_EVENTS,
    REPLIES,
    Reply,
    Update,
    check_auction_event,
    check_reply,
    decode,
    encode,
)
from ece_client import UnexpectedAnswer

ASYNCAPI: dict[str, Any] = yaml.safe_load((Path(__file__).parents[4] / "docs/asyncapi.yaml").read_text())
MESSAGES: dict[str, Any] = ASYNCAPI["components"]["messages"]
EXAMPLES = [
    (f"{name}-{number}", example["payload"])
    for name, message in MESSAGES.items()
    for number, example in enumerate(message.get("examples", []))
]
FROM_THE_SERVER = [(name, frame) for name, frame in EXAMPLES if "op" not in frame]
REQUESTS = {frame["id"]: frame for _, frame in EXAMPLES if "op" in frame}


@pytest.mark.parametrize(("name", "frame"), FROM_THE_SERVER, ids=[name for name, _ in FROM_THE_SERVER])
def test_every_documented_frame_of_the_server_is_read(name: str, frame: dict[str, Any]):
    read = decode(msgspec.msgpack.encode(frame))
    if "channel" in frame:
        assert isinstance(read, Update)
        assert (read.channel, read.seq, read.data) == (frame["channel"], frame.get("seq"), frame["data"])
        if read.channel.startswith("auction:"):
            check_auction_event(read.type, read.data)
    else:
        assert read == Reply(frame["id"], frame, frame.get("error"))


def test_every_operation_whose_reply_is_read_is_documented():
    assert {frame["op"] for _, frame in EXAMPLES if "op" in frame} >= REPLIES.keys()


@pytest.mark.parametrize("frame", [frame for _, frame in EXAMPLES if "op" in frame], ids=lambda frame: str(frame["op"]))
def test_what_is_written_is_what_the_engine_reads(frame: dict[str, Any]):
    assert msgspec.msgpack.decode(encode(frame)) == frame


STATE = {"status": "open", "price": 1, "minimum": 1, "ends_at": 9}
BID_REPLY = {
    "id": 1, "ok": True, "auction": "a", "epoch": 1, "seq": 3, "at": 5, "outcome": "leading", "price": 1, "minimum": 2,
    "duplicate": False,
}  # fmt: skip
UPDATE = {"channel": "auction:a", "epoch": 1, "seq": 2, "type": "bid", "at": 5, "data": {}}


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\xc1", msgpack.packb([1, 2]), msgpack.packb({"id": 1}), msgpack.packb({"id": 1, "ok": 1}),
        msgpack.packb({"ok": True}), msgpack.packb({"id": 1, "ok": False}),
        msgpack.packb({"id": 1, "ok": False, "error": {}}),
        msgpack.packb({"id": 1, "ok": True, "error": {"code": "x"}}),
        msgpack.packb(UPDATE)[:-3],
        *(msgpack.packb({**UPDATE, name: wrong}) for name, wrong in (
            ("seq", None), ("seq", "2"), ("seq", True), ("epoch", None), ("at", None), ("data", []), ("type", 7),
            ("channel", None),
        )),
    ],
)  # fmt: skip
def test_a_frame_that_is_not_as_documented_is_an_error(payload: bytes):
    with pytest.raises(UnexpectedAnswer):
        decode(payload)


@pytest.mark.parametrize("name", list(REPLIES["bid"]))
def test_a_reply_to_a_bid_without_one_of_its_fields_is_an_error(name: str):
    check_reply("bid", BID_REPLY)
    with pytest.raises(UnexpectedAnswer, match=name):
        check_reply("bid", {field: value for field, value in BID_REPLY.items() if field != name})


@pytest.mark.parametrize(
    "fields",
    [
        {"recovered": True, "state": STATE}, {"recovered": False, "events": []}, {"recovered": False},
        {"recovered": False, "state": None},
    ],
)  # fmt: skip
def test_a_reply_to_subscribe_has_events_or_a_state(fields: dict[str, Any]):
    with pytest.raises(UnexpectedAnswer, match="neither"):
        check_reply("subscribe", {"epoch": 1, "seq": 1, **fields})


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, fields in AUCTION_EVENTS.items() for name in fields])
def test_an_event_of_an_auction_without_one_of_its_fields_is_an_error(kind: str, name: str):
    whole: dict[str, Any] = {name: {int: 1, str: "x"}[kind_] for name, kind_ in AUCTION_EVENTS[kind].items()}
    check_auction_event(kind, whole)
    del whole[name]
    with pytest.raises(UnexpectedAnswer, match=name):
        check_auction_event(kind, whole)
