"""The messages of swaps: the lowest version that holds one is used, and who signs it."""

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey

from chain.transactions.nonce import Nonce, NonceAccount
from chain.transactions.packing import TooLarge
from chain.transactions.swap import InvalidSwap
from chain.transactions.swap_message import LOCAL_VERSIONS, PUBLIC_VERSIONS, SwapBuilder
from domain.sales.swaps import CardLeg, PaymentLeg, SwapLeg

ANN, BOB, PAYER, AUTHORITY, NONCE, MINT = (Pubkey.new_unique() for _ in range(6))
AT = Nonce(NONCE, NonceAccount(AUTHORITY, Hash.new_unique()))


def cards(a_side: int) -> list[SwapLeg]:
    return [
        CardLeg(number, str(Pubkey.new_unique()), "token-2022", str(Pubkey.new_unique()), str(giver), str(taker))
        for giver, taker in ((ANN, BOB), (BOB, ANN))
        for number in range(a_side)
    ]


def payments() -> list[SwapLeg]:
    return [
        PaymentLeg(purpose, str(ANN), str(taker), 1)
        for purpose, taker in (("sale", BOB), ("fee", Pubkey.new_unique()), ("royalty", Pubkey.new_unique()))
    ]


@pytest.mark.parametrize(
    ("legs", "version"),
    [
        (cards(2), 0),
        (cards(3), 1),
        (cards(1)[1:] + payments(), 0),
        (cards(1) + payments(), 1),
        (cards(2) + payments(), 1),
    ],
)
def test_the_lowest_version_that_holds_it_is_used(legs: list[SwapLeg], version: int):
    public, local = SwapBuilder(MINT, PUBLIC_VERSIONS), SwapBuilder(MINT, LOCAL_VERSIONS)
    made = local.message(PAYER, (ANN, BOB), legs, AT)
    assert made.message[0] == 0x80 + version
    assert (made.signers[0], set(made.signers)) == (PAYER, {PAYER, AUTHORITY, ANN, BOB})
    local.check((ANN, BOB), legs)
    if version == 0:
        public.check((ANN, BOB), legs)
    else:
        with pytest.raises(TooLarge):
            public.check((ANN, BOB), legs)


def test_what_no_version_holds_is_too_large():
    with pytest.raises(TooLarge):
        SwapBuilder(MINT, LOCAL_VERSIONS).check((ANN, BOB), cards(4))


def test_no_money_moves_without_its_mint():
    with pytest.raises(InvalidSwap, match="no money"):
        SwapBuilder(None, LOCAL_VERSIONS).check((ANN, BOB), cards(1) + payments())
