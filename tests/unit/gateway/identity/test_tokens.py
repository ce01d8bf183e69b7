import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.identity.signing_keys import KeySet, OwnKey, SigningKey
from gateway.identity.tokens import (
    AUDIENCE,
    ISSUER,
    VERIFIED_MAX,
    Identity,
    TokenExpired,
    TokenInvalid,
    TokenIssuer,
)  # fmt: skip

SECRET = "a-secret-of-at-least-thirty-two-characters"
NOW_S = 1_800_000_000
USER = 1 << 60


class Keys(OwnKey):
    """Keys that a test changes."""

    looked = 0

    def look_again(self) -> None:
        self.looked += 1


keys = Keys()
issuer = TokenIssuer(SECRET, 900, keys)
CLAIMS: dict[str, object] = {
    "sub": "1000000000000",
    "name": "ann",
    "roles": [],
    "sid": "s",
    "iat": NOW_S,
    "exp": NOW_S + 900,
    "iss": ISSUER,
    "aud": AUDIENCE,
}


def signer() -> SigningKey:
    key = keys.set.signer(NOW_S * 1000)
    assert key is not None
    return key


def signed(claims: dict[str, Any], **header: object) -> str:
    """Signed by the key of the issuer, with this in the header."""
    key = signer()
    headers = {name: value for name, value in ({"kid": key.kid} | header).items() if value is not None}
    return jwt.encode(claims, key.private, algorithm="EdDSA", headers=headers)


def forged(**changed: object) -> str:
    return signed({name: value for name, value in (CLAIMS | changed).items() if value is not None})


def raw_token(header: str, signature: str = "AA") -> str:
    """A token with exactly this text as its header."""
    encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, json.dumps(CLAIMS))]
    return ".".join([*encoded, signature])


def test_a_token_of_this_key_is_accepted_and_names_it():
    """What the forgeries below change is what makes them fail."""
    assert issuer.verify(signed(CLAIMS), NOW_S).name == "ann"
    header = jwt.get_unverified_header(issuer.issue(USER, "ann", (), NOW_S))
    assert header == {"alg": "EdDSA", "kid": signer().kid, "typ": "JWT"}


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "http://127.0.0.1/keys"},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}},
        {"x5u": "http://127.0.0.1/chain"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
        {"kid": None},
        {"kid": "unknown"},
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": "k" * 65},
        {"kid": "k" * 4_000},
    ],
    ids=lambda header: next(iter(header)),
)
def test_a_header_with_tricks_is_refused_although_the_signature_is_right(header: dict[str, object]):
    with pytest.raises(TokenInvalid):
        issuer.verify(signed(CLAIMS, **header), NOW_S)


@pytest.mark.parametrize("kid", ['["a"]', "7", "null", '{"a": 1}'])
def test_a_key_id_that_is_no_text_is_refused(kid: str):
    with pytest.raises(TokenInvalid):
        issuer.verify(raw_token(f'{{"alg": "EdDSA", "kid": {kid}}}'), NOW_S)


def test_a_key_id_that_is_there_twice_is_refused():
    kid = signer().kid
    once, twice = f'{{"alg":"EdDSA","kid":"{kid}"}}', f'{{"alg":"EdDSA","kid":"x","kid":"{kid}"}}'

    def with_signature(header: str) -> str:
        token = raw_token(header).rpartition(".")[0]
        private = signer().private
        assert private is not None
        signature = base64.urlsafe_b64encode(private.sign(token.encode())).decode().rstrip("=")
        return f"{token}.{signature}"

    assert issuer.verify(with_signature(once), NOW_S).name == "ann"
    with pytest.raises(TokenInvalid):
        issuer.verify(with_signature(twice), NOW_S)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "ES256", "RS256", "Ed25519", "eddsa", ""])
def test_a_header_with_another_algorithm_is_refused(algorithm: str):
    for signature in ("", "AA"):
        token = raw_token(json.dumps({"alg": algorithm, "kid": signer().kid}), signature)
        with pytest.raises(TokenInvalid):
            issuer.verify(token, NOW_S)


def test_the_public_key_is_no_secret_of_hs256():
    public = signer().public
    secrets = [public.public_bytes_raw(), base64.urlsafe_b64encode(public.public_bytes_raw()), SECRET.encode()]
    for secret in secrets:
        token = jwt.encode(CLAIMS, secret, algorithm="HS256", headers={"kid": signer().kid})
        with pytest.raises(TokenInvalid):
            issuer.verify(token, NOW_S)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert pem.startswith(b"-----BEGIN PUBLIC KEY")


def test_a_token_of_a_key_that_claims_the_id_of_ours_is_refused():
    token = jwt.encode(CLAIMS, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": signer().kid})
    with pytest.raises(TokenInvalid):
        issuer.verify(token, NOW_S)


def test_a_token_with_an_unknown_key_makes_the_keys_be_loaded_again():
    before = keys.looked
    with pytest.raises(TokenInvalid):
        issuer.verify(signed(CLAIMS, kid="new-one"), NOW_S)
    assert keys.looked == before + 1


def test_a_token_that_was_verified_before_still_expires():
    token = issuer.issue(USER, "ann", (), NOW_S)
    assert issuer.verify(token, NOW_S) == issuer.verify(token, NOW_S + 899)
    with pytest.raises(TokenExpired):
        issuer.verify(token, NOW_S + 900)


def test_a_token_that_was_verified_before_is_refused_once_its_key_is_gone():
    changing = Keys()
    own = TokenIssuer(SECRET, 900, changing)
    token = own.issue(USER, "ann", (), NOW_S)
    assert own.verify(token, NOW_S).name == "ann"
    changing.set = KeySet([])
    with pytest.raises(TokenInvalid):
        own.verify(token, NOW_S)


def test_what_was_verified_is_remembered_up_to_a_limit():
    own = TokenIssuer(SECRET, 900)
    own._verified.update({n.to_bytes(32, "big"): Identity(n, "x", frozenset(), 0, "s") for n in range(VERIFIED_MAX)})
    own._verified_with = own._keys.set
    own.verify(own.issue(USER, "ann", (), NOW_S), NOW_S)
    assert len(own._verified) == VERIFIED_MAX


def test_the_csrf_token_of_a_session_is_that_of_no_other():
    token = issuer.csrf_token_of("one")
    assert issuer.is_csrf_token(token, "one")
    assert not issuer.is_csrf_token(token, "two")
    assert not issuer.is_csrf_token("", "one")
    assert TokenIssuer("another-secret-of-thirty-two-characters!", 900).csrf_token_of("one") != token


def test_a_token_says_who_it_was_issued_for():
    token = issuer.issue(USER, "ann", ("admin",), NOW_S, session="log-in")
    expected = Identity(USER, "ann", frozenset({"admin"}), (NOW_S + 900) * 1000, "log-in", NOW_S * 1000)
    assert issuer.verify(token, NOW_S) == expected


def test_every_log_in_without_a_name_gets_its_own():
    first, second = (issuer.verify(issuer.issue(USER, "ann", (), NOW_S), NOW_S) for _ in range(2))
    assert first.session != second.session


def test_a_token_is_good_until_its_last_second_and_expired_from_then_on():
    token = issuer.issue(USER, "ann", (), NOW_S)
    assert issuer.verify(token, NOW_S + 899).user_id == USER
    with pytest.raises(TokenExpired):
        issuer.verify(token, NOW_S + 900)


def test_a_token_of_another_key_is_forged():
    other = TokenIssuer("another-secret-of-thirty-two-characters!", ttl_s=900)
    with pytest.raises(TokenInvalid):
        issuer.verify(other.issue(USER, "ann", (), NOW_S), NOW_S)


@pytest.mark.parametrize("claim", ["sub", "name", "roles", "sid", "iat", "exp", "iss", "aud"])
def test_every_claim_is_required(claim: str):
    assert issuer.verify(forged(), NOW_S).name == "ann"
    with pytest.raises(TokenInvalid):
        issuer.verify(forged(**{claim: None}), NOW_S)


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": "ann"},
        {"iss": "someone"},
        {"aud": "someone"},
        {"iat": NOW_S + 3600},
        {"iat": 1.5},
        {"exp": float(NOW_S + 900)},
        {"roles": "operator"},
        {"roles": [1]},
        {"roles": ["r"] * 17},
        {"name": 7},
        {"sid": 7},
    ],
)
def test_claims_that_make_no_sense_are_refused(changed: dict[str, object]):
    with pytest.raises(TokenInvalid):
        issuer.verify(forged(**changed), NOW_S)


def deep_header() -> str:
    deep = '{"alg":' + "[" * 1400 + "]" * 1400 + "}"
    return base64.urlsafe_b64encode(deep.encode()).decode().rstrip("=") + ".e30.AA"


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "e30.e30.e30", "x" * 5_000, "ünïcode", "\x00", deep_header(), json.dumps({"alg": "none"})],
)
def test_what_is_no_token_is_refused(token: str):
    with pytest.raises(TokenInvalid):
        issuer.verify(token, NOW_S)


def test_a_changed_payload_breaks_the_signature():
    header, payload, signature = issuer.issue(USER, "ann", (), NOW_S).split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["roles"] = ["operator"]
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    with pytest.raises(TokenInvalid):
        issuer.verify(f"{header}.{changed}.{signature}", NOW_S)


def test_a_short_secret_is_refused_at_once():
    with pytest.raises(ValueError, match="32"):
        TokenIssuer("short", ttl_s=900)
