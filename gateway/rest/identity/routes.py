"""Registering and logging in."""

from functools import partial
from typing import Annotated, Literal

import structlog
from fastapi import Header, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from domain.ids import id_text
from gateway.http.client import CLIENT, SESSION_HEADER
from gateway.http.cookies import names_of
from gateway.http.problems import Problem
from gateway.identity.log_in_failures import Attempt
from gateway.limits.limiter import Attempts
from gateway.rest.callers import PUBLIC, Reader
from gateway.rest.credentials import check_forgery
from gateway.rest.identity.bodies import (
    EMAIL_LENGTH_MAX,
    AnyPassword,
    Body,
    Code,
    Email,
    NewPassword,
    Username,
    address_of,
    attempted,
    check_new_password,
)
from gateway.rest.identity.log_in_factor import answer_challenge, log_in_with_factor
from gateway.rest.identity.log_ins import Tokens, check_cookies, forget_cookies, refresh_expiry, tokens
from gateway.rest.identity.password_log_ins import record_failure, rehash
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from gateway.rest.text import LINE
from persistence.identity.store import RefreshReused

log = structlog.get_logger(__name__)


RefreshToken = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


SessionKind = Annotated[
    Literal["cookie"] | None,
    Header(alias=SESSION_HEADER, description="Tokens in cookies instead of the answer"),
]


class Registration(Body):
    """A new user. Names and addresses are taken in any case."""

    email: Email
    username: Username
    password: NewPassword


class Login(Body):
    """``login`` is the username or the e-mail address; ``code`` is for users with a second factor."""

    login: Annotated[str, Field(min_length=1, max_length=EMAIL_LENGTH_MAX), LINE]
    password: AnyPassword
    code: Code | None = None


class ChallengeAnswer(Body):
    """The ``challenge`` of a problem `second_factor_required`, and a code of the second factor."""

    challenge: RefreshToken
    code: Code


class Refresh(Body):
    """A refresh token, good for one use. Without it, the cookies of the request count."""

    refresh_token: RefreshToken | None = None


class PublicUser(BaseModel):
    """What others see of a user."""

    id: str
    username: str


class Registered(BaseModel):
    """The new user."""

    user: PublicUser


class Me(PublicUser):
    """What users see of themselves."""

    email: str
    roles: list[str]


class AuthRoutes:
    """The routes of one app, with its counts of attempts."""

    def __init__(self, services: Services) -> None:
        limits = services.limits
        self._by_address = Attempts(
            services.limiter, "attempts",
            per_minute_max=limits.attempts_per_minute, burst=limits.attempts_burst, callers_max=limits.callers_max,
        )  # fmt: skip
        self._by_login = Attempts(
            services.limiter, "logins",
            per_minute_max=limits.logins_per_minute, burst=limits.logins_burst, callers_max=limits.callers_max,
        )  # fmt: skip
        self.router = api_router("identity")
        add = partial(self.router.add_api_route, methods=["POST"], dependencies=[PUBLIC])
        add("/auth/register", self.register, status_code=201, summary="Register")
        add("/auth/login", self.login, summary="Log in")
        add("/auth/second-factor/login", self.second, summary="Log in with a code")
        add("/auth/refresh", self.refresh, summary="Get the next pair of tokens")
        add("/auth/logout", self.logout, status_code=204, summary="Log out")
        self.router.add_api_route("/users/me", self.me, methods=["GET"], summary="Who am I?")

    async def register(self, request: Request, services: ServicesDep, body: Registration) -> Registered:
        """A new user, who may bid and sell at once, unless the engine asks for a verified address first."""
        caller = address_of(request)
        await self._by_address.attempt(caller, services.now_ms())
        check_new_password(services, body.password, body.username, body.email)
        password_hash = await services.passwords.hash(body.password, caller)
        user = await services.users.create(body.username, body.email, password_hash)
        return Registered(user=PublicUser(id=id_text(user.user_id), username=user.username))

    async def login(self, request: Request, services: ServicesDep, body: Login, _session: SessionKind = None) -> Tokens:
        """Tokens for a username or e-mail address and its password."""
        caller, now_ms = address_of(request), services.now_ms()
        await self._by_address.attempt(caller, now_ms)
        typed, failures = attempted(body.login), services.accounts.failures
        await self._by_login.attempt(f"{caller} {typed}", now_ms)
        user = await services.users.by_login(body.login)
        attempt = Attempt(typed, caller, None if user is None else user.user_id)
        stored = None if user is None else user.password_hash
        async with failures.admitted(attempt, now_ms):
            if not await services.passwords.matches(body.password, stored, caller) or user is None:
                await record_failure(services, user, await failures.failed(attempt, now_ms))
                raise Problem("unauthenticated", "no user has this login and this password")
            await failures.succeeded(attempt)
        user = await rehash(services, user, body.password, caller)
        return await log_in_with_factor(services, user, body.code)

    async def second(
        self, request: Request, services: ServicesDep, body: ChallengeAnswer, _session: SessionKind = None
    ) -> Tokens:
        """Ends a log-in that was answered `second_factor_required`, whatever the way. Good for five minutes, once."""
        await self._by_address.attempt(address_of(request), services.now_ms())
        return await answer_challenge(services, body.challenge, body.code)

    async def refresh(self, request: Request, services: ServicesDep, body: Refresh) -> Tokens:
        """The next pair of tokens. Within 10 s a repetition has the same refresh token; later it ends the log-in."""
        now_ms = services.now_ms()
        await self._by_address.attempt(address_of(request), now_ms)
        check_cookies(CLIENT.get())
        spent, in_cookies = _refresh_token(request, services, body)
        successor = services.tokens.successor_of(spent)
        try:
            rotated = await services.refresh_tokens.rotate(
                spent, successor, now_ms, refresh_expiry(services), 1000 * services.limits.session_max_s
            )
        except RefreshReused as reused:
            log.warning("refresh_token_reused", address=address_of(request))
            services.sessions.announce([reused.family])
            raise
        return tokens(services, rotated.user, rotated.family, successor, in_cookies=in_cookies)

    async def logout(self, request: Request, services: ServicesDep, body: Refresh) -> Response:
        """Ends the session of this refresh token: its access tokens are refused, its sockets are closed."""
        ended, in_cookies = _refresh_token(request, services, body)
        await services.sessions.log_out(ended)
        if in_cookies:
            forget_cookies()
        return Response(status_code=204)

    async def me(self, services: ServicesDep, caller: Reader) -> Me:
        """The user whom the access token speaks for."""
        user = await services.users.by_id(caller.user_id)
        if user is None:
            raise Problem("unauthenticated", "this user does not exist any more")
        return Me(id=id_text(user.user_id), username=user.username, email=user.email, roles=sorted(user.roles))


def _refresh_token(request: Request, services: Services, body: Refresh) -> tuple[str, bool]:
    """The token of the body or of the cookie, and whether cookies go on. Raises a problem."""
    client = CLIENT.get()
    if body.refresh_token is not None:
        return body.refresh_token, client.wants_cookies
    session, _, token = client.cookies.get(names_of(secure=client.secure).refresh, "").partition(".")
    if not token:
        raise Problem("invalid_request", "this needs a refresh token, in the body or as a cookie")
    check_forgery(request, services, client, session)
    return token, True
