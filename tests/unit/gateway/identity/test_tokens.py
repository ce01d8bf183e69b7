import base64
import json

import jwt
import pytest

from gateway.identity.tokens import AUDIENCE, ISSUER, Identity, TokenExpired, TokenInvalid, TokenIssuer

SECRET = "a-secret-of-at-least-thirty-two-characters"
NOW_S = 1_800_000_000
USER = 1 << 60

issuer = TokenIssuer(SECRET, ttl_s=900)


def forged(**changed: object) -> str:
    claims: dict[str, object] = {
        "sub": "1000000000000",
        "name": "ann",
        "roles": [],
        "sid": "s",
        "iat": NOW_S,
        "exp": NOW_S + 900,
        "iss": ISSUER,
        "aud": AUDIENCE,
    }
    claims = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def test_a_token_says_who_it_was_issued_for():
    token = issuer.issue(USER, "ann", ("operator",), NOW_S, session="log-in")
    assert issuer.verify(token, NOW_S) == Identity(USER, "ann", frozenset({"operator"}), (NOW_S + 900) * 1000, "log-in")


def test_every_log_in_without_a_name_gets_its_own():
    first, second = (issuer.verify(issuer.issue(USER, "ann", (), NOW_S), NOW_S) for _ in range(2))
    assert first.session != second.session


def test_a_token_is_good_until_its_last_second_and_expired_from_then_on():
    token = issuer.issue(USER, "ann", (), NOW_S)
    assert issuer.verify(token, NOW_S + 899).user_id == USER
    with pytest.raises(TokenExpired):
        issuer.verify(token, NOW_S + 900)


def test_a_token_of_another_secret_is_forged():
    other = TokenIssuer("another-secret-of-thirty-two-characters!", ttl_s=900)
    with pytest.raises(TokenInvalid):
        issuer.verify(other.issue(USER, "ann", (), NOW_S), NOW_S)


def test_no_other_algorithm_is_accepted():
    claims = jwt.decode(issuer.issue(USER, "ann", (), NOW_S), options={"verify_signature": False})
    with pytest.raises(TokenInvalid):
        issuer.verify(jwt.encode(claims, SECRET * 2, algorithm="HS512"), NOW_S)
    with pytest.raises(TokenInvalid):
        issuer.verify(jwt.encode(claims, None, algorithm="none"), NOW_S)


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
