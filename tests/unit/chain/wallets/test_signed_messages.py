import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.wallets.addresses import InvalidAddress, Reason, parse_address, wallet_address
from chain.wallets.sign_in import NotSigned, signed_message
from domain.wallets.sign_in import SignIn, message_of

PAIR = Keypair()
MESSAGE = message_of(SignIn("cards.example", str(PAIR.pubkey()), nonce="0123456789abcdef")).encode()


def signed_by(pair: Keypair, message: bytes = MESSAGE) -> bytes:
    return bytes(pair.sign_message(message))


def test_what_the_wallet_signed_is_read():
    assert signed_message(PAIR.pubkey(), MESSAGE, signed_by(PAIR)).nonce == "0123456789abcdef"


def test_another_key_another_text_and_a_changed_bit_are_refused():
    good = signed_by(PAIR)
    flipped = bytes([*good[:-1], good[-1] ^ 1])
    tampered = MESSAGE.replace(b"cards.example wants", b"cards.examplf wants")
    for address, message, signature in (
        (Keypair().pubkey(), MESSAGE, good), (PAIR.pubkey(), tampered, good), (PAIR.pubkey(), MESSAGE, flipped),
        (PAIR.pubkey(), MESSAGE, b""), (PAIR.pubkey(), MESSAGE, good + b"\0"), (PAIR.pubkey(), b"", good),
    ):  # fmt: skip
        with pytest.raises(NotSigned):
            signed_message(address, message, signature)


def test_signed_text_that_is_no_sign_in_message_is_refused():
    for text in (b"hello", MESSAGE + b"\n", b"\xff" + MESSAGE, MESSAGE.replace(b"\n", b"\r\n"), b"x" * 3_000):
        with pytest.raises(NotSigned):
            signed_message(PAIR.pubkey(), text, signed_by(PAIR, text))


@pytest.mark.parametrize("first", [0, 1])
def test_a_key_that_everybody_can_sign_for_is_refused(first: int):
    weak = Pubkey(bytes([first, *[0] * 31]))
    message = message_of(SignIn("cards.example", str(weak), nonce="0123456789abcdef")).encode()
    with pytest.raises(NotSigned, match="everybody"):
        signed_message(weak, message, bytes([1, *[0] * 63]))


def test_an_address_is_base58_of_32_bytes_and_nothing_else():
    text = "4Nd1mYwJjAXXjrB4vHHHMXqvXL8sJ5jUeFpdCkSPXzsA"
    assert str(parse_address(text)) == text
    others = "", text[:30], text + "1", "0" * 44, text[:-1] + " ", "é" * 32, text.replace("m", "l"), "1" * 31, "z" * 44
    for other in others:
        with pytest.raises(InvalidAddress) as refused:
            parse_address(other)
        assert refused.value.reason is Reason.NOT_AN_ADDRESS


def test_addresses_without_a_wallet_are_refused_with_the_reason():
    program = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
    derived, _ = Pubkey.find_program_address([b"vault"], Pubkey.from_string(program))
    mint, own = Keypair().pubkey(), Keypair().pubkey()
    reasons = {
        program: Reason.PROGRAM,
        "11111111111111111111111111111111": Reason.PROGRAM,
        str(derived): Reason.NO_WALLET,
        str(mint): Reason.MINT,
        str(own): Reason.OWN,
        "nonsense": Reason.NOT_AN_ADDRESS,
    }
    for text, reason in reasons.items():
        with pytest.raises(InvalidAddress) as refused:
            wallet_address(text, own=[own], mints=[mint])
        assert refused.value.reason is reason
    assert wallet_address(str(PAIR.pubkey()), own=[own], mints=[mint]) == PAIR.pubkey()
