"""Signatures of several people over one message with a durable nonce, checked byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer

from chain.bundle import Bundle
from chain.transactions.building import Fee, MissingSigner
from chain.transactions.cosigned import (
    CosignedMessage,
    CosignRefused,
    InvalidSignature,
    MessageChanged,
    NotASigner,
    cosigned_message,
    stored_message,
)
from chain.transactions.nonce import (
    NONCE_BYTES,
    Nonce,
    NonceAccount,
    NotANonce,
    advance_nonce,
    create_nonce,
    nonce_address,
    parse_nonce,
    withdraw_nonce,
)
from tests.svm import Failed, Svm

VERSIONS = pytest.mark.parametrize("version", [0, 1])
PAYER, ANN, BOB = (Keypair.from_seed(bytes([i]) * 32) for i in range(1, 4))


def payment_of(giver: Keypair, taker: Pubkey, lamports: int = 1_000_000_000) -> Bundle:
    params = TransferParams(from_pubkey=giver.pubkey(), to_pubkey=taker, lamports=lamports)
    return Bundle((transfer(params),), frozenset([giver.pubkey()]), 1, 1_000)


def message_of(version: int) -> CosignedMessage:
    nonce = Nonce(Pubkey.from_bytes(b"\7" * 32), NonceAccount(PAYER.pubkey(), Hash.from_bytes(b"\5" * 32)))
    bundles = [payment_of(ANN, BOB.pubkey()), payment_of(BOB, ANN.pubkey())]
    return cosigned_message(PAYER.pubkey(), bundles, nonce, Fee(50_000, 1_000), version)


MESSAGES = {version: message_of(version) for version in (0, 1)}


def signed_by(message: CosignedMessage, *keys: Keypair) -> bytes:
    """As a wallet gives it back: its own signature, and nothing for the others."""
    signatures = {one.pubkey(): one.sign_message(message.message) for one in keys}
    return message._with([signatures.get(one, Signature.default()) for one in message.signers])


@VERSIONS
def test_signatures_that_come_one_by_one_make_a_transaction(version: int):
    message = stored_message(MESSAGES[version].message)
    assert message == MESSAGES[version]
    assert set(message.signers) == {one.pubkey() for one in (PAYER, ANN, BOB)}
    found = {one.pubkey(): message.verified(one.pubkey(), signed_by(message, one)) for one in (ANN, BOB)}
    with pytest.raises(MissingSigner):
        message.assembled(found)
    found[PAYER.pubkey()] = PAYER.sign_message(message.message)
    assert message.assembled(found) == signed_by(message, PAYER, ANN, BOB)


@VERSIONS
@given(data=st.data())
def test_one_changed_byte_is_refused(version: int, data: st.DataObject):
    message = MESSAGES[version]
    signed = bytearray(signed_by(message, ANN))
    place = data.draw(st.integers(0, len(signed) - 1))
    signed[place] ^= data.draw(st.integers(1, 255))
    begin, end = message._signatures_at()
    mine = begin + 64 * message.signers.index(ANN.pubkey())
    if begin <= place < end and not mine <= place < mine + 64:
        # Signatures of others are theirs to give.
        assert message.verified(ANN.pubkey(), bytes(signed)) == ANN.sign_message(message.message)
        return
    with pytest.raises(CosignRefused):
        message.verified(ANN.pubkey(), bytes(signed))


@VERSIONS
@given(signed=st.binary(max_size=1_000))
def test_any_bytes_are_refused(version: int, signed: bytes):
    with pytest.raises(CosignRefused):
        MESSAGES[version].verified(ANN.pubkey(), signed)


@VERSIONS
def test_what_is_longer_or_shorter_is_another_transaction(version: int):
    message = MESSAGES[version]
    signed = signed_by(message, ANN)
    for other in (signed + b"\0", signed[:-1], b"", MESSAGES[1 - version].unsigned()):
        with pytest.raises(MessageChanged):
            message.verified(ANN.pubkey(), other)


@VERSIONS
def test_a_signature_of_another_wallet_or_over_another_message_is_refused(version: int):
    message = MESSAGES[version]
    with pytest.raises(InvalidSignature):
        message.verified(ANN.pubkey(), message.unsigned())
    with pytest.raises(InvalidSignature):
        message.check(ANN.pubkey(), BOB.sign_message(message.message))
    with pytest.raises(InvalidSignature):
        message.check(ANN.pubkey(), ANN.sign_message(message.message + b"\0"))
    with pytest.raises(NotASigner):
        message.verified(Keypair().pubkey(), signed_by(message, ANN))
    with pytest.raises(InvalidSignature):
        message.assembled({one: PAYER.sign_message(message.message) for one in message.signers})


class NonceScene:
    """A nonce on an SVM; Ann pays Bob with it."""

    def __init__(self) -> None:
        self.svm = Svm()
        self.ann, self.bob = self.svm.funded(), self.svm.funded()
        authority = self.svm.authority.pubkey()
        self.address = nonce_address(authority, "trade-1")
        bundle = create_nonce(self.svm.payer.pubkey(), authority, "trade-1", authority, self.svm.rent(NONCE_BYTES))
        self.svm.run([bundle])

    def nonce(self) -> Nonce:
        return Nonce(self.address, parse_nonce(self.svm.data(self.address) or b""))

    def signed(self, version: int, lamports: int = 1_000_000_000) -> bytes:
        bundles = [payment_of(self.ann, self.bob.pubkey(), lamports)]
        message = cosigned_message(self.svm.payer.pubkey(), bundles, self.nonce(), Fee(50_000), version)
        keys = {one.pubkey(): one for one in (self.svm.payer, self.svm.authority, self.ann)}
        return message.assembled({one: keys[one].sign_message(message.message) for one in message.signers})


@VERSIONS
def test_a_transaction_with_a_nonce_lands_much_later_and_once(version: int):
    scene = NonceScene()
    raw = scene.signed(version)
    for _ in range(300):
        scene.svm.blockhash()
    scene.svm.svm.warp_to_slot(100_000)
    scene.svm.execute(raw)
    assert scene.svm.lamports(scene.bob.pubkey()) == 101_000_000_000
    with pytest.raises(Failed):
        scene.svm.execute(raw)


@VERSIONS
def test_advancing_the_nonce_ends_what_was_signed_for_it(version: int):
    scene = NonceScene()
    raw = scene.signed(version)
    scene.svm.blockhash()
    scene.svm.run([advance_nonce(scene.address, scene.svm.authority.pubkey())])
    with pytest.raises(Failed):
        scene.svm.execute(raw)
    assert scene.svm.lamports(scene.bob.pubkey()) == 100_000_000_000


def test_the_rent_of_a_nonce_comes_back():
    scene = NonceScene()
    held, to = scene.svm.lamports(scene.address), Keypair().pubkey()
    scene.svm.run([withdraw_nonce(scene.address, scene.svm.authority.pubkey(), to, held)])
    assert (scene.svm.lamports(scene.address), scene.svm.lamports(to)) == (0, held)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_nonce_or_not(data: bytes):
    try:
        parse_nonce(data)
    except NotANonce:
        assert data[:8] != b"\1\0\0\0\1\0\0\0" or len(data) != NONCE_BYTES
