from hypothesis import given
from hypothesis import strategies as st

from domain.auction.terms import COPIES_MAX
from domain.sales.settlement import (
    FEE_BP_MAX,
    PAYEES_MAX,
    ROYALTY_BP_MAX,
    Leg,
    Payee,
    Sale,
    Share,
    SoldCopy,
    royalty_fault,
    shared_out,
    split,
)

HOUSE, SELLER, BUYER, ARTIST, STUDIO = 0, 1, 2, 3, 4

royalties = st.lists(
    st.builds(Payee, st.integers(1, 8), st.integers(1, ROYALTY_BP_MAX)),
    max_size=PAYEES_MAX,
    unique_by=lambda payee: payee.owner,
).filter(lambda payees: royalty_fault(payees) is None)


@st.composite
def sales(draw: st.DrawFn) -> Sale:
    copies = draw(st.lists(royalties, max_size=COPIES_MAX))
    sold = tuple(SoldCopy(100 + n, 200 + n % 3, tuple(payees)) for n, payees in enumerate(copies))
    price = draw(st.integers(1, 40) | st.integers(1, 2**53 - 1))
    return Sale(SELLER, BUYER, price, draw(st.integers(0, FEE_BP_MAX)), sold)


@given(sales())
def test_nothing_of_a_price_is_lost_or_made_up(sale: Sale) -> None:
    done = split(sale, HOUSE)
    assert sum(leg.amount for leg in done.legs) == sale.price
    assert all(leg.amount > 0 for leg in done.legs)
    assert len({(leg.kind, leg.owner) for leg in done.legs}) == len(done.legs)
    assert sum(leg.amount for leg in done.legs if leg.kind == "fee") == done.fee
    assert sum(leg.amount for leg in done.legs if leg.kind == "royalty") == done.royalties
    assert all(leg.owner != BUYER for leg in done.legs)


@given(sales())
def test_the_shares_of_the_copies_are_the_whole(sale: Sale) -> None:
    done = split(sale, HOUSE)
    assert [share.copy for share in done.shares] == [copy.copy for copy in sale.copies]
    if sale.copies:
        assert sum(share.price for share in done.shares) == sale.price
        assert sum(share.fee for share in done.shares) == done.fee
    assert sum(share.royalties for share in done.shares) == done.royalties
    prices = [share.price for share in done.shares]
    assert not prices or max(prices) - min(prices) <= 1


def test_a_sale_with_royalties_pays_the_seller_what_is_left():
    card = SoldCopy(10, 20, (Payee(ARTIST, 1_000), Payee(STUDIO, 250)))
    done = split(Sale(SELLER, BUYER, 1_000_000, 500, (card,)), HOUSE)
    assert done.legs == (
        Leg("sale", SELLER, 825_000),
        Leg("fee", HOUSE, 50_000),
        Leg("royalty", ARTIST, 100_000),
        Leg("royalty", STUDIO, 25_000),
    )
    assert done.shares == (Share(10, 20, 1_000_000, 50_000, 125_000),)


def test_who_sells_or_buys_gets_no_royalty():
    card = SoldCopy(10, 20, (Payee(SELLER, 1_000), Payee(BUYER, 1_000)))
    assert split(Sale(SELLER, BUYER, 1_000, 0, (card,)), HOUSE).legs == (Leg("sale", SELLER, 1_000),)


def test_a_bundle_cheaper_than_its_copies_has_copies_for_nothing():
    copies = tuple(SoldCopy(n, 1) for n in (10, 11, 12))
    assert [share.price for share in split(Sale(SELLER, BUYER, 2, 500, copies), HOUSE).shares] == [1, 1, 0]
    assert shared_out(7, 3) == [3, 2, 2]
    assert shared_out(7, 0) == []


def test_royalties_are_bounded():
    assert royalty_fault([Payee(1, 5_000)]) is None
    assert royalty_fault([Payee(1, 5_001)]) == "a payee gets from 1 to 5000 basis points"
    assert royalty_fault([Payee(1, 0)]) == "a payee gets from 1 to 5000 basis points"
    assert royalty_fault([Payee(1, 3_000), Payee(2, 3_000)]) == "all payees together get at most 5000 basis points"
    assert royalty_fault([Payee(1, 10), Payee(1, 10)]) == "a payee is named once"
    assert royalty_fault([Payee(n, 10) for n in range(6)]) == "a royalty has at most 5 payees"
