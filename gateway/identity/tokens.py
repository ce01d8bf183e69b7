"""Access tokens: short-lived JSON Web Tokens, signed with HS256 and nothing else.

Claims: ``sub`` (the user's id as text), ``name`` (public name), ``roles``, ``sid`` (the log-in it belongs to),
``iat`` and ``exp`` in seconds, ``iss`` and ``aud``. A token is checked against the caller's clock, so that the same
token at the same time always gives the same answer.
"""

import secrets
from typing import Any

import jwt
import msgspec

from domain.ids import InvalidId, id_text, parse_id

ALGORITHM = "HS256"
ISSUER = "ece"
AUDIENCE = "ece"
SECRET_LENGTH_MIN = 32
TOKEN_LENGTH_MAX = 4_096
ROLES_MAX = 16
# Gateways on several machines: how far ahead another's clock may be.
CLOCK_SKEW_S = 60

_REQUIRED = ["sub", "name", "roles", "sid", "iat", "exp", "iss", "aud"]
# Times are checked below, by the caller's clock.
_OPTIONS: Any = {"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False}


class TokenError(Exception):
    """The token can't be accepted."""

    code = "unauthenticated"


class TokenExpired(TokenError):
    """The access token has expired: refresh it or log in again."""


class TokenInvalid(TokenError):
    """The access token is not one of ours."""


class Identity(msgspec.Struct, frozen=True):
    """The user of a token. ``expires_at_ms``: its expiry; ``session`` is the id of the log-in."""

    user_id: int
    name: str
    roles: frozenset[str]
    expires_at_ms: int
    session: str


class TokenIssuer:
    """Signs and verifies access tokens with one secret."""

    def __init__(self, secret: str, ttl_s: int) -> None:
        if len(secret) < SECRET_LENGTH_MIN:
            raise ValueError(f"the secret of access tokens has at least {SECRET_LENGTH_MIN} characters")
        self._secret = secret
        self.ttl_s = ttl_s

    def issue(self, user_id: int, name: str, roles: tuple[str, ...], now_s: int, session: str | None = None) -> str:
        """A token for ``ttl_s`` seconds from now; without a ``session`` it gets a random one."""
        claims = {
            "sub": id_text(user_id),
            "name": name,
            "roles": list(roles),
            "sid": session or secrets.token_hex(16),
            "iat": now_s,
            "exp": now_s + self.ttl_s,
            "iss": ISSUER,
            "aud": AUDIENCE,
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str, now_s: int) -> Identity:
        """The identity of the token. Raises TokenExpired for an expired one, TokenInvalid for all others."""
        if len(token) > TOKEN_LENGTH_MAX or not token.isascii():
            raise TokenInvalid("the access token is not one of ours")
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_OPTIONS
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            # RecursionError: the header is parsed before the signature is checked, and may be deep.
            raise TokenInvalid("the access token is not one of ours") from None
        return _identity(claims, now_s)


def _identity(claims: dict[str, Any], now_s: int) -> Identity:
    issued_at, expires_at = claims["iat"], claims["exp"]
    if type(issued_at) is not int or type(expires_at) is not int or issued_at > now_s + CLOCK_SKEW_S:
        raise TokenInvalid("the access token's times make no sense")
    if now_s >= expires_at:
        raise TokenExpired("the access token has expired")
    roles = claims["roles"]
    if not isinstance(roles, list) or len(roles) > ROLES_MAX or not all(isinstance(role, str) for role in roles):
        raise TokenInvalid("the access token's roles make no sense")
    name, session = claims["name"], claims["sid"]
    if not isinstance(name, str) or not isinstance(session, str):
        raise TokenInvalid("the access token's name makes no sense")
    try:
        user_id = parse_id(claims["sub"])
    except InvalidId:
        raise TokenInvalid("the access token's subject is no user") from None
    return Identity(user_id, name, frozenset(roles), expires_at * 1000, session)
