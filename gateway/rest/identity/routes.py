"""Registering and logging in."""

import secrets
from typing import Annotated

import structlog
from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from domain.ids import id_text
from domain.users import RESERVED_DOMAIN, email_address, is_reserved, login_key
from gateway.http.problems import Problem
from gateway.identity.attempts import AttemptLimiter, caller_of
from gateway.rest.callers import Caller
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from gateway.rest.text import LINE, SECRET
from persistence.identity.store import RefreshReused, User

EMAIL_LENGTH_MAX = 254
PASSWORD_LENGTH_MIN = 10
PASSWORD_LENGTH_MAX = 1_000
USERNAME_PATTERN = r"^[A-Za-z0-9_-]{3,30}$"

log = structlog.get_logger(__name__)


def _new_email(text: str) -> str:
    address = email_address(text)
    if address.lower().endswith(RESERVED_DOMAIN):
        raise ValueError("this domain is reserved")
    return address


def _new_username(text: str) -> str:
    if is_reserved(text):
        raise ValueError("this name is reserved")
    return text


Email = Annotated[str, Field(max_length=EMAIL_LENGTH_MAX, examples=["ann@example.org"]), AfterValidator(_new_email)]
Username = Annotated[str, Field(pattern=USERNAME_PATTERN, examples=["ann"]), AfterValidator(_new_username)]
NewPassword = Annotated[str, Field(min_length=PASSWORD_LENGTH_MIN, max_length=PASSWORD_LENGTH_MAX), SECRET]
RefreshToken = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Registration(_Body):
    """A new user. Names and addresses are taken in any case."""

    email: Email
    username: Username
    password: NewPassword


class Login(_Body):
    """``login`` is the username or the e-mail address."""

    login: Annotated[str, Field(min_length=1, max_length=EMAIL_LENGTH_MAX), LINE]
    password: Annotated[str, Field(min_length=1, max_length=PASSWORD_LENGTH_MAX), SECRET]


class Refresh(_Body):
    """A refresh token, good for one use."""

    refresh_token: RefreshToken


class PublicUser(BaseModel):
    """What others see of a user."""

    id: str
    username: str


class Registered(BaseModel):
    """The new user."""

    user: PublicUser


class Tokens(BaseModel):
    """``access_token`` is good for ``expires_in`` seconds; ``refresh_token`` gets the next pair, once."""

    access_token: str
    token_type: str = "bearer"
    expires_in: int
    refresh_token: str


class Me(PublicUser):
    """What users see of themselves."""

    email: str
    roles: list[str]


class AuthRoutes:
    """The routes of one app, with its counts of attempts."""

    def __init__(self, services: Services) -> None:
        limits = services.limits
        self._by_address = AttemptLimiter(
            per_minute=limits.attempts_per_minute, burst=limits.attempts_burst, callers_max=limits.callers_max
        )
        self._by_login = AttemptLimiter(
            per_minute=limits.logins_per_minute, burst=limits.logins_burst, callers_max=limits.callers_max
        )
        self.router = api_router("identity")
        add = self.router.add_api_route
        add("/auth/register", self.register, methods=["POST"], status_code=201, summary="Register")
        add("/auth/login", self.login, methods=["POST"], summary="Log in")
        add("/auth/refresh", self.refresh, methods=["POST"], summary="Get the next pair of tokens")
        add("/auth/logout", self.logout, methods=["POST"], status_code=204, summary="Log out")
        add("/users/me", self.me, methods=["GET"], summary="Who am I?")

    async def register(self, request: Request, services: ServicesDep, body: Registration) -> Registered:
        """A new user, who may bid and sell at once."""
        caller = _caller(request)
        self._by_address.attempt(caller, services.now_ms())
        password_hash = await services.passwords.hash(body.password, caller)
        user = await services.users.create(body.username, body.email, password_hash)
        return Registered(user=PublicUser(id=id_text(user.user_id), username=user.username))

    async def login(self, request: Request, services: ServicesDep, body: Login) -> Tokens:
        """Tokens for a username or e-mail address and its password."""
        caller, now_ms = _caller(request), services.now_ms()
        self._by_address.attempt(caller, now_ms)
        self._by_login.attempt(f"{caller} {_attempted(body.login)}", now_ms)
        user = await services.users.by_login(body.login)
        stored = None if user is None else user.password_hash
        if not await services.passwords.matches(body.password, stored, caller) or user is None:
            raise Problem("unauthenticated", "no user has this login and this password")
        family, refresh_token = secrets.token_hex(16), secrets.token_urlsafe(32)
        await services.refresh_tokens.begin(user.user_id, family, refresh_token, _refresh_expiry(services))
        return _tokens(services, user, family, refresh_token)

    async def refresh(self, request: Request, services: ServicesDep, body: Refresh) -> Tokens:
        """The next pair of tokens. A refresh token that is used twice ends its log-in."""
        now_ms = services.now_ms()
        self._by_address.attempt(_caller(request), now_ms)
        successor = secrets.token_urlsafe(32)
        try:
            rotated = await services.refresh_tokens.rotate(
                body.refresh_token, successor, now_ms, _refresh_expiry(services)
            )
        except RefreshReused:
            log.warning("refresh_token_reused", address=_caller(request))
            raise
        return _tokens(services, rotated.user, rotated.family, successor)

    async def logout(self, services: ServicesDep, body: Refresh) -> Response:
        """Ends the log-in that this refresh token belongs to. Access tokens run out by themselves."""
        await services.refresh_tokens.end(body.refresh_token)
        return Response(status_code=204)

    async def me(self, services: ServicesDep, caller: Caller) -> Me:
        """The user whom the access token speaks for."""
        user = await services.users.by_id(caller.user_id)
        if user is None:
            raise Problem("unauthenticated", "this user does not exist any more")
        return Me(id=id_text(user.user_id), username=user.username, email=user.email, roles=sorted(user.roles))


def _caller(request: Request) -> str:
    return caller_of(request.client.host if request.client else None)


def _attempted(login: str) -> str:
    try:
        return login_key(login)
    except ValueError:
        return login


def _refresh_expiry(services: Services) -> int:
    return services.now_ms() + services.limits.refresh_ttl_s * 1000


def _tokens(services: Services, user: User, family: str, refresh_token: str) -> Tokens:
    now_s = services.now_ms() // 1000
    access_token = services.tokens.issue(user.user_id, user.username, user.roles, now_s, family)
    return Tokens(access_token=access_token, expires_in=services.tokens.ttl_s, refresh_token=refresh_token)
