"""A trade on an SVM with real programs: all of its legs happen, or none."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.standards.standard import AssetTerms
from chain.standards.token_2022 import Token2022
from chain.transactions.packing import TooLarge
from chain.transactions.swap import AssetLeg, InvalidSwap, LamportLeg, Leg, TokenLeg, payments, swap
from tests.svm import Failed, Svm

STANDARD = Token2022()
USDC = 10**6


class Trade:
    """Ann has a card, Bob has another one and money; a creator gets royalties, the house a fee."""

    def __init__(self) -> None:
        self.svm = Svm()
        self.ann, self.bob = self.svm.funded(), self.svm.funded()
        self.creator, self.house = Keypair().pubkey(), Keypair().pubkey()
        self.usdc = self.svm.new_token()
        self.svm.give_tokens(self.usdc, self.bob.pubkey(), 500 * USDC)
        self.anns = self.minted("1", self.ann.pubkey())
        self.bobs = self.minted("2", self.bob.pubkey())

    def minted(self, job: str, owner: Pubkey) -> Pubkey:
        svm, terms = self.svm, AssetTerms(f"Card {job}", "CARD", "ipfs://card")
        size = STANDARD.asset_bytes(terms)
        payer, authority = svm.payer.pubkey(), svm.authority.pubkey()
        svm.run([STANDARD.mint(payer, authority, job, owner, terms, {size: svm.rent(size)})])
        return STANDARD.asset_address(authority, job)

    def legs(self) -> list[Leg]:
        ann, bob = self.ann.pubkey(), self.bob.pubkey()
        paid = payments(bob, ann, (self.creator, 500), (self.house, 250), 100 * USDC)
        return [
            AssetLeg(STANDARD, self.anns, None, ann, bob),
            AssetLeg(STANDARD, self.bobs, None, bob, ann),
            LamportLeg(bob, ann, 2_000_000_000),
            *(TokenLeg(self.usdc, 6, bob, to, amount) for to, amount in paid),
        ]

    def run(self, legs: list[Leg], version: int) -> None:
        owners = (self.ann.pubkey(), self.bob.pubkey())
        self.svm.run([swap(self.svm.payer.pubkey(), owners, legs, version)], self.ann, self.bob, version=version)

    def state(self) -> tuple[object, ...]:
        people = (self.ann.pubkey(), self.bob.pubkey())
        return (
            [self.owner_of(self.anns), self.owner_of(self.bobs)],
            [self.svm.lamports(one) for one in people],
            [self.svm.tokens_of(self.usdc, one) for one in (*people, self.creator, self.house)],
        )

    def owner_of(self, asset: Pubkey) -> str | None:
        for name, owner in (("ann", self.ann.pubkey()), ("bob", self.bob.pubkey())):
            data = self.svm.data(STANDARD.holding_address(asset, owner))
            if data and STANDARD.holds(data, asset, owner):
                return name
        return None


@pytest.mark.parametrize("version", [0, 1])
def test_all_legs_happen(version: int):
    trade = Trade()
    trade.run(trade.legs(), version)
    assert trade.state() == (
        ["bob", "ann"], [102_000_000_000, 98_000_000_000],
        [92_500_000, 400 * USDC, 5_000_000, 2_500_000],
    )  # fmt: skip


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("failing", range(6))
def test_any_leg_that_fails_reverts_all(failing: int, version: int):
    trade = Trade()
    legs = trade.legs()
    assert len(legs) == 6
    match legs[failing]:
        case AssetLeg() as leg:
            # It belongs to neither of them any more.
            legs[failing] = replace(leg, asset=trade.minted("3", Keypair().pubkey()))
        case LamportLeg() as leg:
            legs[failing] = replace(leg, lamports=10**15)
        case TokenLeg() as leg:
            legs[failing] = replace(leg, amount=10**15)
    before = trade.state()
    with pytest.raises(Failed):
        trade.run(legs, version)
    assert trade.state() == before


def test_a_trade_that_is_too_large_is_refused_before_anybody_signs():
    trade = Trade()
    ann, bob = trade.ann.pubkey(), trade.bob.pubkey()
    legs: list[Leg] = [AssetLeg(STANDARD, Pubkey.new_unique(), None, ann, bob) for _ in range(10)]
    for version in (0, 1):
        with pytest.raises(TooLarge):
            swap(trade.svm.payer.pubkey(), (ann, bob), legs, version)


ANN, BOB, OTHER, PAYER = (Pubkey.from_bytes(bytes([i]) * 32) for i in range(1, 5))
CARD = AssetLeg(STANDARD, OTHER, None, ANN, BOB)


@pytest.mark.parametrize(
    "legs",
    [
        [], [CARD, CARD], [replace(CARD, giver=OTHER)], [replace(CARD, taker=OTHER)], [replace(CARD, taker=ANN)],
        [LamportLeg(ANN, BOB, 0)], [LamportLeg(ANN, BOB, -1)], [LamportLeg(PAYER, BOB, 1)],
        [TokenLeg(OTHER, 6, OTHER, BOB, 1)], [TokenLeg(OTHER, 6, ANN, BOB, 2**64)], [LamportLeg(ANN, BOB, 1)] * 33,
    ],
)  # fmt: skip
def test_what_is_no_trade_of_two_owners_is_refused(legs: list[Leg]):
    with pytest.raises(InvalidSwap):
        swap(PAYER, (ANN, BOB), legs, 1)


def test_neither_owner_is_the_one_who_pays_the_fees():
    for owners in ((ANN, ANN), (PAYER, BOB), (ANN, PAYER)):
        with pytest.raises(InvalidSwap):
            swap(PAYER, owners, [LamportLeg(owners[0], OTHER, 1)], 1)


@given(st.integers(1, 10**15), st.integers(0, 10_000), st.integers(0, 10_000))
def test_no_unit_of_a_price_is_lost(price: int, royalty: int, fee: int):
    if royalty + fee > 10_000:
        with pytest.raises(InvalidSwap):
            payments(BOB, ANN, (OTHER, royalty), (PAYER, fee), price)
        return
    paid = payments(BOB, ANN, (OTHER, royalty), (PAYER, fee), price)
    assert sum(amount for _, amount in paid) == price
    assert all(amount > 0 for _, amount in paid)
    assert dict(paid).get(OTHER, 0) <= price * royalty / 10_000
