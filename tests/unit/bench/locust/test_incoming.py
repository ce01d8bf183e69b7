"""Frames out of a stream of bytes, however it is cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.locust.incoming import BINARY, CLOSE, CONTINUATION, FRAME_BYTES_MAX, PING, BrokenStream, Incoming


def frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([opcode | (0x80 if last else 0)]) + length + payload


@given(st.lists(st.tuples(st.sampled_from([BINARY, PING]), st.sampled_from([0, 1, 125, 126, 300, 70_000]))), st.data())
def test_the_frames_are_the_same_wherever_the_stream_is_cut(frames: list[tuple[int, int]], data: st.DataObject):
    sent = [(opcode, bytes([number % 256]) * size) for number, (opcode, size) in enumerate(frames)]
    stream = b"".join(frame(opcode, payload) for opcode, payload in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    incoming = Incoming()
    parts = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]
    assert [message for part in parts for message in incoming.feed(part)] == sent


def test_fragments_are_put_together_and_a_ping_may_come_between_them():
    stream = frame(BINARY, b"one ", last=False) + frame(PING, b"?") + frame(CONTINUATION, b"message")
    stream += frame(CLOSE, b"\x03\xe8")
    assert list(Incoming().feed(stream)) == [(PING, b"?"), (BINARY, b"one message"), (CLOSE, b"\x03\xe8")]


@pytest.mark.parametrize(
    "stream",
    [
        bytes([0x82, 0x81]) + bytes(5),
        bytes([0xC2, 0x00]),
        b"\x82\x7f" + (FRAME_BYTES_MAX + 1).to_bytes(8, "big"),
    ],
    ids=["masked", "reserved bit", "too large"],
)
def test_a_server_that_breaks_the_protocol_is_found_out(stream: bytes):
    with pytest.raises(BrokenStream):
        list(Incoming().feed(stream))
