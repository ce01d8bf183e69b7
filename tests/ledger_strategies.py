"""Orders to a small ledger, made so that they meet: few accounts, few ids, amounts around what there is."""

from hypothesis import strategies as st

from domain.ledger.currencies import AMOUNT_MAX
from domain.ledger.ids import held_for_auction
from domain.ledger.orders import Expire, Order, Pend, Post, Transfer, Void
from domain.ledger.rules import Reserve, balance_check

NOW = 1_800_000_000_000
USERS = 3
IDS = 12


def name(number: int) -> bytes:
    return number.to_bytes(16, "big")


def orders_over(accounts: list[int]) -> st.SearchStrategy[Order]:
    """Orders over these accounts, with ids that come again."""
    ids = st.integers(1, IDS).map(name)
    places = st.sampled_from(accounts)
    amounts = st.one_of(st.integers(1, 60), st.sampled_from([0, -1, 1.0, True, AMOUNT_MAX, AMOUNT_MAX + 1, "1"]))
    kinds = st.sampled_from(["deposit", "sale"])
    begin = (ids, places, places, amounts, kinds, st.sampled_from([None, 7]))
    expiries = st.sampled_from([None, NOW, NOW + 1, NOW + 5])
    some = st.none() | st.integers(1, 60)
    return st.one_of(
        st.builds(Transfer, *begin),
        st.builds(Pend, *begin, expiries),
        st.builds(Post, ids, ids, some),
        st.builds(Void, ids, ids),
        st.builds(Expire, ids, ids),
    )


def reserves_of(owners: list[int]) -> st.SearchStrategy[Reserve]:
    """Holds of these owners for two auctions: raised, released, set to this, left if they have grown, asked for."""

    def one(auction: int, owner: int, least: int, most: int, unless_above: int | None) -> Reserve:
        return Reserve(held_for_auction(auction), owner, least, most, unless_above)

    auctions, amounts = st.integers(0, 1), st.integers(0, 60)
    most = amounts | st.just(AMOUNT_MAX)
    return st.one_of(
        st.builds(one, auctions, st.sampled_from(owners), amounts, most, st.none() | amounts),
        # As hosts do it.
        st.builds(one, auctions, st.sampled_from(owners), amounts, st.just(AMOUNT_MAX), st.none()),
        st.builds(one, auctions, st.sampled_from(owners), st.just(0), st.just(0), amounts),
        st.builds(
            lambda auction, *rest: balance_check(held_for_auction(auction), *rest),
            auctions,
            st.sampled_from(owners),
            amounts,
        ),
    )
