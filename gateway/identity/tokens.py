"""Access tokens: short-lived JSON Web Tokens, signed with EdDSA (Ed25519) and nothing else.

Claims: ``sub`` (the user's id as text), ``name`` (public name), ``roles``, ``sid`` (the log-in it belongs to),
``iat`` and ``exp`` in seconds, ``iss`` and ``aud``. A token is checked against the caller's clock, so that the same
token at the same time always gives the same answer. The header has ``alg``, ``kid`` and ``typ``; a token with anything
else in it (``jku``, ``jwk``, ``x5u``, ``crit``) is refused.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from typing import Any, Protocol

import jwt
import msgspec

from domain.ids import InvalidId, id_text, parse_id
from domain.permissions import Permission, permissions_of
from gateway.identity.signing_keys import KeySet, OwnKey, SigningKey
from gateway.wire.duplicate_keys import reject_duplicates

ALGORITHM = "EdDSA"
ISSUER = "ece"
AUDIENCE = "ece"
SECRET_LENGTH_MIN = 32
TOKEN_LENGTH_MAX = 4_096
HEADER_LENGTH_MAX = 512
KID_LENGTH_MAX = 64
ROLES_MAX = 16
# Tokens that were verified before; REST sends the same one with each request.
VERIFIED_MAX = 10_000
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
    """The user of a token. ``expires_at_ms``: its expiry; ``session`` is the id of the log-in.

    ``issued_at_ms``: when the roles were read; ``access_version``: the user's at that time.
    Of an API key ``key`` is its id, and ``scopes`` are all that it permits.
    """

    user_id: int
    name: str
    roles: frozenset[str]
    expires_at_ms: int
    session: str
    issued_at_ms: int = 0
    access_version: int = 0
    key: int | None = None
    scopes: frozenset[Permission] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the roles, and the scopes of the key, permit it."""
        return permission in permissions_of(self.roles) and (self.scopes is None or permission in self.scopes)


class TokenRevoked(TokenError):
    """The session of the access token has ended: log in again."""


class Keys(Protocol):
    """``SigningKeys``, or one key of this process alone."""

    @property
    def set(self) -> KeySet: ...
    def look_again(self) -> None: ...


class TokenIssuer:
    """Signs and verifies access tokens.

    ``secret`` is symmetric: refresh tokens and tokens against forged requests follow from it. Whether the session of a
    token has ended is no question for it: see Credentials.
    """

    def __init__(self, secret: str, ttl_s: int, keys: Keys | None = None) -> None:
        """Without ``keys`` it makes one, for the tokens of this issuer alone."""
        if len(secret) < SECRET_LENGTH_MIN:
            raise ValueError(f"the secret of tokens has at least {SECRET_LENGTH_MIN} characters")
        self._secret = secret.encode()
        self.ttl_s = ttl_s
        self._keys = keys or OwnKey()
        self._verified: OrderedDict[bytes, Identity] = OrderedDict()
        self._verified_with: KeySet | None = None

    def issue(
        self, user_id: int, name: str, roles: tuple[str, ...], now_s: int, session: str | None = None, version: int = 0
    ) -> str:
        """A token for ``ttl_s`` seconds from now; without a ``session`` it gets a random one.

        ``version``: the user's ``access_version`` with which the roles were read.
        """
        claims = {
            "sub": id_text(user_id),
            "name": name,
            "roles": list(roles),
            "ver": version,
            "sid": session or secrets.token_hex(16),
            "iat": now_s,
            "exp": now_s + self.ttl_s,
            "iss": ISSUER,
            "aud": AUDIENCE,
        }
        key = self._keys.set.signer(now_s * 1000)
        if key is None or key.private is None:
            raise RuntimeError("there is no key that signs: load the keys first")
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid})

    def jwks(self) -> dict[str, Any]:
        """The public keys, as a JSON Web Key Set (RFC 7517)."""
        return self._keys.set.jwks()

    def successor_of(self, refresh_token: str) -> str:
        """The next refresh token: the same for two requests with the same one. Only this secret leads to it."""
        return self._derived(b"ece refresh successor", refresh_token)

    def csrf_token_of(self, session: str) -> str:
        """What a page of ours has to send with each change in a session by cookies. Only this secret leads to it."""
        return self._derived(b"ece csrf", session)

    def is_csrf_token(self, given: str, session: str) -> bool:
        """Whether this is the session's, in constant time."""
        return hmac.compare_digest(given.encode(), self.csrf_token_of(session).encode())

    def verify(self, token: str, now_s: int) -> Identity:
        """The identity of the token. Raises TokenExpired for an expired one, TokenInvalid for all others."""
        if len(token) > TOKEN_LENGTH_MAX or not token.isascii():
            raise TokenInvalid("the access token is not one of ours")
        digest = hashlib.sha256(token.encode()).digest()
        identity = self._known(digest)
        if identity is None:
            identity = _identity(self._claims(token), now_s)
            self._remember(digest, identity)
        if now_s * 1000 >= identity.expires_at_ms:
            raise TokenExpired("the access token has expired")
        return identity

    def _known(self, digest: bytes) -> Identity | None:
        keys = self._keys.set
        if self._verified_with is not keys:
            # A key may have been taken away.
            self._verified.clear()
            self._verified_with = keys
        return self._verified.get(digest)

    def _remember(self, digest: bytes, identity: Identity) -> None:
        self._verified[digest] = identity
        if len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)

    def _claims(self, token: str) -> dict[str, Any]:
        key = self._key_of(token)
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key.public, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_OPTIONS
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenInvalid("the access token is not one of ours") from None
        return claims

    def _key_of(self, token: str) -> SigningKey:
        """The key that the header names: read strictly, before any library reads it. Raises TokenInvalid."""
        header = _header(token.partition(".")[0])
        kid = header.get("kid")
        if header.get("alg") != ALGORITHM or not header.keys() <= {"alg", "kid", "typ"} or not isinstance(kid, str):
            raise TokenInvalid("the access token is not one of ours")
        key = self._keys.set.get(kid) if len(kid) <= KID_LENGTH_MAX else None
        if key is None:
            self._keys.look_again()
            raise TokenInvalid("the access token has an unknown key")
        return key

    def _derived(self, purpose: bytes, text: str) -> str:
        key = hmac.digest(self._secret, purpose, hashlib.sha256)
        digest = hmac.digest(key, text.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _header(text: str) -> dict[str, Any]:
    if len(text) > HEADER_LENGTH_MAX:
        raise TokenInvalid("the access token is not one of ours")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        header = json.loads(raw, object_pairs_hook=reject_duplicates)
    except (ValueError, RecursionError):
        raise TokenInvalid("the access token is not one of ours") from None
    if not isinstance(header, dict):
        raise TokenInvalid("the access token is not one of ours")
    return header


def _identity(claims: dict[str, Any], now_s: int) -> Identity:
    issued_at, expires_at = claims["iat"], claims["exp"]
    if type(issued_at) is not int or type(expires_at) is not int or issued_at > now_s + CLOCK_SKEW_S:
        raise TokenInvalid("the access token's times make no sense")
    if now_s >= expires_at:
        raise TokenExpired("the access token has expired")
    roles = claims["roles"]
    if not isinstance(roles, list) or len(roles) > ROLES_MAX or not all(isinstance(role, str) for role in roles):
        raise TokenInvalid("the access token's roles make no sense")
    name, session, version = claims["name"], claims["sid"], claims.get("ver", 0)
    if not isinstance(name, str) or not isinstance(session, str) or type(version) is not int:
        raise TokenInvalid("the access token's name makes no sense")
    try:
        user_id = parse_id(claims["sub"])
    except InvalidId:
        raise TokenInvalid("the access token's subject is no user") from None
    return Identity(user_id, name, frozenset(roles), expires_at * 1000, session, issued_at * 1000, version)
