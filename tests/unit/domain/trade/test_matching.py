"""Trades are found in what users want and are open to trade."""

from hypothesis import given
from hypothesis import strategies as st

from domain.trade.matching import CYCLES_MAX, Match, proposals

ANN, BOB, CID, DAN = 1, 2, 3, 4


def match(giver: int, receiver: int, copy: int, value: int | None = 100) -> Match:
    return Match(giver, receiver, copy, copy * 10, value)


def copies(found: list[tuple[Match, ...]]) -> list[list[int]]:
    return [[leg.copy for leg in legs] for legs in found]


def test_two_users_who_want_what_the_other_has_can_trade():
    found = proposals(ANN, [match(ANN, BOB, 10), match(BOB, ANN, 20)], 10)
    assert copies([one.legs for one in found]) == [[10, 20]]


def test_three_users_can_trade_in_a_ring():
    found = proposals(ANN, [match(ANN, BOB, 10), match(BOB, CID, 20), match(CID, ANN, 30)], 10)
    assert copies([one.legs for one in found]) == [[10, 20, 30]]


def test_a_ring_of_four_and_one_without_the_user_are_not_proposed():
    ring = [match(ANN, BOB, 10), match(BOB, CID, 20), match(CID, DAN, 30), match(DAN, ANN, 40)]
    assert proposals(ANN, ring, 10) == []
    assert proposals(ANN, [match(BOB, CID, 20), match(CID, BOB, 30)], 10) == []


def test_the_copies_of_the_most_equal_values_are_taken():
    given_by_ann = [match(ANN, BOB, 10, 500), match(ANN, BOB, 11, 90)]
    [found] = proposals(ANN, [*given_by_ann, match(BOB, ANN, 20, 100)], 10)
    assert ([leg.copy for leg in found.legs], found.difference_bp) == ([11, 20], 1_000)


def test_unknown_values_come_last():
    matches = [match(ANN, BOB, 10, None), match(BOB, ANN, 20), match(ANN, CID, 11, 1), match(CID, ANN, 30)]
    found = proposals(ANN, matches, 10)
    assert [one.difference_bp for one in found] == [9_900, None]


edges = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 40), st.none() | st.integers(0, 1_000)).filter(
        lambda edge: edge[0] != edge[1]
    ),
    max_size=120,
)


@given(edges, st.integers(1, 20))
def test_in_every_proposal_each_user_gives_and_gets_one_copy_that_is_wanted(
    drawn: list[tuple[int, int, int, int | None]], limit: int
):
    matches = [match(*edge) for edge in drawn]
    found = proposals(ANN, matches, limit)
    assert len(found) <= limit
    for proposal in found:
        legs = proposal.legs
        assert set(legs) <= set(matches)
        givers, receivers = [leg.giver for leg in legs], [leg.receiver for leg in legs]
        assert len(legs) in (2, 3)
        assert givers[0] == ANN
        assert receivers == [*givers[1:], ANN]
        assert len(set(givers)) == len(legs)


def test_much_in_demand_costs_no_more_than_the_bound():
    crowd = range(10, 210)
    matches = [match(ANN, user, 1) for user in crowd] + [match(user, ANN, user) for user in crowd]
    matches += [match(one, other, one * 1_000 + other) for one in crowd for other in crowd if one != other]
    assert len(crowd) ** 2 > CYCLES_MAX
    assert len(proposals(ANN, matches, 50)) == 50
