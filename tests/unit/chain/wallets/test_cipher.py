import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.wallets.cipher import CannotDecrypt, KeyCipher, key_id_of

OLD, NEW = "o" * 40, "n" * 40


def cipher_of(*secrets: str) -> KeyCipher:
    return KeyCipher(lambda: secrets)


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_was_sealed_opens_with_the_same_context(value: bytes, context: bytes):
    cipher = cipher_of(NEW)
    sealed = cipher.seal(value, context)
    assert cipher.open(sealed.key_id, sealed.sealed, context) == value
    assert cipher.seal(value, context).sealed != sealed.sealed


@given(st.data(), st.binary(min_size=1, max_size=64))
def test_a_changed_byte_or_another_context_does_not_open(data: st.DataObject, value: bytes):
    cipher = cipher_of(NEW)
    sealed = cipher.seal(value, b"ann")
    changed = bytearray(sealed.sealed)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    for broken, context in ((bytes(changed), b"ann"), (sealed.sealed, b"bob"), (b"", b"ann")):
        with pytest.raises(CannotDecrypt):
            cipher.open(sealed.key_id, broken, context)


def test_the_newest_secret_seals_and_older_ones_still_open():
    sealed = cipher_of(OLD).seal(b"seed", b"ann")
    both = cipher_of(NEW, OLD)
    assert both.open(sealed.key_id, sealed.sealed, b"ann") == b"seed"
    assert both.seal(b"seed", b"ann").key_id == key_id_of(NEW) != key_id_of(OLD)


def test_a_secret_that_was_added_meanwhile_is_read_when_its_key_is_met():
    secrets = [OLD]
    running = KeyCipher(lambda: list(secrets))
    sealed = cipher_of(NEW, OLD).seal(b"seed", b"ann")
    with pytest.raises(CannotDecrypt):
        running.open(sealed.key_id, sealed.sealed, b"ann")
    secrets.insert(0, NEW)
    assert running.open(sealed.key_id, sealed.sealed, b"ann") == b"seed"


def test_no_secret_and_a_short_one_are_refused():
    with pytest.raises(ValueError, match="secret is needed"):
        cipher_of()
    with pytest.raises(ValueError, match="at least 32"):
        cipher_of("short")


def test_nothing_shows_a_secret():
    cipher = cipher_of(NEW)
    sealed = cipher.seal(b"my seed", b"ann")
    for text in (repr(cipher), str(cipher), repr(sealed), str(sealed)):
        assert NEW not in text
        assert "my seed" not in text
        assert repr(sealed.sealed) not in text
