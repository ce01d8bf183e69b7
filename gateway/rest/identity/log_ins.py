"""What every way of logging in ends with: a session and its first pair of tokens, in the answer or in cookies."""

import secrets

from pydantic import BaseModel, Field

from domain.errors import INVALID_REQUEST
from domain.users import RESERVED_DOMAIN
from gateway.http.client import CLIENT, SESSION_HEADER, Client
from gateway.http.cookies import SessionCookies, clear_cookies, set_cookies
from gateway.http.problems import Problem
from gateway.identity.verification import UNVERIFIED
from gateway.rest.services import Services
from persistence.identity.store import User


class Tokens(BaseModel):
    """``access_token`` is good for ``expires_in`` seconds; ``refresh_token`` gets the next pair, once.

    With `X-Session: cookie` both are in cookies instead, `token_type` is `cookie`, and `csrf_token` is what the page
    sends as `X-CSRF-Token` with every request that changes something.
    """

    access_token: str | None = Field(default=None, exclude_if=lambda value: value is None)
    token_type: str = "bearer"
    expires_in: int
    refresh_token: str | None = Field(default=None, exclude_if=lambda value: value is None)
    csrf_token: str | None = Field(default=None, exclude_if=lambda value: value is None)


async def log_in(services: Services, user: User, *, with_factor: bool = False) -> Tokens:
    """Begin a session of a user who has proved who they are; in cookies if the request asks for that.

    ``with_factor``: with a second one, which counts as fresh. It keeps an account that was to be deleted. Raises
    PasswordChanged where the password is another one than when the user was read.
    """
    client = CLIENT.get()
    check_cookies(client)
    await services.profiles.deletions.cancel(user.user_id)
    family, refresh_token = secrets.token_hex(16), secrets.token_urlsafe(32)
    await services.refresh_tokens.begin(
        user.user_id, family, refresh_token, refresh_expiry(services), client.device, client.address, user
    )
    if with_factor:
        await services.wallets.second_factor.proved(family, user.user_id, services.now_ms())
    return tokens(services, user, family, refresh_token, in_cookies=client.wants_cookies)


def check_cookies(client: Client) -> None:
    """Cookies go over TLS, or stay on this machine. Raises the problem ``invalid_request``."""
    if client.wants_cookies and not client.may_have_cookies:
        raise Problem(INVALID_REQUEST, f"{SESSION_HEADER}: cookie needs HTTPS")


def tokens(services: Services, user: User, family: str, refresh_token: str, *, in_cookies: bool = False) -> Tokens:
    """The pair of a session: a new access token, and its refresh token."""
    now_s = services.now_ms() // 1000
    access_token = services.tokens.issue(
        user.user_id, user.username, roles_of(services, user), now_s, family, user.access_version
    )
    ttl_s = services.tokens.ttl_s
    if not in_cookies:
        return Tokens(access_token=access_token, expires_in=ttl_s, refresh_token=refresh_token)
    client, csrf = CLIENT.get(), services.tokens.csrf_token_of(family)
    # The refresh cookie names its session, whose CSRF token can then be checked before the token is spent.
    values = SessionCookies(access_token, f"{family}.{refresh_token}", csrf, ttl_s, services.limits.refresh_ttl_s)
    client.set_cookies += set_cookies(values, secure=client.secure)
    return Tokens(token_type="cookie", expires_in=ttl_s, csrf_token=csrf)


def forget_cookies() -> None:
    """The answer removes the cookies of a session."""
    client = CLIENT.get()
    client.set_cookies += clear_cookies(secure=client.secure)


def roles_of(services: Services, user: User) -> tuple[str, ...]:
    """The roles in a token: those of the user, and UNVERIFIED where an address has to be verified and is not."""
    # Who logs in by a wallet may have no address.
    has_address = not user.email.endswith(RESERVED_DOMAIN)
    if services.accounts.verification_demanded and user.verified_at is None and has_address:
        return (*user.roles, UNVERIFIED)
    return user.roles


def refresh_expiry(services: Services) -> int:
    """When a refresh token of now expires, in milliseconds."""
    limits = services.limits
    return services.now_ms() + min(limits.refresh_ttl_s, limits.session_max_s) * 1000
