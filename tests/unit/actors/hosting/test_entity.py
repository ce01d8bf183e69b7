"""One entity: what it stages, what it remembers, how it comes back."""

from collections.abc import Sequence
from typing import Any

import pytest
from auction_examples import ANN, AUCTION, terms
from auction_requests import accepted, bid_request, close_request, decode_auction, open_request, refused
from auction_strategies import bids as bid_commands
from auction_strategies import sound_terms
from hypothesis import given
from hypothesis import strategies as st

from actors.hosting.entity.entity import RECENT_KEYS_MAX, BrokenChain, Entity
from actors.hosting.entity.orders import Order
from actors.hosting.entity.overlay import Overlay
from actors.stream.messages import Accepted, Answer, Command, Refused, Request, StateAnswer
from domain.auction.events import Opened
from domain.auction.terms import Terms
from domain.log.codec import command_key, encode
from domain.money import usd
from persistence.log.event_log import EventRow, KeyedRow

NOW = 1_000_000


class Desk:
    """A entity, and the log that its batches would give."""

    def __init__(self, terms: Terms) -> None:
        self.entity = Entity(AUCTION, "auction", slot=3, epoch=1)
        self.rows: list[EventRow] = []
        self.now = max(NOW, terms.starts_at)
        assert isinstance(self.ask(open_request(AUCTION, terms)), StateAnswer)

    def ask(self, request: Request) -> Answer:
        """One order in a batch of its own, committed."""
        overlay = self.overlay()
        overlay.decide(Order(request, 1, None))
        overlay.encode()
        self.rows += overlay.rows
        overlay.install()
        [decision] = overlay.decisions
        assert decision.answer is not None
        return decision.answer

    def overlay(self) -> Overlay:
        return Overlay(self.entity, self.now, refused("unavailable", self.now), {})

    def loaded(self, from_row: int = 0) -> Entity:
        """Another entity, from a snapshot after so many rows and the tail."""
        if from_row == 0:
            other = Entity(AUCTION, "auction", slot=3, epoch=1)
        else:
            before = Entity(AUCTION, "auction", slot=3, epoch=1)
            before.replay(self.rows[:from_row])
            other = Entity(AUCTION, "auction", slot=3, epoch=1)
            other.restore(before.snapshot())
        other.replay(self.rows[from_row:])
        return other


def bid(bidder: int, amount: int, key: str) -> Command:
    return bid_request(AUCTION, bidder, f"n{bidder}", amount, key)


def facts(entity: Entity) -> tuple[object, ...]:
    return entity.state, entity.seq, entity.at, entity.hash


def test_what_is_staged_is_what_the_log_gives_back():
    desk = Desk(terms())
    for i in range(20):
        desk.ask(bid(ANN + i % 2, usd(10 + i), f"k{i}"))
    for from_row in range(len(desk.rows) + 1):
        assert facts(desk.loaded(from_row)) == facts(desk.entity)


def test_a_snapshot_holds_the_state_and_its_place():
    desk = Desk(terms())
    desk.ask(bid(ANN, usd(10), "k"))
    snapshot = desk.entity.snapshot()
    assert (snapshot.entity, snapshot.seq, snapshot.epoch, snapshot.hash) == (AUCTION, 3, 1, desk.rows[-1].hash)
    assert decode_auction(snapshot.state) == desk.entity.state


def test_only_the_first_event_of_a_command_has_its_key():
    desk = Desk(terms(reserve_price=usd(5)))
    desk.ask(bid(ANN, usd(10), "k"))
    assert [row.command_key for row in desk.rows] == [None, None, command_key(ANN, "k"), None]


def test_memory_does_not_grow_with_bids():
    desk = Desk(terms())
    for i in range(RECENT_KEYS_MAX * 3):
        desk.ask(bid(ANN, usd(10) + i, f"k{i}"))
    assert len(desk.entity._recent) == RECENT_KEYS_MAX
    assert not desk.entity.complete
    assert len(desk.loaded()._recent) == RECENT_KEYS_MAX


def test_a_keeper_that_has_seen_every_key_knows_it():
    desk = Desk(terms())
    assert desk.entity.complete
    for i in range(RECENT_KEYS_MAX):
        desk.ask(bid(ANN, usd(10) + i, f"k{i}"))
    assert desk.entity.complete
    assert desk.loaded().complete
    # From a snapshot: the keys of what came before it are only in the log.
    assert not desk.loaded(from_row=3).complete


@pytest.mark.parametrize("missing", [0, 1, 5])
def test_a_tail_with_a_gap_is_a_broken_chain(missing: int):
    desk = Desk(terms())
    for i in range(5):
        desk.ask(bid(ANN, usd(10 + i), f"k{i}"))
    del desk.rows[missing]
    with pytest.raises(BrokenChain):
        desk.loaded()


def test_an_answer_from_the_log_is_the_answer_of_then():
    desk = Desk(terms())
    request = bid(ANN, usd(10), "k")
    first = desk.ask(request)
    row = desk.rows[2]
    found = KeyedRow(row.seq, row.at, row.epoch, row.body)
    assert isinstance(first, Accepted)
    assert desk.entity.known_answer(usd(10), found) == accepted(
        1, 3, desk.now, "leading", usd(1), usd(1, 25), terms().ends_at, True
    )
    assert desk.entity.known_answer(usd(11), found) == refused("key_reused", row.at)


def test_a_keys_row_that_is_no_bid_is_a_fault_not_an_answer():
    desk = Desk(terms())
    with pytest.raises(AssertionError):
        desk.entity.known_answer(1, KeyedRow(1, 1, 1, encode(Opened())))


@st.composite
def bids_with_retries(draw: st.DrawFn) -> tuple[Terms, list[Command], list[Command]]:
    """Bids with keys of their own, and the same with retries put in wherever their first try came before."""
    terms = draw(sound_terms())
    commands = draw(st.lists(bid_commands, min_size=1, max_size=12))
    firsts = [bid(c.bidder, c.amount, f"k{i}") for i, c in enumerate(commands)]
    retried: list[Command] = []
    for i, first in enumerate(firsts):
        retried.append(first)
        for which in draw(st.lists(st.integers(0, i), max_size=3)):
            retried.append(firsts[which])  # noqa: PERF401
    return terms, firsts, retried


@given(bids_with_retries())
def test_any_retries_in_any_order_give_the_same_state_and_the_first_answers(
    drawn: tuple[Terms, list[Command], list[Command]],
):
    terms, firsts, retried = drawn
    plain, repeated = Desk(terms), Desk(terms)
    answers = {request.key: plain.ask(request) for request in firsts}
    known: set[Any] = set()
    for request in retried:
        answer, first = repeated.ask(request), answers[request.key]
        if isinstance(first, Accepted):
            assert isinstance(answer, Accepted)
            assert answer.duplicate is (request.key in known)
            assert (answer.seq, answer.result) == (first.seq, first.result)
            known.add(request.key)
        else:
            assert isinstance(answer, Refused)
    assert repeated.rows == plain.rows
    assert facts(repeated.entity) == facts(plain.entity)


@given(bids_with_retries(), st.integers(0, 14))
def test_retries_after_a_reload_give_the_same_too(drawn: tuple[Terms, list[Command], list[Command]], snapshot_at: int):
    terms, firsts, _ = drawn
    desk = Desk(terms)
    answers = [desk.ask(request) for request in firsts]
    rows = list(desk.rows)
    desk.entity = desk.loaded(min(snapshot_at, len(rows)))
    for request, first in zip(firsts, answers, strict=True):
        again = desk.ask(request)
        if isinstance(first, Accepted) and isinstance(again, Accepted):
            assert (again.seq, again.duplicate) == (first.seq, True)
        else:
            # Forgotten with the snapshot: refused, never accepted a second time (the host then asks the log).
            assert isinstance(again, Refused)
    assert desk.rows == rows


def keys_of(rows: Sequence[EventRow]) -> list[bytes]:
    return [row.command_key for row in rows if row.command_key is not None]


@given(bids_with_retries())
def test_no_key_is_written_twice(drawn: tuple[Terms, list[Command], list[Command]]):
    terms, _, retried = drawn
    desk = Desk(terms)
    for request in retried:
        desk.ask(request)
    assert len(keys_of(desk.rows)) == len(set(keys_of(desk.rows)))


def remembered(entity: Entity) -> list[tuple[int, str]]:
    return list(entity._recent)


@pytest.mark.parametrize("known", [0, 3, RECENT_KEYS_MAX - 1, RECENT_KEYS_MAX])
def test_what_is_decided_changes_nothing_until_it_is_installed(known: int):
    desk = Desk(terms())
    for number in range(known):
        desk.ask(bid(ANN, usd(10 + number), f"k{number}"))
    entity = desk.entity
    before = (facts(entity), remembered(entity), entity.complete)
    overlay = desk.overlay()
    for number in range(3):
        overlay.decide(Order(bid(ANN, usd(5_000 + number), f"t{number}"), number, None))
    overlay.decide(Order(close_request(AUCTION, 1), 4, None))
    overlay.encode()
    assert overlay.state is not None
    assert overlay.state.ended
    assert (len(overlay.rows), len(overlay.decisions)) == (4, 4)
    assert (facts(entity), remembered(entity), entity.complete) == before
    desk.rows += overlay.rows
    overlay.install()
    assert remembered(entity)[-1] == (ANN, "t2")
    assert facts(desk.loaded()) == facts(entity)


@given(bids_with_retries(), st.data())
def test_what_is_dropped_leaves_what_the_others_alone_come_to(
    drawn: tuple[Terms, list[Command], list[Command]], data: st.DataObject
):
    terms, _, retried = drawn
    desk, alone = Desk(terms), Desk(terms)
    overlay, orders = desk.overlay(), [Order(request, number, None) for number, request in enumerate(retried)]
    for order in orders:
        overlay.decide(order)
    overlay.encode()
    bidders = sorted({request.key[0] for request in retried if request.key is not None})
    user, available = data.draw(st.sampled_from(bidders)), data.draw(st.integers(0, usd(2_000)))
    fallen = {
        id(d.order): refused("insufficient_funds", desk.now, available=available, required=required)
        for d in overlay.decisions
        for who, required in d.required
        if who == user and required > available
    }
    overlay.drop(user, available)
    overlay.encode()
    expected = alone.overlay()
    for order in orders:
        if id(order) not in fallen:
            expected.decide(order)
    expected.encode()
    assert overlay.rows == expected.rows
    assert overlay.state == expected.state
    answers = [(d.order.request_id, d.answer) for d in overlay.decisions if d.order and id(d.order) not in fallen]
    assert answers == [(d.order.request_id, d.answer) for d in expected.decisions if d.order]
    assert {id(d.order): d.answer for d in overlay.decisions if id(d.order) in fallen} == fallen
