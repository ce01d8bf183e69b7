"""Keys: which one signs, when they are followed by new ones, and what several gateways know of them."""

from collections.abc import Sequence
from typing import Any

import jwt
import msgspec
import pytest

from chain.wallets.cipher import CannotDecrypt, KeyCipher
from gateway.identity.signing_keys import PUBLISHED_AHEAD_MS, SigningKeys, signing_key_context
from gateway.identity.tokens import TokenInvalid, TokenIssuer
from persistence.identity.signing_keys import StoredKey

SECRET, OTHER = "a-secret-of-at-least-thirty-two-characters", "another-secret-of-thirty-two-characters!!"
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


class Store:
    """The table, in memory, as its contract suite has it (tests/contracts/identity/test_signing_key_store.py)."""

    def __init__(self) -> None:
        self.keys: list[StoredKey] = []

    async def all(self) -> list[StoredKey]:
        return sorted(self.keys, key=lambda key: -key.signs_from)

    async def rotate(self, new: StoredKey, own: Sequence[str], seen: Sequence[str]) -> bool:
        if any(key.kid not in seen and key.key_id == new.key_id for key in self.keys):
            return False
        retire = {key.kid for key in self.keys if key.kid in own and key.retired_at is None}
        self.keys = [
            msgspec.structs.replace(key, retired_at=new.signs_from) if key.kid in retire else key for key in self.keys
        ]
        self.keys.append(new)
        return True

    async def replace_all(self, new: StoredKey) -> None:
        self.keys = [new]


class Time:
    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def gateway(store: Store, time: Time, secret: str = SECRET) -> tuple[SigningKeys, TokenIssuer]:
    keys = SigningKeys(store, KeyCipher(lambda: [secret]), time, rotate_after_ms=30 * DAY_MS)
    return keys, TokenIssuer(SECRET, 900, keys)


def issued(issuer: TokenIssuer, time: Time) -> str:
    return issuer.issue(7, "ann", (), time() // 1000)


async def test_two_gateways_that_begin_at_once_sign_with_one_key():
    store, time = Store(), Time()
    (first, one), (second, other) = gateway(store, time), gateway(store, time)
    await first.load()
    await second.load()
    assert len(store.keys) == 1
    assert other.verify(issued(one, time), time() // 1000).name == "ann"
    assert one.verify(issued(other, time), time() // 1000).name == "ann"


async def test_a_new_key_is_public_before_it_signs_and_the_old_one_after_that():
    store, time = Store(), Time()
    keys, issuer = gateway(store, time)
    await keys.load()
    old = issued(issuer, time)
    added = await keys.rotate()
    assert added is not None
    assert {one["kid"] for one in issuer.jwks()["keys"]} == {key.kid for key in store.keys}
    assert len(store.keys) == 2
    time.now_ms += PUBLISHED_AHEAD_MS - 1
    assert jwt.get_unverified_header(issued(issuer, time))["kid"] != added.kid
    time.now_ms += 1
    assert jwt.get_unverified_header(issued(issuer, time))["kid"] == added.kid
    assert issuer.verify(old, NOW_MS // 1000 + 899).name == "ann"


async def test_a_key_of_age_is_followed_by_one_key_however_many_gateways_there_are():
    store, time = Store(), Time()
    gateways = [gateway(store, time)[0] for _ in range(3)]
    for keys in gateways:
        await keys.load()
    time.now_ms += 30 * DAY_MS - 1
    for keys in gateways:
        await keys.load()
    assert len(store.keys) == 1
    time.now_ms += 1
    for _ in range(2):
        for keys in gateways:
            await keys.load()
    assert len(store.keys) == 2
    assert [key.retired_at for key in await store.all()] == [None, time() + PUBLISHED_AHEAD_MS]


async def test_once_all_keys_are_replaced_no_token_of_theirs_is_good():
    store, time = Store(), Time()
    (keys, issuer), (others, verifier) = gateway(store, time), gateway(store, time)
    await keys.load()
    await others.load()
    token = issued(issuer, time)
    assert verifier.verify(token, time() // 1000).name == "ann"
    await keys.replace()
    await others.load()
    for one in (issuer, verifier):
        with pytest.raises(TokenInvalid):
            one.verify(token, time() // 1000)
    assert verifier.verify(issued(issuer, time), time() // 1000).name == "ann"


async def test_a_gateway_with_another_secret_verifies_and_signs_with_a_key_of_its_own():
    store, time = Store(), Time()
    (keys, issuer), (others, stranger) = gateway(store, time), gateway(store, time, OTHER)
    await keys.load()
    await others.load()
    await keys.load()
    assert stranger.verify(issued(issuer, time), time() // 1000).name == "ann"
    assert issuer.verify(issued(stranger, time), time() // 1000).name == "ann"
    assert [key.retired_at for key in store.keys] == [None, None]


async def test_a_key_sealed_for_another_id_does_not_open():
    store, time = Store(), Time()
    keys, _ = gateway(store, time)
    await keys.load()
    moved = msgspec.structs.replace(store.keys[0], kid="another")
    cipher = KeyCipher(lambda: [OTHER, SECRET])
    with pytest.raises(CannotDecrypt):
        cipher.open(moved.key_id, moved.sealed, signing_key_context(moved.kid))
    [key] = store.keys
    context = signing_key_context(key.kid)
    sealed = cipher.seal(cipher.open(key.key_id, key.sealed, context), context)
    again = msgspec.structs.replace(key, key_id=sealed.key_id, sealed=sealed.sealed)
    store.keys = [again]
    renewed, issuer = gateway(store, time, OTHER)
    await renewed.load()
    assert [key.kid for key in store.keys] == [again.kid]
    assert issuer.verify(issued(issuer, time), time() // 1000).name == "ann"


async def test_the_key_set_has_public_halves_only():
    store, time = Store(), Time()
    keys, issuer = gateway(store, time)
    await keys.load()
    [one] = issuer.jwks()["keys"]
    assert one.keys() == {"kty", "crv", "use", "alg", "kid", "x"}
    verified = jwt.PyJWK(one)
    options: Any = {"verify_exp": False, "verify_iat": False}
    token = issued(issuer, time)
    claims = jwt.decode(token, verified.key, algorithms=["EdDSA"], audience="ece", options=options)
    assert claims["name"] == "ann"
