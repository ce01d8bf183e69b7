"""Who sends a request: by a token or an API key in its header, or by the cookies of a page of ours."""

from starlette.requests import Request

from domain.errors import CSRF_FAILED
from gateway.http.client import CLIENT, Client
from gateway.http.cookies import names_of
from gateway.http.origins import is_own_origin
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.services import Services

CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def identity_of(request: Request, services: Services) -> Identity | None:
    """The identity of a request, None without one. A token or key in the header counts before cookies.

    Raises TokenError for a token or key that is not good, StoreError, and the problem ``csrf_failed``.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    client = CLIENT.get()
    if scheme.lower() == "bearer" and token.strip():
        identity = await services.credentials.identity(token.strip(), client.address)
    else:
        cookie = client.cookies.get(names_of(secure=client.secure).access)
        if cookie is None:
            return None
        # An API key is no session of a page: it is not taken from a cookie.
        identity = services.credentials.of_token(cookie)
        if request.method not in SAFE_METHODS:
            check_forgery(request, services, client, identity.session)
    if services.activity is not None and identity.key is None:
        services.activity.used(identity.session, services.now_ms(), client.address, client.device)
    return identity


def check_forgery(request: Request, services: Services, client: Client, session: str) -> None:
    """A change by cookies comes from a page of ours, which knows the session's token. Raises ``csrf_failed``."""
    if not is_own_origin(client.origin, client.host, services.limits.cors_origins, secure=client.secure):
        raise Problem(CSRF_FAILED, "the header Origin is not one of ours")
    if not services.tokens.is_csrf_token(request.headers.get(CSRF_HEADER, ""), session):
        raise Problem(CSRF_FAILED, f"the header {CSRF_HEADER} is not that of this session")
