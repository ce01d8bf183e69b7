"""Errors as RFC 9457 problem details, with the wire's codes (docs/protocol.md).

``{"type", "title", "status", "detail", "code", …}`` as ``application/problem+json``. Malformed JSON is a 400, a body
or parameter that says the wrong thing is a 422; both have the code ``invalid_request`` and, where it helps,
``errors: [{"at", "detail"}]``. What a client sent is never quoted back, nor what went wrong inside.
"""

import json
import math
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from actors.stream.messages import Refused
from chain.rpc.errors import ChainError
from domain.errors import ERRORS, IDEMPOTENCY_KEY_MISSING, INTERNAL_ERROR, INVALID_REQUEST, UNAVAILABLE, details_of
from domain.ledger.refusals import Refusal
from gateway.http.client import CLIENT
from gateway.http.error_catalogue import TYPE_PREFIX
from gateway.identity.attempts import TooManyAttempts
from gateway.identity.credentials import log_refused
from gateway.identity.passwords.hasher import PasswordsBusy
from gateway.identity.second_factor import SecondFactorError
from gateway.identity.tokens import TokenError
from gateway.wire.duplicate_keys import FAULT as DUPLICATE_KEY
from gateway.wire.faults import RequestFailed
from persistence.postgres.errors import StoreError

MEDIA_TYPE = "application/problem+json"
ERRORS_MAX = 20
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

log = structlog.get_logger(__name__)


class Problem(Exception):
    """An error response. ``extra`` members are sent in addition to the standard ones."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(code)
        self.code = code
        error = ERRORS[code]
        self.status = status or error.status or 500
        self.detail = detail or error.text
        self.headers = dict(headers or {})
        self.extra = details_of(code, extra)
        if "retry_after_ms" in self.extra:
            self.headers.setdefault("Retry-After", str(max(1, math.ceil(self.extra["retry_after_ms"] / 1000))))
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")

    def body(self) -> bytes:
        """The problem details."""
        members = {
            "type": TYPE_PREFIX + self.code,
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return json.dumps(members | self.extra).encode()

    def response(self) -> Response:
        """The HTTP answer."""
        return Response(with_request_id(self.body()), self.status, self.headers, MEDIA_TYPE)


def with_request_id(body: bytes) -> bytes:
    """Problem details with the id of the request that is answered; stored ones have none."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return body if request_id is None else body[:-1] + b', "request_id": "%b"}' % request_id.encode()


def refusal_problem(refused: Refused) -> Problem:
    """The problem of a host's refusal, with its fields."""
    # A newer host may have other codes: a retry with the same key is always safe.
    code = refused.code if refused.code in ERRORS else UNAVAILABLE
    return Problem(code, **refused.known())


def failure_problem(failure: RequestFailed) -> Problem:
    """The problem of a request that failed in this gateway."""
    return Problem(failure.code, str(failure) or None, **failure.details)


def ledger_problem(refusal: Refusal, detail: str | None = None) -> Problem:
    """The problem of a refusal of the ledger, with its fields."""
    # The gateway makes the orders: other codes are internal errors.
    code = refusal.code if refusal.code in ERRORS else INTERNAL_ERROR
    return Problem(code, detail, available=refusal.available, required=refusal.required)


def problem_of(error: Exception) -> Problem | None:
    """The problem of an error that a client may be told about; None for a fault."""
    match error:
        case Problem():
            return error
        case RequestFailed():
            return failure_problem(error)
        case StoreError() if error.code == UNAVAILABLE:
            # The database's message is not sent to clients.
            log.warning("store_unavailable", error=str(error))
            return Problem(UNAVAILABLE)
        case TooManyAttempts() | PasswordsBusy():
            return Problem(error.code, str(error), retry_after_ms=error.retry_after_ms)
        case StoreError() | SecondFactorError():
            return Problem(error.code, str(error))
    return None


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    for kind in (Problem, RequestFailed, StoreError, SecondFactorError, PasswordsBusy):
        app.add_exception_handler(kind, _problem)
    app.add_exception_handler(ChainError, _chain_error)
    app.add_exception_handler(TokenError, _token_refused)
    app.add_exception_handler(TooManyAttempts, _too_many)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)


async def _problem(_request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    assert problem is not None, "installed for such errors only"
    return problem.response()


async def _chain_error(_request: Request, error: Exception) -> Response:
    # An endpoint's message is not sent to clients: it may have its URL.
    log.warning("chain_unavailable", error=str(error))
    return Problem("unavailable").response()


async def _token_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TokenError)
    log_refused(error, CLIENT.get().address)
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return Problem(error.code, str(error), headers=headers).response()


async def _too_many(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TooManyAttempts)
    headers = {
        "RateLimit-Policy": f'"attempts";q={error.burst};w={error.window_s}',
        "RateLimit": f'"attempts";r=0;t={math.ceil(error.retry_after_ms / 1000)}',
    }
    return Problem(error.code, str(error), headers=headers, retry_after_ms=error.retry_after_ms).response()


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    # What was sent is not logged, nor the names of fields that are the client's own words.
    kinds = sorted({str(fault["type"]) for fault in found})
    log.info("request_invalid", path=request.scope["route"].path, faults=kinds, address=CLIENT.get().address)
    for fault in found:
        if fault["type"] == "json_invalid":
            twice = fault["ctx"]["error"] == DUPLICATE_KEY
            return Problem(INVALID_REQUEST, DUPLICATE_KEY if twice else "the body is not JSON", status=400).response()
        if fault["loc"] == ("header", "Idempotency-Key"):
            code = IDEMPOTENCY_KEY_MISSING if fault["type"] == "missing" else INVALID_REQUEST
            return Problem(code, f"Idempotency-Key: {fault['msg']}", status=400).response()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if any(fault["loc"] == ("body",) for fault in found) and media_type != "application/json":
        return Problem("unsupported_media_type", "the body must be application/json").response()
    errors = [{"at": _place(fault["loc"]), "detail": fault["msg"]} for fault in found[:ERRORS_MAX]]
    summary = "; ".join(f"{fault['at']}: {fault['detail']}" for fault in errors[:3])
    return Problem(INVALID_REQUEST, summary, errors=errors).response()


def _place(location: tuple[int | str, ...]) -> str:
    # Names of unknown fields are the client's own words: short ones help, long ones don't.
    return "/".join(str(part)[:64] for part in location)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
    if error.status_code in codes:
        return Problem(codes[error.status_code], headers=headers).response()
    if error.status_code >= 500:
        return Problem("internal_error", status=error.status_code, headers=headers).response()
    return Problem(INVALID_REQUEST, "the request can't be read", status=error.status_code, headers=headers).response()


def _allowed(request: Request) -> list[str]:
    """The methods of this path: it may have several routes, each of which knows its own alone."""
    routes = request.app.routes
    methods = [
        method for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]  # fmt: skip
    return ["GET", "HEAD", *methods[1:]] if methods[:1] == ["GET"] else methods
