"""The log's bytes: what is written can be read, what can't be read says so, and the chain holds."""

import hashlib
from typing import Any

import msgspec
import pytest
from auction_examples import ANN, AUCTION, terms
from auction_requests import decode_auction, decode_event
from auction_strategies import auctions, events, history, ids
from hypothesis import given
from hypothesis import strategies as st

from domain.auction.events import Event, LeadTaken, Listed, Opened
from domain.auction.increments import STANDARD_INCREMENTS
from domain.log.codec import Unreadable, command_key, encode, first_hash, next_hash


@given(events)
def test_every_event_survives_the_log(event: Event):
    assert decode_event(encode(event)) == event


@given(auctions)
def test_every_state_survives_a_snapshot(drawn: Any):
    for *_, auction in history(*drawn):
        assert decode_auction(encode(auction)) == auction


def test_auctions_read_from_the_log_share_the_standard_table_and_keep_their_own():
    standard, own = terms(), terms(increments=((0, 5), (100, 10)))
    for written, table in ((standard, STANDARD_INCREMENTS), (own, own.increments)):
        read = decode_event(encode(Listed(written)))
        assert isinstance(read, Listed)
        assert read.terms.increments == table
        assert (read.terms.increments is STANDARD_INCREMENTS) is (written is standard)


@given(st.binary(max_size=60) | events.map(encode).flatmap(lambda b: st.integers(0, len(b)).map(lambda n: b[:n])))
def test_bytes_that_are_no_event_are_unreadable_and_nothing_worse(body: bytes):
    try:
        event = decode_event(body)
    except Unreadable:
        return
    assert encode(event)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_state_are_unreadable_and_nothing_worse(data: bytes):
    with pytest.raises(Unreadable):
        decode_auction(data)


@pytest.mark.parametrize(
    "fields",
    [
        ["unheard_of"], [], {"taken": 1}, 7, None, ["taken", 1, "ann", "much", 1, 1, 1, "k"],
        ["taken", 1, "ann", 5.5, 1, 1, 1, "k"], ["taken", 1, "ann"], ["extended", 10**6],
    ],
)  # fmt: skip
def test_an_event_of_another_shape_is_unreadable(fields: object):
    with pytest.raises(Unreadable):
        decode_event(msgspec.msgpack.encode(fields))


def test_rows_of_today_can_be_read_for_ever():
    # Bytes as the first release wrote them: a change that can't read these breaks every auction in the log.
    taken = bytes.fromhex("98a574616b656e02a3616e6ece02faf080ce000f4240ce001312d0ce001e8480a16b")
    assert decode_event(taken) == LeadTaken(ANN, "ann", 50_000_000, 1_000_000, 1_250_000, 2_000_000, "k")
    assert decode_event(bytes.fromhex("91a66f70656e6564")) == Opened()
    assert encode(Opened()) == bytes.fromhex("91a66f70656e6564")
    # A later release adds fields at the end: those of today do not disturb it, nor do its rows disturb this one.
    assert decode_event(msgspec.msgpack.encode(["opened", "of", "tomorrow"])) == Opened()


def test_terms_keep_their_defaults_when_old_rows_lack_the_last_fields():
    listed = msgspec.msgpack.decode(encode(Listed(terms())))
    assert decode_event(msgspec.msgpack.encode([listed[0], listed[1][:7]])) == Listed(terms())


def test_the_chain_is_what_its_description_says():
    previous = hashlib.sha256(b"ece-auction-v1" + (7).to_bytes(8, "big")).digest()
    assert first_hash("auction", 7) == previous
    row = b"".join(n.to_bytes(8, "big") for n in (2, 3, 4))
    assert next_hash(previous, 2, 3, 4, b"body") == hashlib.sha256(previous + row + b"body").digest()


@given(st.binary(max_size=20), st.integers(0, 6), st.integers(1, 255))
def test_a_change_of_anything_changes_the_hash(body: bytes, which: int, by: int):
    row: list[Any] = [first_hash("auction", AUCTION), 1, 2, 3, body]
    changed = list(row)
    if which in (1, 2, 3):
        changed[which] += by
    elif which == 0:
        changed[0] = first_hash("auction", AUCTION + by)
    elif which == 4:
        changed[4] = body + bytes([by])
    else:
        # Moving bytes between what stands beside each other must not go unnoticed either.
        changed[3], changed[4] = row[3] ^ by, bytes([by]) + body
    assert next_hash(*changed) != next_hash(*row)


@given(ids, st.text(max_size=64), ids, st.text(max_size=64))
def test_a_command_key_names_one_bidders_one_key(bidder: int, key: str, other: int, other_key: str):
    same = (bidder, key) == (other, other_key)
    assert (command_key(bidder, key) == command_key(other, other_key)) == same
    assert len(command_key(bidder, key)) == 16
