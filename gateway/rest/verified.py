"""The one place where REST refuses what needs a verified address (gateway/identity/verification.py)."""

from starlette.requests import Request

from domain.errors import EMAIL_NOT_VERIFIED
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.identity.verification import request_denied
from gateway.rest.callers import IDENTITY


def require_verified(request: Request, path: str) -> None:
    """Raises the problem ``email_not_verified``. ``path``: that of the route."""
    identity: Identity | None = request.scope.get(IDENTITY)
    if identity is not None and request_denied(identity.roles, request.method, path):
        raise Problem(EMAIL_NOT_VERIFIED)
