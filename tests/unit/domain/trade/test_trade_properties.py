"""What holds in every trade, whatever its parties, workers and moderators do."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from trade_examples import ANN, BOB, CID, LEGS, MODERATOR, RULES, START, followed, opened, terms

from domain.entity import Refusal, Tick
from domain.kinds import kind_of
from domain.log.codec import encode
from domain.trade.commands import (
    Accept,
    Appeal,
    Confirm,
    Counter,
    Decline,
    Dispute,
    Edit,
    Execute,
    Fail,
    Invalidate,
    Judge,
    Respond,
    ReversalDone,
    Reverse,
    SendMessage,
)
from domain.trade.events import Accepted, Confirmed, Countered
from domain.trade.state import ENDED, HOLDING, Status, Trade
from domain.trade.terms import Leg, terms_hash

users = st.sampled_from([ANN, BOB, CID])
keys = st.uuids().map(str)
offers = st.sampled_from(
    [LEGS, (Leg(ANN, BOB, (10,), 9), Leg(BOB, ANN, (20,))), (Leg(ANN, BOB, (11,)), Leg(BOB, ANN, (20, 21)))]
)
# Of these, the hash and the version are put in from the state when they are drawn as right.
moves = st.one_of(
    st.builds(Counter, users, keys, st.integers(0, 4), offers),
    st.builds(Accept, users, keys, st.just("")),
    st.builds(Accept, users, keys, st.just("00")),
    st.builds(Confirm, users, keys, st.just("")),
    st.builds(Decline, users, keys),
    st.builds(SendMessage, users, keys, st.just("hello")),
    st.builds(Edit, users, keys, st.integers(0, 2), offers),
    st.builds(Invalidate, st.sampled_from([10, 11, 20, 99]), st.just("sold")),
    st.builds(Execute, st.just(1), st.just(0), st.integers(START, START + 10**7), st.integers(START, START + 10**7)),
    st.builds(Fail, st.just("copy_not_free"), st.just(10)),
    st.builds(Dispute, users, keys, st.just("forged")),
    st.builds(Respond, users, keys, st.just("no")),
    st.builds(Judge, st.sampled_from([ANN, MODERATOR, MODERATOR + 1]), keys, st.booleans(), st.just("seen")),
    st.builds(Appeal, users, keys, st.just("again")),
    st.builds(Reverse, st.sampled_from([ANN, MODERATOR]), keys, st.just("stolen")),
    st.builds(ReversalDone, st.sampled_from([None, "copy_moved_on"])),
    st.just(Tick()),
)
steps = st.lists(st.tuples(moves, st.integers(0, 10**8)), max_size=40)


def history(drawn: list[tuple[Any, int]]) -> list[tuple[Trade, Any, int, list[Any], Trade]]:
    """(before, command, time, events, after) of all that was not refused."""
    trade, now, found = opened(), START, []
    for command, pause in drawn:
        now += pause if isinstance(command, Tick) else pause % 1_000
        if isinstance(command, Accept | Confirm) and not command.hash:
            command = type(command)(command.by, command.key, trade.hash)
        events = RULES.decide(trade, command, now)
        if isinstance(events, Refusal) or not events:
            continue
        found.append((trade, command, now, events, followed(trade, events)))
        trade = found[-1][-1]
    return found


@given(steps)
def test_only_terms_that_all_parties_accepted_by_their_hash_are_held_or_executed(drawn: Any):
    accepted = {ANN: (1, opened().hash)}
    for _, _, _, events, trade in history(drawn):
        for event in events:
            if isinstance(event, Accepted):
                accepted[event.by] = (trade.version, event.hash)
            if isinstance(event, Countered):
                accepted[event.by] = (event.version, event.hash)
        if trade.status in HOLDING | {Status.EXECUTED}:
            # These offers have no conditions, so what was accepted is what was agreed.
            assert accepted == dict.fromkeys((ANN, BOB), (trade.version, trade.hash))
            assert trade.hash == terms_hash(trade.terms.trade, trade.version, trade.legs)


@given(steps)
def test_nobody_confirms_but_what_they_have_accepted(drawn: Any):
    for before, _, _, events, _ in history(drawn):
        for event in events:
            if isinstance(event, Confirmed):
                assert event.by in before.accepted
                assert event.hash == before.hash


@given(steps)
def test_all_that_is_given_is_held_from_the_agreement_to_the_execution_and_nothing_else_ever(drawn: Any):
    for _, _, _, _, trade in history(drawn):
        held = RULES.reserved(trade)
        if trade.status not in HOLDING:
            assert held == {}
            continue
        given = {(leg.giver, copy) for leg in trade.legs for copy in leg.copies}
        assert {(user, copy) for user, one in held.items() for copy in one.copies} == given
        assert sum(one.amount for one in held.values()) == sum(leg.money for leg in trade.legs)


@given(steps)
def test_an_ended_trade_never_changes_again(drawn: Any):
    for before, _, _, _, _ in history(drawn):
        assert before.status not in ENDED


@given(steps)
def test_the_command_behind_each_event_gives_the_same_events_again(drawn: Any):
    for before, _, now, events, _ in history(drawn):
        command = RULES.command_behind(before, events[0])
        assert command is not None
        assert RULES.decide(before, command, now) == events


@given(steps)
def test_a_retry_has_the_fingerprint_of_the_receipt(drawn: Any):
    for _, command, _, events, _ in history(drawn):
        receipt = RULES.receipt(events[0])
        if receipt is not None:
            assert (receipt.user, receipt.key) == (command.by, command.key)
            assert RULES.fingerprint(command) == receipt.fingerprint


@given(steps)
def test_states_and_events_survive_encoding_and_have_public_forms(drawn: Any):
    codec = kind_of("trade").codec
    for _, command, now, events, trade in history(drawn):
        if not isinstance(command, Tick):
            assert codec.decode_command(encode(command)) == command
        assert codec.decode_state(encode(trade)) == trade
        assert [codec.decode_event(encode(event)) for event in events] == events
        assert encode(RULES.public_state(trade, now, "shared"))
        assert all(encode(RULES.public_event(event)) for event in events)
        assert len(RULES.summary(trade, now, "shared")) == 12


@given(steps)
def test_a_tick_when_it_is_due_changes_something(drawn: Any):
    for _, _, now, _, trade in history(drawn):
        due_at = RULES.due_at(trade)
        if due_at is not None:
            assert RULES.decide(trade, Tick(), max(now, due_at))


def test_the_drawn_terms_are_possible():
    assert RULES.terms_fault(terms()) is None
