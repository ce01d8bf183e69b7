"""Envelope encryption: data keys encrypt values, master keys wrap data keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.wallets.cipher import CannotDecrypt, KeyCipher
from chain.wallets.envelope import EnvelopeCipher
from domain.data_keys import EMAIL_INDEX, WrappedKey

OLD, NEW = "o" * 40, "n" * 40


def cipher_of(*secrets: str, now_ms: int = 1_000) -> EnvelopeCipher:
    return EnvelopeCipher(lambda: secrets, lambda: now_ms)


def with_keys(*usable_from: int, now_ms: int = 1_000) -> tuple[EnvelopeCipher, list[WrappedKey]]:
    cipher = cipher_of(OLD, now_ms=now_ms)
    rows = [cipher.new_data_key(at) for at in usable_from]
    assert cipher.install(rows) == []
    return cipher, rows


@given(st.binary(max_size=200), st.binary(max_size=50), st.binary(max_size=50))
def test_a_value_decrypts_in_its_context_only(value: bytes, context: bytes, other: bytes):
    cipher, _ = with_keys(0)
    sealed = cipher.seal(value, context)
    assert cipher.open(sealed.key_id, sealed.sealed, context) == value
    if other != context:
        with pytest.raises(CannotDecrypt):
            cipher.open(sealed.key_id, sealed.sealed, other)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_changed_byte_is_noticed(value: bytes, data: st.DataObject):
    cipher, _ = with_keys(0)
    sealed = cipher.seal(value, b"")
    place = data.draw(st.integers(0, len(sealed.sealed) - 1))
    changed = bytearray(sealed.sealed)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotDecrypt):
        cipher.open(sealed.key_id, bytes(changed), b"")


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=6, unique=True))
def test_the_key_that_became_usable_last_encrypts(times: list[int]):
    cipher, rows = with_keys(*times)
    usable = [row for row in rows if row.usable_from <= 1_000]
    if usable:
        assert cipher.key_id == max(usable, key=lambda row: row.usable_from).key_id
        assert cipher.seal(b"x", b"").key_id == cipher.key_id
    else:
        with pytest.raises(CannotDecrypt):
            cipher.seal(b"x", b"")


def test_what_an_older_key_has_encrypted_stays_readable():
    cipher, rows = with_keys(0)
    sealed = cipher.seal(b"secret", b"mine")
    cipher.install([*rows, cipher.new_data_key(500)])
    assert cipher.key_id != sealed.key_id
    assert cipher.open(sealed.key_id, sealed.sealed, b"mine") == b"secret"


def test_what_a_master_key_has_encrypted_itself_stays_readable():
    before = KeyCipher(lambda: [OLD]).seal(b"secret", b"mine")
    assert with_keys(0)[0].open(before.key_id, before.sealed, b"mine") == b"secret"


def test_rewrapped_it_is_the_same_key_under_the_new_master_key():
    cipher, rows = with_keys(0)
    sealed = cipher.seal(b"secret", b"mine")
    both, alone = cipher_of(NEW, OLD), cipher_of(NEW)
    again = [both.rewrapped(row) for row in rows]
    assert [row.master_id for row in again] == [alone.master_id]
    assert alone.install(again) == []
    assert alone.open(sealed.key_id, sealed.sealed, b"mine") == b"secret"


def test_a_key_whose_master_key_is_gone_is_named_and_not_used():
    _, rows = with_keys(0, 500)
    other = cipher_of(NEW)
    mine = other.new_data_key(100)
    assert other.install([*rows, mine]) == [row.key_id for row in rows]
    assert other.key_id == mine.key_id
    with pytest.raises(CannotDecrypt):
        other.open(rows[0].key_id, b"x" * 40, b"")


def test_a_wrapped_key_can_not_stand_in_for_another_one():
    _, (row, other) = with_keys(0, 1)
    swapped = WrappedKey(row.key_id, row.purpose, other.master_id, other.wrapped, row.usable_from)
    assert cipher_of(OLD).install([swapped]) == [row.key_id]


def test_addresses_have_the_same_index_in_all_processes_and_another_one_in_other_engines():
    one, other = cipher_of(OLD), cipher_of(OLD)
    key = one.new_data_key(0, EMAIL_INDEX)
    one.install([key])
    other.install([key])
    assert (
        one.email_index("ann@example.org") == other.email_index("ann@example.org") != one.email_index("bob@example.org")
    )
    other.install([other.new_data_key(0, EMAIL_INDEX)])
    assert one.email_index("ann@example.org") != other.email_index("ann@example.org")
    assert "ann" not in one.email_index("ann@example.org")


def test_nothing_shows_a_key():
    cipher, rows = with_keys(0)
    assert "wrapped" not in repr(rows[0])
    assert repr(cipher) == "EnvelopeCipher(1 data keys)"
