"""OpenID Connect: the code flow with PKCE (S256), and the checks of ID tokens.

Source: OpenID Connect Core 1.0, section 3.1.3.7, and RFC 9700. A provider's metadata and keys are fetched when they
are needed, and kept for an hour.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2
import msgspec
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, ClaimError, ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from domain.errors import ID_TOKEN_INVALID, PROVIDER_REFUSED, PROVIDER_UNAVAILABLE
from gateway.identity.bounded_http import TIMEOUT_S, BoundedTransport

# Signatures of providers; `none` and those by shared secrets are not among them.
ALGORITHMS = ["RS256", "PS256", "ES256"]
SCOPE = "openid email"
KEPT_S = 3_600.0
# Keys that nobody has seen are looked for no more often than this.
KEYS_AGAIN_S = 60.0
DEADLINE_S = 10.0
CLOCK_SKEW_S = 60
KEYS_MAX = 32
ID_TOKEN_LENGTH_MAX = 16_384
SUBJECT_LENGTH_MAX = 255
EMAIL_LENGTH_MAX = 254
CLAIMS = frozenset(("iss", "sub", "aud", "iat", "exp", "nbf", "nonce", "azp", "at_hash"))

log = structlog.get_logger(__name__)


class OpenIdError(Exception):
    """A log-in by a provider failed. ``reason`` says which check of an ID token did."""

    def __init__(self, code: str, text: str, reason: str | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator sets of a provider."""

    issuer: str
    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"Provider(issuer={self.issuer})"


class Flow(msgspec.Struct, frozen=True):
    """The secrets of one log-in."""

    state: str
    nonce: str
    verifier: str


class Person(msgspec.Struct, frozen=True):
    """Who the provider says it is."""

    issuer: str
    subject: str
    email: str | None
    email_verified: bool


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class OpenIdProvider:
    """One provider. Every method may raise OpenIdError."""

    def __init__(self, settings: Provider, redirect_uri: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._clock_s = clock_s
        self._transport = BoundedTransport(settings.issuer)
        self._metadata: tuple[float, _Metadata] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def authorization_url(self, flow: Flow) -> str:
        """Where the user's browser goes to."""
        async with self._bounded():
            metadata = await self._known_metadata()
        async with self._client(metadata) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint, flow.state, flow.verifier, nonce=flow.nonce
            )
        return str(url)

    async def person(self, code: str, issuer: str | None, flow: Flow, now_s: int) -> Person:
        """Who has come back with this code. ``issuer``: as in the redirect (RFC 9207)."""
        async with self._bounded():
            metadata = await self._known_metadata()
            if issuer != metadata.issuer and (issuer or metadata.authorization_response_iss_parameter_supported):
                raise OpenIdError(ID_TOKEN_INVALID, "the answer is from another provider", "iss")
            async with self._client(metadata) as client:
                token: Mapping[str, Any] = await client.fetch_token(
                    metadata.token_endpoint, grant_type="authorization_code", code=code, code_verifier=flow.verifier
                )
            id_token = token.get("id_token")
            if not isinstance(id_token, str) or len(id_token) > ID_TOKEN_LENGTH_MAX:
                raise OpenIdError(ID_TOKEN_INVALID, "the provider sent no ID token", "missing")
            claims = await self._verified(metadata, id_token, token.get("access_token"), flow, now_s)
        return _person(claims)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _verified(
        self, metadata: _Metadata, id_token: str, access_token: object, flow: Flow, now_s: int
    ) -> CodeIDToken:
        try:
            decoded = jwt.decode(id_token, await self._known_keys(metadata), ALGORITHMS)
        except InvalidKeyIdError:
            # The provider may have new keys.
            decoded = jwt.decode(id_token, await self._known_keys(metadata, KEYS_AGAIN_S), ALGORITHMS)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": metadata.issuer},
                "aud": {"essential": True, "value": self._settings.client_id},
            },
            {"nonce": flow.nonce, "client_id": self._settings.client_id, "access_token": access_token},
        )
        claims.validate(now_s, CLOCK_SKEW_S)
        return claims

    async def _known_metadata(self) -> _Metadata:
        if self._metadata is None or self._clock_s() - self._metadata[0] >= KEPT_S:
            issuer = self._settings.issuer
            found = msgspec.json.decode(
                await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration"), type=_Metadata
            )
            if found.issuer != issuer:
                raise ValueError("the metadata are of another issuer")
            if not self._transport.allows(found.authorization_endpoint):
                raise ValueError("the authorization endpoint needs https://")
            self._metadata = self._clock_s(), found
        return self._metadata[1]

    async def _known_keys(self, metadata: _Metadata, kept_s: float = KEPT_S) -> KeySet:
        if self._keys is None or self._clock_s() - self._keys[0] >= kept_s:
            found = msgspec.json.decode(await self._get(metadata.jwks_uri), type=dict[str, Any])
            if not isinstance(found.get("keys"), list) or len(found["keys"]) > KEYS_MAX:
                raise ValueError("the keys are no key set, or too many")
            self._keys = self._clock_s(), KeySet.import_key_set({"keys": found["keys"]})
        return self._keys[1]

    async def _get(self, url: str) -> bytes:
        async with httpx2.AsyncClient(transport=_Shared(self._transport), timeout=TIMEOUT_S) as client:
            answer = await client.get(url)
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}")
        return answer.content

    def _client(self, metadata: _Metadata) -> AsyncOAuth2Client:
        methods = metadata.token_endpoint_auth_methods_supported
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        return AsyncOAuth2Client(
            self._settings.client_id, self._settings.client_secret, method, scope=SCOPE,
            redirect_uri=self._redirect_uri, code_challenge_method="S256", transport=_Shared(self._transport),
            timeout=TIMEOUT_S,
        )  # fmt: skip

    def _bounded(self) -> "_Deadline":
        return _Deadline(self._settings.issuer)


class _Shared(httpx2.AsyncBaseTransport):
    """A transport that outlives the client which uses it."""

    def __init__(self, transport: BoundedTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._transport.handle_async_request(request)


class _Deadline:
    """A deadline for an exchange with a provider; what goes wrong in it becomes an OpenIdError."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._timeout = asyncio.timeout(DEADLINE_S)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            error = TimeoutError("no answer in time")
        if error is None or isinstance(error, OpenIdError) or not isinstance(error, Exception):
            return
        found = _failure(error)
        if found is None:
            return
        # What a provider or a client sent may have secrets.
        log.warning(
            "openid_failed", issuer=self._issuer, code=found.code, reason=found.reason, kind=type(error).__name__
        )
        raise found from None


def _failure(error: Exception) -> OpenIdError | None:
    """What an exchange failed by; None: a fault of this program."""
    match error:
        case ExpiredTokenError():
            return _invalid("exp")
        case ClaimError():
            return _invalid(_claim_of(error))
        case BadSignatureError() | InvalidKeyIdError():
            return _invalid("signature")
        case JoseError():
            return _invalid("algorithm" if "algorithm" in error.error else "token")
        case AuthlibBaseError():
            return OpenIdError(PROVIDER_REFUSED, "the provider has refused the code: begin again")
        case TimeoutError() | httpx2.HTTPError() | httpx2.InvalidURL() | ValueError() | msgspec.MsgspecError():
            return OpenIdError(PROVIDER_UNAVAILABLE, "the provider does not answer as it should: try again later")
    return None


def _claim_of(error: ClaimError) -> str:
    """The name of the claim, which the error has in its text only."""
    for quoted in error.description.split("'")[1::2]:
        for name in quoted.split(","):
            if name in CLAIMS:
                return name
    return "iat" if "issued in the future" in error.description else "claim"


def _invalid(reason: str) -> OpenIdError:
    return OpenIdError(ID_TOKEN_INVALID, f"the ID token can't be trusted: {reason}", reason)


def _person(claims: Mapping[str, Any]) -> Person:
    subject, email = claims["sub"], claims.get("email")
    if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_LENGTH_MAX or not subject.isprintable():
        raise _invalid("sub")
    if not isinstance(email, str) or len(email) > EMAIL_LENGTH_MAX or not email.isprintable():
        email = None
    return Person(claims["iss"], subject, email, email is not None and claims.get("email_verified") is True)


class OpenIdProviders:
    """The providers of this engine, by name."""

    def __init__(self, settings: Mapping[str, Provider], public_url: str, path: str) -> None:
        """``path``: where the callbacks are, with ``{provider}`` in it."""
        self._providers = {
            name: OpenIdProvider(one, public_url + path.format(provider=name)) for name, one in settings.items()
        }

    @property
    def names(self) -> Sequence[str]:
        """In the order of the setting."""
        return list(self._providers)

    def named(self, name: str) -> OpenIdProvider | None:
        """The provider with this name."""
        return self._providers.get(name)

    async def stop(self) -> None:
        """Close all connections."""
        for provider in self._providers.values():
            await provider.close()
