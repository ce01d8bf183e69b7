"""Trades with a durable nonce on an SVM: both owners sign, several assets a side, under the limits of the chain."""

from collections.abc import Sequence

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.standards.standard import AssetTerms
from chain.standards.token_2022 import Token2022
from chain.transactions.building import Fee
from chain.transactions.cosigned import CosignedMessage, cosigned_message
from chain.transactions.nonce import NONCE_BYTES, Nonce, create_nonce, nonce_address, parse_nonce
from chain.transactions.packing import BYTES_MAX, COMPUTE_UNITS_MAX, TooLarge
from chain.transactions.swap import AssetLeg, LamportLeg, Leg, TokenLeg, swap
from tests.svm import Failed, Svm

STANDARD = Token2022()
FITS = [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3)]


class Trade:
    """Ann and Bob have the same number of assets; the nonce has an authority that does not pay fees."""

    def __init__(self, a_side: int) -> None:
        self.svm = Svm()
        self.ann, self.bob = self.svm.funded(), self.svm.funded()
        self.anns = [self._minted(f"a{i}", self.ann.pubkey()) for i in range(a_side)]
        self.bobs = [self._minted(f"b{i}", self.bob.pubkey()) for i in range(a_side)]
        authority = self.svm.authority.pubkey()
        self.nonce_address = nonce_address(authority, "trade")
        rent = self.svm.rent(NONCE_BYTES)
        self.svm.run([create_nonce(self.svm.payer.pubkey(), authority, "trade", authority, rent)])
        # A nonce can't be advanced with the blockhash that it was created with.
        self.svm.blockhash()

    def _minted(self, key: str, owner: Pubkey) -> Pubkey:
        svm, terms = self.svm, AssetTerms(key, "CARD", "ipfs://card")
        size = STANDARD.asset_bytes(terms)
        payer, authority = svm.payer.pubkey(), svm.authority.pubkey()
        svm.run([STANDARD.mint(payer, authority, key, owner, terms, {size: svm.rent(size)})])
        return STANDARD.asset_address(authority, key)

    def legs(self) -> list[Leg]:
        ann, bob = self.ann.pubkey(), self.bob.pubkey()
        return [
            *(AssetLeg(STANDARD, one, None, ann, bob) for one in self.anns),
            *(AssetLeg(STANDARD, one, None, bob, ann) for one in self.bobs),
        ]

    def message(self, legs: Sequence[Leg], version: int) -> CosignedMessage:
        payer, owners = self.svm.payer.pubkey(), (self.ann.pubkey(), self.bob.pubkey())
        nonce = Nonce(self.nonce_address, parse_nonce(self.svm.data(self.nonce_address) or b""))
        return cosigned_message(payer, [swap(payer, owners, legs, version)], nonce, Fee(COMPUTE_UNITS_MAX), version)

    def signed(self, message: CosignedMessage) -> bytes:
        keys = {one.pubkey(): one for one in (self.svm.payer, self.svm.authority, self.ann, self.bob)}
        return message.assembled({one: keys[one].sign_message(message.message) for one in message.signers})

    def owners(self) -> list[list[bool]]:
        """For each side, whether the other one has each of its assets."""
        return [[self._has(self.bob, one) for one in self.anns], [self._has(self.ann, one) for one in self.bobs]]

    def _has(self, owner: Keypair, asset: Pubkey) -> bool:
        data = self.svm.data(STANDARD.holding_address(asset, owner.pubkey()))
        return data is not None and STANDARD.holds(data, asset, owner.pubkey())


@pytest.mark.parametrize(("version", "a_side"), FITS)
def test_assets_of_both_sides_change_hands_once(version: int, a_side: int):
    trade = Trade(a_side)
    raw = trade.signed(trade.message(trade.legs(), version))
    assert len(raw) <= BYTES_MAX[version]
    trade.svm.execute(raw)
    assert trade.owners() == [[True] * a_side] * 2
    with pytest.raises(Failed):
        trade.svm.execute(raw)


@pytest.mark.parametrize("version", [0, 1])
def test_a_side_that_has_moved_an_asset_on_ends_the_whole_trade(version: int):
    trade = Trade(2)
    raw = trade.signed(trade.message(trade.legs(), version))
    ann, elsewhere = trade.ann.pubkey(), Keypair().pubkey()
    trade.svm.run([STANDARD.transfer(trade.svm.payer.pubkey(), trade.anns[1], None, ann, elsewhere)], trade.ann)
    # The account that held it is closed.
    with pytest.raises(Failed, match="IncorrectProgramId"):
        trade.svm.execute(raw)
    assert trade.owners() == [[False] * 2] * 2


def test_the_nonce_counts_when_a_trade_is_measured():
    trade, (mint, creator, house) = Trade(1), (Pubkey.new_unique() for _ in range(3))
    ann, bob = trade.ann.pubkey(), trade.bob.pubkey()
    paid = [TokenLeg(mint, 6, bob, to, 1) for to in (ann, creator, house)]
    legs = [*trade.legs(), LamportLeg(bob, ann, 1), *paid]
    # Alone it fits; with the nonce it would be 1,260 bytes.
    swap(trade.svm.payer.pubkey(), (ann, bob), legs, 0)
    with pytest.raises(TooLarge):
        trade.message(legs, 0)
    assert len(trade.message(legs, 1).unsigned()) <= BYTES_MAX[1]
