"""Logging in by OpenID Connect providers, and linking accounts there."""

import base64
import hashlib
import secrets
from hmac import compare_digest
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from fastapi import Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from domain.errors import INVALID_REQUEST, NOT_FOUND, PROVIDER_REFUSED
from gateway.http.problems import Problem
from gateway.identity.openid import Flow, OpenIdError, OpenIdProvider
from gateway.rest import API_PREFIX
from gateway.rest.callers import PUBLIC, Caller
from gateway.rest.identity.bodies import Username
from gateway.rest.identity.log_in_factor import log_in_with_factor
from gateway.rest.identity.log_ins import Tokens
from gateway.rest.proofs import ProofsDep
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from gateway.rest.ways_in.accounts import user_of
from gateway.rest.ways_in.attempts import WayAttempts, failures_recorded
from gateway.rest.ways_in.openid_bodies import (
    S256,
    Linked,
    LogInCode,
    OpenIdLink,
    ProviderItem,
    ProviderList,
    ProviderUrl,
    ReturnTo,
)
from persistence.identity.challenges import Challenge, ChallengeExpired
from persistence.identity.identities import Claim
from persistence.postgres.errors import StoreError

PATH = "/auth/oidc"
CALLBACK_PATH = f"{API_PREFIX}{PATH}/{{provider}}/callback"
STATE, LOG_IN_CODE = "openid", "openid_code"
STATE_MS = 600_000
LOG_IN_CODE_MS = 60_000
# Over TLS browsers take it from nobody else: see gateway/http/cookies.py.
COOKIE, SECURE_COOKIE = "ece_oidc", "__Secure-ece_oidc"
TOKEN_BYTES = 32
VALUE_LENGTH_MAX = 4_096

Value = Annotated[str | None, Query(max_length=VALUE_LENGTH_MAX)]


class _State(msgspec.Struct, frozen=True):
    """What is stored of a log-in that went to a provider. ``browser`` is the hash of its cookie."""

    provider: str
    flow: Flow
    browser: str
    return_to: str | None = None
    app_challenge: str | None = None
    username: str | None = None


class OpenIdRoutes:
    """The routes of one app, with its counts of attempts."""

    def __init__(self, services: Services) -> None:
        self._attempts = WayAttempts(services)
        self.router = api_router("identity")
        add = self.router.add_api_route
        add(PATH, self.providers, methods=["GET"], dependencies=[PUBLIC], summary="Providers to log in by")
        add(
            f"{PATH}/token",
            self.token,
            methods=["POST"],
            dependencies=[PUBLIC],
            summary="Tokens for the code of an app's page",
        )
        add(
            f"{PATH}/{{provider}}/start", self.start, methods=["GET"], dependencies=[PUBLIC],
            summary="Go to a provider to log in",
            response_model=ProviderUrl, responses={302: {"description": "To the provider"}},
        )  # fmt: skip
        add(f"{PATH}/{{provider}}/link", self.link, methods=["POST"], summary="Begin to link an account there")
        add(
            f"{PATH}/{{provider}}/callback", self.callback, methods=["GET"], dependencies=[PUBLIC],
            summary="Where providers return to",
            response_model=Tokens | Linked, responses={303: {"description": "To the app's page"}},
        )  # fmt: skip

    async def providers(self, services: ServicesDep) -> ProviderList:
        """Those that the operator has set."""
        base = services.ways_in.site.public_url + API_PREFIX + PATH
        names = services.ways_in.providers.names
        return ProviderList(items=[ProviderItem(name=name, start=f"{base}/{name}/start") for name in names])

    async def start(
        self,
        request: Request,
        services: ServicesDep,
        provider: str,
        return_to: ReturnTo | None = None,
        code_challenge: S256 | None = None,
        username: Username | None = None,
    ) -> Response:
        """The address; 302 to it where `Accept` has `text/html`. The cookie binds the log-in to the browser.

        With `return_to` and `code_challenge`, the app's page gets a `login_code` for `auth/oidc/token`; without, the
        callback answers with the tokens. `username` is the name of a new account.
        """
        await self._attempts.of_address(request, services.now_ms())
        if (return_to is None) != (code_challenge is None):
            raise Problem(INVALID_REQUEST, "return_to needs code_challenge, and the other way round")
        url, answer_with = await _begin(
            services, provider, None, return_to, app_challenge=code_challenge, username=username
        )
        # Browsers ask so for the page of a link; a script's request can't follow to another site.
        is_link = "text/html" in request.headers.get("accept", "")
        answer = RedirectResponse(url, 302) if is_link else JSONResponse({"url": url})
        return _with_cookie(services, answer, answer_with)

    async def link(
        self, services: ServicesDep, proofs: ProofsDep, caller: Caller, provider: str, body: OpenIdLink
    ) -> ProviderUrl:
        """The browser that has the cookie of the answer goes to its address, and returns linked."""
        await proofs.ask(caller, body)
        url, cookie = await _begin(services, provider, caller.user_id, body.return_to)
        return _with_cookie(services, JSONResponse({"url": url}), cookie)  # type: ignore[return-value]

    async def callback(
        self,
        request: Request,
        services: ServicesDep,
        provider: str,
        state: Value = None,
        code: Value = None,
        iss: Value = None,
        error: Value = None,
    ) -> Response:
        """For browsers that come back from the provider. A state is good once, in the browser that it was begun in."""
        await self._attempts.of_address(request, services.now_ms())
        client = _provider(services, provider)
        begun, user = await _taken(services, request, provider, state)
        try:
            async with failures_recorded(services, provider):
                if error is not None or not code:
                    raise Problem(PROVIDER_REFUSED, "the provider has not confirmed who you are")
                claim = await _claim(client, provider, begun, code, iss, services.now_ms())
            answer = await _finish(services, begun, user, claim)
        except (Problem, StoreError) as fault:
            if begun.return_to is None:
                raise
            answer = RedirectResponse(f"{begun.return_to}?{urlencode({'error': fault.code})}", 303)
        answer.delete_cookie(_cookie_name(services), path=_cookie_path(), secure=services.ways_in.site.is_secure)
        return answer

    async def token(self, request: Request, services: ServicesDep, body: LogInCode) -> Tokens:
        """Good once, for a minute, with the verifier that the app began with."""
        now_ms = services.now_ms()
        await self._attempts.of_address(request, now_ms)
        challenge = await services.ways_in.challenges.take(body.login_code, LOG_IN_CODE, now_ms)
        if not compare_digest(_s256(body.verifier).encode(), challenge.data) or challenge.user is None:
            raise ChallengeExpired
        user = await services.users.by_id(challenge.user)
        if user is None:
            raise ChallengeExpired
        return await log_in_with_factor(services, user, body.code)


async def _begin(
    services: Services,
    name: str,
    user: int | None,
    return_to: str | None,
    app_challenge: str | None = None,
    username: str | None = None,
) -> tuple[str, str]:
    """The address at the provider, and the value of the cookie. ``user``: who links."""
    provider, ways_in, now_ms = _provider(services, name), services.ways_in, services.now_ms()
    if return_to is not None and return_to not in ways_in.site.redirects:
        raise Problem(INVALID_REQUEST, "return_to is not one of the pages that the operator has set")
    flow = Flow(*(secrets.token_urlsafe(TOKEN_BYTES) for _ in range(3)))
    cookie = secrets.token_urlsafe(TOKEN_BYTES)
    try:
        url = await provider.authorization_url(flow)
    except OpenIdError as error:
        raise _problem(error) from None
    state = _State(name, flow, _s256(cookie), return_to, app_challenge, username)
    challenge = Challenge(STATE, user, msgspec.json.encode(state), now_ms + STATE_MS)
    await ways_in.challenges.issue(flow.state, challenge, now_ms)
    return url, cookie


async def _taken(services: Services, request: Request, provider: str, state: str | None) -> tuple[_State, int | None]:
    """What was begun, and who links. Raises ChallengeExpired, also for another browser."""
    challenge = await services.ways_in.challenges.take(state or "", STATE, services.now_ms())
    begun = msgspec.json.decode(challenge.data, type=_State)
    cookie = request.cookies.get(_cookie_name(services), "")
    if begun.provider != provider or not compare_digest(_s256(cookie), begun.browser):
        raise ChallengeExpired
    return begun, challenge.user


async def _claim(
    client: OpenIdProvider, provider: str, begun: _State, code: str, issuer: str | None, now_ms: int
) -> Claim:
    try:
        person = await client.person(code, issuer, begun.flow, now_ms // 1000)
    except OpenIdError as error:
        raise _problem(error) from None
    return Claim("oidc", person.issuer, person.subject, provider, person.email, person.email_verified)


async def _finish(services: Services, begun: _State, user: int | None, claim: Claim) -> Response:
    if user is not None:
        await services.ways_in.identities.link(user, claim, services.now_ms())
        if begun.return_to is None:
            return JSONResponse({"linked": claim.provider})
        return RedirectResponse(f"{begun.return_to}?{urlencode({'linked': claim.provider})}", 303)
    found = await user_of(services, claim, begun.username)
    if begun.return_to is None or begun.app_challenge is None:
        return JSONResponse((await log_in_with_factor(services, found)).model_dump())
    code, now_ms = secrets.token_urlsafe(TOKEN_BYTES), services.now_ms()
    challenge = Challenge(LOG_IN_CODE, found.user_id, begun.app_challenge.encode(), now_ms + LOG_IN_CODE_MS)
    await services.ways_in.challenges.issue(code, challenge, now_ms)
    return RedirectResponse(f"{begun.return_to}?{urlencode({'login_code': code})}", 303)


def _provider(services: Services, name: str) -> OpenIdProvider:
    found = services.ways_in.providers.named(name)
    if found is None:
        raise Problem(NOT_FOUND, "there is no such provider")
    return found


def _problem(error: OpenIdError) -> Problem:
    return Problem(error.code, str(error), reason=error.reason)


def _with_cookie(services: Services, answer: Response, value: str) -> Response:
    # Lax: the provider's redirect is a navigation from another site, which has to bring it back.
    answer.set_cookie(
        _cookie_name(services), value, max_age=STATE_MS // 1000, path=_cookie_path(), httponly=True, samesite="lax",
        secure=services.ways_in.site.is_secure,
    )  # fmt: skip
    return answer


def _cookie_name(services: Services) -> str:
    return SECURE_COOKIE if services.ways_in.site.is_secure else COOKIE


def _cookie_path() -> str:
    return API_PREFIX + PATH


def _s256(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
