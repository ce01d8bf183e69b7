"""What is paid and handed over when a trade is executed."""

from hypothesis import given
from hypothesis import strategies as st
from trade_examples import ANN, BOB, CID

from domain.sales.settlement import Payee, SoldCopy
from domain.trade.settlement import Handover, Payment, Settlement, largest_side, settle
from domain.trade.terms import Leg

HOUSE = 0
ARTIST = 50
CARD = 7


def copies_of(*legs: Leg, royalty_bp: int = 1_000) -> dict[int, SoldCopy]:
    """All copies, of one card with an artist."""
    return {copy: SoldCopy(copy, CARD, (Payee(ARTIST, royalty_bp),)) for leg in legs for copy in leg.copies}


def settled(*legs: Leg, fee_bp: int = 250) -> Settlement:
    return settle(legs, copies_of(*legs), fee_bp, HOUSE)


def test_money_is_the_price_of_the_copies_that_its_payer_gets_from_the_payee():
    assert settled(Leg(ANN, BOB, (10,), 1_000), Leg(BOB, ANN, (20, 21))) == Settlement(
        payments=(
            Payment("trade", ANN, BOB, 875), Payment("trade_fee", ANN, HOUSE, 25),
            Payment("trade_royalty", ANN, ARTIST, 100),
        ),
        handovers=(
            Handover(20, CARD, BOB, ANN, 500, 13, 50), Handover(21, CARD, BOB, ANN, 500, 12, 50),
            Handover(10, CARD, ANN, BOB, 0, 0, 0),
        ),
        money=1_000, fee=25, royalties=100,
    )  # fmt: skip


def test_for_money_without_copies_only_the_fee_is_due():
    ring = settled(Leg(ANN, BOB, (10,), 1_000), Leg(BOB, CID, (20,)), Leg(CID, ANN, (30,)))
    assert ring.payments == (Payment("trade", ANN, BOB, 975), Payment("trade_fee", ANN, HOUSE, 25))
    assert (ring.fee, ring.royalties) == (25, 0)
    assert {one.copy: (one.giver, one.receiver, one.value) for one in ring.handovers} == {
        10: (ANN, BOB, 0), 20: (BOB, CID, 0), 30: (CID, ANN, 0)
    }  # fmt: skip


def test_a_swap_of_copies_costs_nothing():
    assert settled(Leg(ANN, BOB, (10,)), Leg(BOB, ANN, (20,))).payments == ()


def test_an_artist_who_sells_gets_no_royalty_of_their_own():
    legs = (Leg(ANN, ARTIST, (), 1_000), Leg(ARTIST, ANN, (20,)))
    assert settle(legs, copies_of(*legs), 0, HOUSE).payments == (Payment("trade", ANN, ARTIST, 1_000),)


@given(
    st.lists(st.integers(0, 10**9), min_size=3, max_size=3), st.lists(st.integers(0, 3), min_size=3, max_size=3),
    st.integers(0, 5_000), st.integers(1, 4_000),
)  # fmt: skip
def test_payments_sum_to_the_money_and_each_copy_is_handed_over_once(
    money: list[int], counts: list[int], fee_bp: int, royalty_bp: int
):
    ring = ((ANN, BOB), (BOB, CID), (CID, ANN))
    legs = [
        Leg(*pair, tuple(range(100 * n + 1, 100 * n + 1 + count)), amount)
        for n, (pair, amount, count) in enumerate(zip(ring, money, counts, strict=True))
    ]
    # Copies go the other way as well, so that there are prices.
    legs += [Leg(BOB, ANN, (900, 901))]
    result = settle(legs, copies_of(*legs, royalty_bp=royalty_bp), fee_bp, HOUSE)
    assert sum(one.amount for one in result.payments) == result.money == sum(money)
    assert all(one.amount > 0 for one in result.payments)
    keys = [(one.kind, one.payer, one.payee) for one in result.payments]
    assert len(set(keys)) == len(keys)
    paid = {payer: sum(one.amount for one in result.payments if one.payer == payer) for payer in (ANN, BOB, CID)}
    assert paid == dict(zip((ANN, BOB, CID), money, strict=True))
    assert result.fee == sum(one.amount for one in result.payments if one.kind == "trade_fee")
    assert result.royalties == sum(one.amount for one in result.payments if one.kind == "trade_royalty")
    assert sorted((one.giver, one.receiver, one.copy) for one in result.handovers) == sorted(
        (leg.giver, leg.receiver, copy) for leg in legs for copy in leg.copies
    )


def test_the_largest_side_counts_money_and_what_copies_are_worth():
    legs = (Leg(ANN, BOB, (10, 11), 5), Leg(BOB, ANN, (20,)))
    assert largest_side(legs, {10: 100, 20: 150}) == 150
    assert largest_side(legs, {10: 100, 11: 60, 20: 150}) == 165
    assert largest_side(legs, {}) == 5
