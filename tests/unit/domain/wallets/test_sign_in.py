from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.wallets.sign_in import InvalidMessage, SignIn, difference, is_small_order, message_of, parse

ADDRESS = "4Nd1mYwJjAXXjrB4vHHHMXqvXL8sJ5jUeFpdCkSPXzsA"
FULL = SignIn(
    "cards.example", ADDRESS, "Link this wallet to the account ann.", "https://cards.example", "1", "solana:localnet",
    "0123456789abcdef", "2026-11-28T16:00:00.000Z", "2026-11-28T16:10:00.000Z", "2026-11-28T16:00:00.000Z", "7",
    ("https://cards.example/terms", "ipfs://x"),
)  # fmt: skip
TEXT = f"""cards.example wants you to sign in with your Solana account:
{ADDRESS}

Link this wallet to the account ann.

URI: https://cards.example
Version: 1
Chain ID: solana:localnet
Nonce: 0123456789abcdef
Issued At: 2026-11-28T16:00:00.000Z
Expiration Time: 2026-11-28T16:10:00.000Z
Not Before: 2026-11-28T16:00:00.000Z
Request ID: 7
Resources:
- https://cards.example/terms
- ipfs://x"""

values = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["C", "Z"]), min_size=1, max_size=20
)
sign_ins = st.builds(
    SignIn,
    domain=st.from_regex(r"[a-z0-9.:-]{1,30}", fullmatch=True),
    address=st.just(ADDRESS),
    statement=st.none() | values.map(lambda text: f"Say {text}"),
    **{name: st.none() | values for name in
       ("uri", "version", "chain_id", "nonce", "issued_at", "expiration_time", "not_before", "request_id")},
    resources=st.lists(values, max_size=3).map(tuple),
)  # fmt: skip


def test_the_text_is_that_of_the_standard():
    assert message_of(FULL) == TEXT
    assert parse(TEXT) == FULL


@given(sign_ins)
def test_what_was_built_is_parsed_back(sign_in: SignIn):
    assert parse(message_of(sign_in)) == sign_in


@given(st.text(max_size=300))
def test_other_text_is_refused(text: str):
    with pytest.raises(InvalidMessage):
        parse(text)


@given(st.data(), sign_ins)
def test_a_text_that_parses_is_the_only_one_with_its_fields(data: st.DataObject, sign_in: SignIn):
    text = message_of(sign_in)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = (
        text[:place] + data.draw(st.sampled_from(["", "\n", " ", "\r", "\x00", ":", "x", "\n\n"])) + text[place + 1 :]
    )
    try:
        found = parse(changed)
    except InvalidMessage:
        return
    assert message_of(found) == changed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Version: 1\n", "Version: 1\nVersion: 1\n"),
        ("URI: https://cards.example\nVersion: 1", "Version: 1\nURI: https://cards.example"),
        ("Version: 1", "Version:1"),
        ("Version: 1", "Version:  1"),
        ("Version: 1", "Version: "),
        ("Version: 1", "version: 1"),
        ("Version: 1\n", "Version: 1\r\n"),
        ("\n\nURI", "\nURI"),
        ("\n\nURI", "\n\n\nURI"),
        ("- ipfs", "ipfs"),
        (ADDRESS, "0" * 44),
        (ADDRESS, ADDRESS + "\nx"),
        ("cards.example wants", "cards.example  wants"),
        ("cards.example wants", " wants"),
        ("wants you", "want you"),
        ("- ipfs://x", "- ipfs://x\n"),
    ],
)
def test_a_text_that_is_nearly_right_is_refused(old: str, new: str):
    with pytest.raises(InvalidMessage):
        parse(TEXT.replace(old, new, 1))


@pytest.mark.parametrize("name", SignIn.__struct_fields__)
def test_the_first_field_that_differs_is_named(name: str):
    other: Any = ("x",) if name == "resources" else "other"
    assert difference(FULL, msgspec.structs.replace(FULL, **{name: other})) == name
    assert difference(FULL, FULL) is None


PRIME, D = 2**255 - 19, -121665 * pow(121666, -1, 2**255 - 19) % (2**255 - 19)


def doubled(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    k = D * x * x * y * y
    return (2 * x * y * pow(1 + k, -1, PRIME) % PRIME, (y * y + x * x) * pow(1 - k, -1, PRIME) % PRIME)


def points_of(key: bytes) -> list[tuple[int, int]]:
    """Both points with this y, from the equation of the curve."""
    y = (int.from_bytes(key, "little") & 2**255 - 1) % PRIME
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if x * x % PRIME != square:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return [(x, y), (-x % PRIME, y)] if x * x % PRIME == square else []


def has_small_order(key: bytes) -> bool:
    return any(doubled(doubled(doubled(point))) == (0, 1) for point in points_of(key))


OF_ORDER_EIGHT = (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)
SMALL = [0, 1, PRIME - 1, PRIME, PRIME + 1, *(int.from_bytes(bytes.fromhex(key), "little") for key in OF_ORDER_EIGHT)]


@pytest.mark.parametrize("y", SMALL)
@pytest.mark.parametrize("sign", [0, 1])
def test_keys_of_small_order_are_known_with_either_sign(y: int, sign: int):
    key = (y | sign << 255).to_bytes(32, "little")
    assert has_small_order(key)
    assert is_small_order(key)


@given(st.binary(min_size=32, max_size=32) | st.integers(0, 40).map(lambda y: y.to_bytes(32, "little")))
def test_no_other_key_is_of_small_order(key: bytes):
    assert is_small_order(key) == has_small_order(key)
