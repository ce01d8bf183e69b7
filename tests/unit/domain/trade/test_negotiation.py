"""Offers, counter-offers, acceptances and confirmations of a trade."""

import pytest
from trade_examples import ANN, BOB, CID, HOUR_MS, LEGS, RULES, START, after, agreed, confirmed, opened, refusal, terms

from domain.entity import Reservation, Tick
from domain.trade.commands import (
    Accept,
    Confirm,
    Counter,
    Decline,
    Edit,
    Execute,
    Fail,
    Invalidate,
    SendMessage,
)
from domain.trade.rules import CONFIRM_WITHIN_MS, MESSAGES_MAX
from domain.trade.state import Status
from domain.trade.terms import Condition, Leg, terms_fault, terms_hash

OTHER_LEGS = (Leg(ANN, BOB, (10,), 7), Leg(BOB, ANN, (20,)))


def test_who_makes_an_offer_accepts_it():
    assert list(opened().accepted) == [ANN]


def test_nothing_is_held_before_all_have_accepted():
    assert RULES.reserved(opened()) == {}


def test_once_all_have_accepted_money_and_copies_are_held():
    trade = agreed()
    assert trade.status is Status.AGREED
    assert RULES.reserved(trade) == {ANN: Reservation(5, copies=(10,)), BOB: Reservation(0, copies=(20,))}


def test_accepting_other_terms_than_those_now_is_refused():
    trade = opened()
    countered = after(trade, Counter(ANN, "k", 1, OTHER_LEGS))
    assert refusal(countered, Accept(BOB, "a", trade.hash)) == "stale_terms"


def test_a_counter_offer_voids_the_acceptances():
    trade = after(opened(), Counter(BOB, "k", 1, OTHER_LEGS))
    assert (trade.version, list(trade.accepted), trade.legs) == (2, [BOB], OTHER_LEGS)
    assert trade.hash == terms_hash(trade.terms.trade, 2, OTHER_LEGS)


def test_a_counter_offer_to_an_older_version_is_refused():
    trade = after(opened(), Counter(BOB, "k", 1, OTHER_LEGS))
    assert refusal(trade, Counter(ANN, "l", 1, LEGS)) == "stale_terms"


def test_after_the_agreement_the_terms_are_fixed():
    trade = agreed()
    assert refusal(trade, Counter(ANN, "k", 1, OTHER_LEGS)) == "trade_agreed"
    assert refusal(trade, Edit(ANN, "k", 0, OTHER_LEGS)) == "trade_agreed"


def test_the_trade_is_executed_once_all_have_confirmed():
    trade = agreed()
    once = after(trade, Confirm(ANN, "c", trade.hash))
    assert once.status is Status.AGREED
    assert refusal(once, Confirm(ANN, "d", trade.hash)) == "already_confirmed"
    assert after(once, Confirm(BOB, "c", trade.hash)).status is Status.CONFIRMED


def test_confirming_before_the_cool_down_has_passed_says_when():
    trade = opened()
    trade = after(trade, Accept(BOB, "a", trade.hash, cool_down_ms=5_000))
    decided = RULES.decide(trade, Confirm(ANN, "c", trade.hash), START + 2_000)
    assert (decided.code, decided.details) == ("trade_cooling_down", {"retry_after_ms": 3_000})  # type: ignore[union-attr]
    after(trade, Confirm(ANN, "c", trade.hash), now_ms=START + 5_000)


def test_an_offer_expires_and_an_agreement_does_so_too():
    assert after(opened(), Tick(), now_ms=START + HOUR_MS).status is Status.EXPIRED
    trade = agreed()
    expired = after(trade, Tick(), now_ms=START + CONFIRM_WITHIN_MS)
    assert (expired.status, RULES.reserved(expired)) == (Status.EXPIRED, {})
    assert refusal(trade, Confirm(ANN, "c", trade.hash), START + CONFIRM_WITHIN_MS) == "trade_ended"


def test_any_party_may_decline_until_all_have_confirmed():
    assert after(opened(), Decline(ANN, "d")).status is Status.WITHDRAWN
    assert after(agreed(), Decline(BOB, "d")).status is Status.DECLINED
    assert refusal(confirmed(), Decline(BOB, "d")) == "trade_ended"


def test_to_strangers_a_trade_does_not_exist():
    trade = opened()
    for command in (Accept(CID, "a", trade.hash), Decline(CID, "d"), SendMessage(CID, "m", "hello")):
        assert refusal(trade, command) == "not_found"


def test_a_copy_that_is_gone_ends_the_negotiation_and_frees_the_rest():
    for trade in (opened(), agreed()):
        ended = after(trade, Invalidate(20, "sold"))
        assert (ended.status, ended.copy, ended.reason, RULES.reserved(ended)) == (Status.INVALID, 20, "sold", {})
    assert after(opened(), Invalidate(99, "sold")).status is Status.OPEN


def test_conditions_are_met_by_copies_that_the_giver_names():
    trade = opened(legs=(Leg(ANN, BOB, (10,)), Leg(BOB, ANN, conditions=(Condition(card=5), Condition(rarity="rare")))))
    assert refusal(trade, Accept(BOB, "a", trade.hash)) == "invalid_terms"
    assert refusal(trade, Accept(BOB, "a", trade.hash, (20, 20))) == "invalid_terms"
    done = after(trade, Accept(BOB, "a", trade.hash, (20, 21)))
    assert done.legs[1] == Leg(BOB, ANN, (20, 21))
    assert done.hash == terms_hash(trade.terms.trade, 1, done.legs) != trade.hash
    assert RULES.reserved(done)[BOB].copies == (20, 21)


def test_who_offers_what_they_have_to_name_first_has_not_accepted_yet():
    trade = opened(legs=(Leg(ANN, BOB, conditions=(Condition(card=5),)), Leg(BOB, ANN, (20,))))
    assert trade.accepted == {}
    named = after(trade, Accept(ANN, "a", trade.hash, (10,)), Accept(BOB, "b", trade.hash))
    assert (named.status, named.legs[0]) == (Status.AGREED, Leg(ANN, BOB, (10,)))


def test_a_stale_edit_of_the_draft_is_refused_with_the_versions_now():
    trade = after(opened(), Edit(BOB, "e", 0, OTHER_LEGS))
    decided = RULES.decide(trade, Edit(ANN, "f", 0, LEGS), START)
    assert (decided.code, decided.details) == ("stale_terms", {"version": 1, "draft": 1})  # type: ignore[union-attr]
    assert after(trade, Edit(ANN, "f", 1, LEGS)).draft == LEGS


def test_messages_are_bounded():
    trade = opened()
    for number in range(MESSAGES_MAX):
        trade = after(trade, SendMessage(ANN, f"m{number}", "hello"))
    assert refusal(trade, SendMessage(BOB, "m", "hello")) == "trade_full"
    assert len(trade.messages) == 30


def test_only_a_confirmed_trade_is_executed_or_fails():
    executed = after(confirmed(), Execute(1, 0, 0, START + 1_000))
    assert (executed.status, RULES.reserved(executed)) == (Status.EXECUTED, {})
    assert after(executed, Tick(), now_ms=START + 1_000).status is Status.COMPLETED
    failed = after(confirmed(), Fail("copy_not_free", 20))
    assert (failed.status, RULES.reserved(failed)) == (Status.FAILED, {})
    assert after(agreed(), Execute(1, 0, 0, 1)).status is Status.AGREED


@pytest.mark.parametrize(
    ("legs", "parties"),
    [
        ((Leg(ANN, BOB, (10,)),), (ANN, BOB)),
        ((Leg(ANN, ANN, (10,)), Leg(BOB, ANN, (20,))), (ANN, BOB)),
        ((Leg(ANN, BOB, (10,)), Leg(BOB, ANN, (10,))), (ANN, BOB)),
        ((Leg(ANN, BOB, (10,), -1), Leg(BOB, ANN, (20,))), (ANN, BOB)),
        ((Leg(ANN, BOB, (10,), 1), Leg(BOB, ANN, (20,), 1)), (ANN, BOB)),
        ((Leg(ANN, BOB, money=1), Leg(BOB, ANN, money=1)), (ANN, BOB)),
        ((Leg(ANN, BOB, (10,), 10**30), Leg(BOB, ANN, (20,))), (ANN, BOB)),
        ((Leg(ANN, BOB, tuple(range(1_000))), Leg(BOB, ANN, (2_000,))), (ANN, BOB)),
        ((Leg(ANN, BOB, (10,)), Leg(ANN, BOB, (11,)), Leg(BOB, ANN, (20,))), (ANN, BOB)),
        ((Leg(ANN, BOB, (10,)), Leg(BOB, ANN)), (ANN, BOB)),
        ((Leg(ANN, BOB, (10,)), Leg(BOB, ANN, conditions=(Condition(),))), (ANN, BOB)),
        ((Leg(ANN, CID, (10,)), Leg(CID, ANN, (30,))), (ANN, BOB)),
        (LEGS, (ANN, BOB, CID)),
        (LEGS, (ANN, BOB, BOB)),
    ],
)
def test_impossible_terms_have_a_fault(legs: tuple[Leg, ...], parties: tuple[int, ...]):
    assert terms_fault(terms(legs, parties)) is not None


def test_a_ring_of_three_is_possible():
    ring = (Leg(ANN, BOB, (10,)), Leg(BOB, CID, (20,)), Leg(CID, ANN, (30,)))
    trade = opened(legs=ring, parties=(ANN, BOB, CID))
    trade = after(trade, Accept(CID, "a", trade.hash))
    assert trade.status is Status.OPEN
    assert after(trade, Accept(BOB, "b", trade.hash)).status is Status.AGREED
